//! Recorded agent events are published as the Mastra platform wants them, and from one host to another.

use e2e::{Config, accounts, lines, recorded_events, run, run_with_input};
use kit::accounts::Account;
use kit::backend::cloud::Cloud;
use kit::backend::{Answer, Backend, Behaviour, Which};
use kit::components;
use kit::host::HostCommand;

fn config(url: &str) -> anyhow::Result<Config> {
    config_with(url, ", project_id: proj_1-A")
}

fn config_with(url: &str, extra: &str) -> anyhow::Result<Config> {
    let settings = format!("endpoint: \"{url}\", access_token: platform-token{extra}");
    Ok(Config::new().exporter("cloud", &components::exporter("cloud")?, &settings))
}

const SIGNALS: [(&str, &str, u64); 5] = [
    // 27 started, 1 updated and 2 chunks are filtered.
    ("traces", "spans", 26),
    ("logs", "logs", 6),
    ("metrics", "metrics", 25),
    ("scores", "scores", 4),
    ("feedback", "feedback", 3),
];

#[tokio::test]
async fn all_five_signals_are_published_and_counted_exactly() -> anyhow::Result<()> {
    let backend = Backend::start(Cloud::default()).await?;
    let finished = run_with_input(&config(&backend.url())?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    for (signal, kind, count) in SIGNALS {
        let account = accounts.of("cloud", signal)?;
        assert_eq!(account.delivered, count, "{signal}");
        assert_eq!(backend.stored(kind).len() as u64, count, "{signal}");
        assert_eq!(account.received, account.delivered + account.filtered);
    }
    Ok(())
}

#[tokio::test]
async fn another_host_takes_what_this_one_publishes() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let receiver = run(&Config::new().json("json", &file)?)?.start().await?;
    let url = format!("http://{}", receiver.address());
    // With a project, the receiver would write down that the events came by its path.
    let finished = run_with_input(&config_with(&url, "")?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let received = receiver.terminate().await?;
    received.expect_code(0)?;
    let (sent, received) = (accounts(&finished)?, accounts(&received)?);
    for (signal, _, count) in SIGNALS {
        assert_eq!(sent.of("cloud", signal)?.delivered, count, "{signal}");
        assert_eq!(
            received.of("json", signal)?,
            Account::delivered(count),
            "{signal}"
        );
    }
    // What is no span comes out of the second host as it went into the first.
    let mut expected: Vec<String> = recorded_events()?
        .lines()
        .filter(|line| !line.contains("\"exportedSpan\""))
        .map(str::to_owned)
        .collect();
    let mut written: Vec<String> = lines(&file)?
        .into_iter()
        .filter(|line| !line.contains("\"exportedSpan\""))
        .collect();
    expected.sort();
    written.sort();
    assert_eq!(written, expected);
    Ok(())
}

#[tokio::test]
async fn a_used_up_quota_pauses_and_a_probe_resumes() -> anyhow::Result<()> {
    let backend = Backend::start(Cloud::default()).await?;
    let used_up = Answer::status(402)
        .with_header("x-mastra-observability", "disabled")
        .with_header("x-mastra-observability-retry-after", "1");
    backend.on(Which::all().first(1), Behaviour::Answer(used_up));
    let config = config(&backend.url())?.with("signals: [logs]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(
        accounts(&finished)?.of("cloud", "logs")?,
        Account::delivered(6)
    );
    let requests = backend.requests();
    let paths: Vec<_> = requests
        .iter()
        .map(|recorded| recorded.request.path.rsplit('/').nth(1).unwrap_or_default())
        .collect();
    assert_eq!(paths, ["logs", "spans", "logs"], "the probe is a trace's");
    assert_eq!(requests[1].request.text(), r#"{"spans":[]}"#);
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_official_variables() -> anyhow::Result<()> {
    let backend = Backend::start(Cloud::default()).await?;
    let finished = HostCommand::new("run")?
        .plugin("cloud")?
        .args(["--output", "json", "--input", "-"])
        .env("MASTRA_PLATFORM_ACCESS_TOKEN", "platform-token")
        .env("MASTRA_PROJECT_ID", "proj_1-A")
        .env("MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT", &backend.url())
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored("spans").len(), 26);
    Ok(())
}
