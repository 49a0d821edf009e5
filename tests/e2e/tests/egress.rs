//! A component reaches what the operator granted and nothing else; secrets go to their backend and nowhere else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Config, accounts, run, run_with_input, travel};
use kit::accounts::Account;
use kit::backend::langfuse::{Langfuse, TRACES};
use kit::backend::{Answer, Backend, Behaviour, RecordEverything, Which};
use kit::components;
use kit::fixtures::{ndjson, span, with};
use kit::host::{Finished, HostCommand};

const SECRET: &str = "sk-rover-5f2c9a";

async fn rove(granted: &str, places: &[String]) -> anyhow::Result<Finished> {
    travel("rover", SECRET, granted, places).await
}

#[tokio::test]
async fn a_granted_backend_is_reached_by_a_component_that_the_host_never_heard_of()
-> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let finished = rove(&home.url(), &[format!("{}/v1/rover", home.url())]).await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("rover", "traces")?,
        Account::delivered(1)
    );
    let request = &home.requests_to("/v1/rover")[0].request;
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {SECRET}")),
        "the host fills the secret in"
    );
    Ok(())
}

#[tokio::test]
async fn a_place_that_was_not_granted_is_not_reached_however_it_is_written() -> anyhow::Result<()> {
    let (home, elsewhere) = (
        Backend::start(RecordEverything).await?,
        Backend::start(RecordEverything).await?,
    );
    let (home_port, port) = (home.address().port(), elsewhere.address().port());
    let hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    let mut places: Vec<String> = hosts
        .iter()
        .map(|host| format!("http://{host}:{port}/"))
        .collect();
    places.push(format!("http://127.0.0.1:{home_port}@127.0.0.1:{port}/"));
    places.push(format!("https://127.0.0.1:{home_port}/other-scheme"));
    places.push("http://169.254.169.254/latest/meta-data/".to_owned());
    for place in &places {
        let finished = rove(&home.url(), std::slice::from_ref(place)).await?;
        finished.expect_code(3)?;
        let account = accounts(&finished)?.of("rover", "traces")?;
        assert_eq!(
            (account.delivered, account.dead_lettered),
            (0, 1),
            "{place}: {account:?}"
        );
    }
    assert!(elsewhere.requests().is_empty(), "{}", elsewhere.summary());
    assert!(home.requests().is_empty(), "{}", home.summary());
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_place_is_refused_and_gets_no_credentials() -> anyhow::Result<()> {
    let (home, elsewhere) = (
        Backend::start(RecordEverything).await?,
        Backend::start(RecordEverything).await?,
    );
    home.on(
        Which::path("/v1/rover"),
        Behaviour::redirect(&format!("{}/stolen", elsewhere.url())),
    );
    let finished = rove(&home.url(), &[format!("{}/v1/rover", home.url())]).await?;
    finished.expect_code(3)?;
    assert_eq!(home.requests().len(), 1);
    assert!(elsewhere.requests().is_empty(), "{}", elsewhere.summary());
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_the_same_place_is_followed() -> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    home.on(Which::path("/v1/rover"), Behaviour::redirect("/v2/rover"));
    let finished = rove(&home.url(), &[format!("{}/v1/rover", home.url())]).await?;
    finished.expect_code(0)?;
    assert_eq!(home.requests_to("/v2/rover").len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_component_sees_placeholders_only_even_when_the_backend_echoes_the_secret()
-> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let echo = Answer::status(200)
        .with_header("x-echo", SECRET)
        .with_body(format!("you sent {SECRET}"));
    home.on(Which::all(), Behaviour::Answer(echo));
    let finished = rove(&home.url(), &[format!("{}/v1/rover", home.url())]).await?;
    finished.expect_code(0)?;
    // The guest prints its settings, and the answer's headers and body, which land in the host's log.
    assert!(
        finished.stderr.contains("rover heard"),
        "the guest's output is in the log:\n{}",
        finished.stderr
    );
    assert!(
        !finished.stderr.contains(SECRET) && !finished.stdout.contains(SECRET),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn neither_secrets_nor_payloads_are_printed_or_logged() -> anyhow::Result<()> {
    let backend = Backend::start(Langfuse::default()).await?;
    let fake = Langfuse::default();
    let basic = STANDARD.encode(format!("{}:{}", fake.public_key, fake.secret_key));
    let echo = Answer::status(400).with_body(format!(
        "{{\"message\":\"not {} {basic}\"}}",
        fake.secret_key
    ));
    backend.on(Which::path(TRACES).first(1), Behaviour::Answer(echo));
    let config = Config::new().langfuse("langfuse", &backend.url())?;
    let event = with(
        span(1, 1, None, "agent_run"),
        "input",
        "a prompt that nobody else may read".into(),
    );
    let finished = run_with_input(&config, ndjson(&[event]))?
        .env("MASTRA_HOST_LOG", "trace")
        .finish()
        .await?;
    accounts(&finished)?;
    for secret in [fake.secret_key.as_str(), &basic, "nobody else may read"] {
        assert!(
            !finished.stderr.contains(secret),
            "{secret:?} is in the log:\n{}",
            finished.stderr
        );
        assert!(
            !finished.stdout.contains(secret),
            "{secret:?} is printed:\n{}",
            finished.stdout
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_hosts_own_listener_is_no_target() -> anyhow::Result<()> {
    // A port that was free a moment ago.
    let port = Backend::start(RecordEverything).await?.address().port();
    let address = format!("127.0.0.1:{port}");
    let config = Config::new().langfuse("langfuse", &format!("http://{address}"))?;
    for listeners in [
        ["--listen", &address, "--listen-grpc", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--listen-grpc", &address],
    ] {
        let finished = run(&config)?.args(listeners).finish().await?;
        finished.expect_code(2)?;
        assert!(finished.stderr.contains(&address), "{}", finished.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_metadata_service_is_reached_only_with_allow_metadata() -> anyhow::Result<()> {
    for place in [
        "http://169.254.169.254",
        "http://[fd00:ec2::254]",
        "http://100.100.100.200",
        "http://metadata.google.internal",
    ] {
        let config = Config::new().langfuse("langfuse", place)?;
        let finished = run(&config)?.on_free_ports().finish().await?;
        finished.expect_code(2)?;
        let said = &finished.stderr;
        assert!(
            said.contains("http.allow_metadata: true"),
            "{place}: {said}"
        );
    }
    let config = Config::new()
        .langfuse("langfuse", "http://169.254.169.254")?
        .with("http: {allow_metadata: true}");
    // Nothing is sent: there are no events.
    run(&config)?
        .start()
        .await?
        .terminate()
        .await?
        .expect_code(0)
}

/// Inspects a component of ours with some bytes replaced by as many others.
async fn inspect_patched(name: &str, from: &str, to: &str) -> anyhow::Result<Finished> {
    anyhow::ensure!(from.len() == to.len(), "a component keeps its length");
    let mut bytes = std::fs::read(components::exporter(name)?)?;
    let at = bytes
        .windows(from.len())
        .position(|part| part == from.as_bytes());
    let place = at.and_then(|at| bytes.get_mut(at..at + from.len()));
    let place = place.ok_or_else(|| anyhow::anyhow!("{name} does not hold {from}"))?;
    place.copy_from_slice(to.as_bytes());
    let command = HostCommand::new("inspect")?;
    let file = command.dir().join(format!("{name}.wasm"));
    std::fs::write(&file, bytes)?;
    command.arg(file).finish().await
}

#[tokio::test]
async fn a_component_that_asks_for_the_hosts_of_everybody_is_refused() -> anyhow::Result<()> {
    // An operator of Grafana's names is one; anybody gets one below `netlify.app`.
    let finished = inspect_patched(
        "grafana-cloud",
        "https://*.grafana.net",
        "https://*.netlify.app",
    )
    .await?;
    finished.expect_code(1)?;
    let said = &finished.stderr;
    assert!(
        said.contains("https://*.netlify.app") && said.contains("public suffix"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_component_that_marks_a_secret_where_no_mark_counts_is_refused() -> anyhow::Result<()> {
    let (plain, marked) = (r#"{"type":"string"}"#, r#"{"x-secret":true}"#);
    let finished = inspect_patched("langfuse", plain, marked).await?;
    finished.expect_code(1)?;
    let said = &finished.stderr;
    assert!(
        said.contains("headers") && said.contains("`x-secret` counts only"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn path_and_query_of_a_secret_url_reach_the_backend_and_nothing_else() -> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let (path, query) = ("services/T01/xoxb-0123456789abcdef", "q-0123456789");
    let url = format!("{}/{path}?key={query}&x=a%20b", home.url());
    let component = components::exporter("webhook")?;
    let config = Config::new().exporter("webhook", &component, &format!("url: \"{url}\""));
    let events = ndjson(&[span(1, 1, None, "agent_run")]);
    let finished = run_with_input(&config, events)?
        .env("MASTRA_HOST_LOG", "trace")
        .finish()
        .await?;
    finished.expect_code(0)?;
    let wanted = format!("/{path}?key={query}&x=a%20b");
    let requests = home.requests();
    let request = &requests[0].request;
    assert_eq!(format!("{}?{}", request.path, request.query), wanted);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for secret in ["xoxb-0123456789abcdef", query] {
        assert!(!said.contains(secret), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_was_only_dropped_into_the_directory_waits_for_approval()
-> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let plugins = tempfile::tempdir()?;
    std::fs::copy(
        components::package("rover-guest", "rover")?,
        plugins.path().join("rover.wasm"),
    )?;
    let finished = HostCommand::new("run")?
        .arg("--plugins-dir")
        .arg(plugins.path())
        .env("ROVER_ENDPOINT", &home.url())
        .env("ROVER_PLACES", &format!("{}/v1/rover", home.url()))
        .env("ROVER_SECRET", SECRET)
        .finish()
        .await?;
    finished.expect_code(2)?;
    assert!(
        finished.stderr.contains("needs approval"),
        "{}",
        finished.stderr
    );
    assert!(home.requests().is_empty());
    Ok(())
}
