//! A component that speaks HTTP by its language's own means (`wasi:http`) is under the same policy, and gets its secrets
//! filled in, as one that uses our own import.

use e2e::{accounts, travel};
use kit::accounts::Account;
use kit::backend::{Answer, Backend, Behaviour, RecordEverything, Which};
use kit::components;
use kit::host::{Finished, HostCommand};
use serde_json::Value;

const SECRET: &str = "sk-wanderer-5f2c9a";

async fn wander(granted: &str, places: &[String]) -> anyhow::Result<Finished> {
    travel("wanderer", SECRET, granted, places).await
}

#[tokio::test]
async fn a_granted_backend_is_reached_with_the_secret_filled_in() -> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let finished = wander(&home.url(), &[format!("{}/v1/here?x=1", home.url())]).await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("wanderer", "traces")?;
    assert_eq!(account, Account::delivered(1));
    let requests = home.requests_to("/v1/here");
    let request = &requests[0].request;
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );
    let body: Value = serde_json::from_slice(&request.body)?;
    assert_eq!(body["token"], SECRET, "as long as it is with the secret");
    Ok(())
}

#[tokio::test]
async fn a_place_that_was_not_granted_is_not_reached() -> anyhow::Result<()> {
    let (home, elsewhere) = (
        Backend::start(RecordEverything).await?,
        Backend::start(RecordEverything).await?,
    );
    let (home_port, port) = (home.address().port(), elsewhere.address().port());
    let places = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{home_port}/"),
        format!("http://[::ffff:127.0.0.1]:{home_port}/"),
        format!("https://127.0.0.1:{home_port}/other-scheme"),
        format!("http://127.0.0.1:{home_port}@127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ];
    for place in &places {
        let finished = wander(&home.url(), std::slice::from_ref(place)).await?;
        finished.expect_code(3)?;
        let account = accounts(&finished)?.of("wanderer", "traces")?;
        assert_eq!(
            (account.delivered, account.dead_lettered),
            (0, 1),
            "{place}: {account:?}"
        );
        assert!(
            finished.stderr.contains("wanderer heard nothing"),
            "{place}: the component is told\n{}",
            finished.stderr
        );
    }
    assert!(elsewhere.requests().is_empty(), "{}", elsewhere.summary());
    assert!(home.requests().is_empty(), "{}", home.summary());
    Ok(())
}

#[tokio::test]
async fn what_the_backend_echoes_is_scrubbed_of_the_secret() -> anyhow::Result<()> {
    let home = Backend::start(RecordEverything).await?;
    let echo = Answer::status(200).with_body(format!("you sent {SECRET}"));
    home.on(Which::all(), Behaviour::Answer(echo));
    let finished = wander(&home.url(), &[format!("{}/v1/here", home.url())]).await?;
    finished.expect_code(0)?;
    assert!(
        finished.stderr.contains("wanderer heard 200 you sent ***"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains(SECRET), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn inspect_shows_the_import() -> anyhow::Result<()> {
    let finished = HostCommand::new("inspect")?
        .arg(components::package("wanderer-guest", "wanderer")?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert!(
        finished.stdout.contains("wasi:http/outgoing-handler@0.2"),
        "{}",
        finished.stdout
    );
    Ok(())
}
