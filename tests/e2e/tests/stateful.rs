//! Stateful components: what they hold is delivered by a flush, and nothing of it is lost.

use e2e::{Config, accounts, run, run_with_input};
use kit::accounts::Account;
use kit::backend::{Backend, Behaviour, RecordEverything, Recorded, Which};
use kit::client::Outgoing;
use kit::components;
use kit::fixtures::{ndjson, span};
use serde_json::Value;

const PATH: &str = "/names";

fn keeper(backend: &Backend) -> anyhow::Result<Config> {
    let component = components::package("keeper-guest", "keeper")?;
    let settings = format!("endpoint: \"{}{PATH}\"", backend.url());
    Ok(Config::new().exporter("keeper", &component, &settings))
}

fn spans(count: u64) -> Vec<Value> {
    (1..=count).map(|n| span(n, n, None, "agent_run")).collect()
}

/// Names that were posted and taken.
fn kept(requests: &[Recorded]) -> usize {
    let taken = requests
        .iter()
        .filter(|recorded| recorded.status == Some(200));
    taken
        .map(|recorded| recorded.request.text().lines().count())
        .sum()
}

#[tokio::test]
async fn what_is_held_is_delivered_before_the_end_of_an_input() -> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    let finished = run_with_input(&keeper(&backend)?, ndjson(&spans(250)))?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("keeper", "traces")?;
    assert_eq!(account, Account::delivered(250));
    assert_eq!(kept(&backend.requests_to(PATH)), 250);
    Ok(())
}

#[tokio::test]
async fn what_is_held_is_delivered_when_the_host_is_told_to_stop() -> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    let host = run(&keeper(&backend)?)?.start().await?;
    host.send_events(ndjson(&spans(3))).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("keeper", "traces")?;
    assert_eq!(account, Account::delivered(3));
    assert_eq!(kept(&backend.requests_to(PATH)), 3);
    Ok(())
}

#[tokio::test]
async fn what_a_flush_could_not_deliver_is_given_again() -> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    backend.on(Which::all().first(2), Behaviour::status(503));
    let host = run(&keeper(&backend)?)?.start().await?;
    host.send_events(ndjson(&spans(3))).await?;
    backend.wait_until(|requests| kept(requests) == 3).await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("keeper", "traces")?;
    assert_eq!(account, Account::delivered(3));
    Ok(())
}

#[tokio::test]
async fn page_of_an_exporter_is_served_at_its_id() -> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    let host = run(&keeper(&backend)?.langfuse("langfuse/eu", &backend.url())?)?
        .start()
        .await?;
    let page = host
        .send(Outgoing::get("/exporters/keeper/echo?a=b").header("accept", "text/plain"))
        .await?;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/plain"));
    assert!(page.text().contains("a=b"), "{}", page.text());
    for (path, status, text) in [
        ("/exporters/keeper/nothing", 404, "no such page"),
        ("/exporters/nobody/names", 404, "no exporter of this name"),
        ("/exporters/langfuse/eu/x", 404, "langfuse/eu has no pages"),
        ("/exporters/keeper/smuggle", 502, "content type"),
        ("/exporters/keeper/trap", 503, "trapped"),
        ("/exporters/keeper/names", 200, ""),
    ] {
        let page = host.send(Outgoing::get(path)).await?;
        assert_eq!(page.status, status, "{path}: {}", page.text());
        assert!(page.text().contains(text), "{path}: {}", page.text());
    }
    Ok(())
}
