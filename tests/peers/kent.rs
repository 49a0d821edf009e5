//! kent, a fake Sentry of Mozilla's, takes the exporter's envelopes apart and shows each item.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::collections::BTreeMap;

use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::accounts::Account;
use kit::components;
use peers::installed;
use peers::server::{Server, ServerCommand, free_port};
use serde_json::Value;

async fn kent() -> anyhow::Result<Server> {
    let port = free_port()?;
    ServerCommand::new(&installed::python("sentry", "kent-server")?)?
        .args(&["run", "--host", "127.0.0.1", "--port", &port.to_string()])
        .start(port, "/api/eventlist/")
        .await
}

/// The items that kent found in envelopes: header and body.
async fn items(kent: &Server) -> anyhow::Result<Vec<(Value, Value)>> {
    let list = kent.get("/api/eventlist/").await?.json()?;
    let mut items = Vec::new();
    for event in list["events"].as_array().unwrap() {
        assert_eq!(event["project_id"], 7);
        let id = event["event_id"].as_str().unwrap();
        let event = kent.get(&format!("/api/event/{id}")).await?.json()?;
        let payload = &event["payload"];
        items.push((payload["header"].clone(), payload["body"].clone()));
    }
    Ok(items)
}

#[tokio::test]
async fn kent_finds_every_item_in_its_envelope() -> anyhow::Result<()> {
    let kent = kent().await?;
    let settings = format!("dsn: \"http://public@{}/7\"", kent.address());
    let component = components::exporter("sentry")?;
    let config = Config::new().exporter("sentry", &component, &settings);
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("sentry", "logs")?, Account::delivered(6));

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (header, body) in items(&kent).await? {
        assert!(
            body.get("error").is_none(),
            "kent could not read {header}: {body}"
        );
        let kind = header["type"].as_str().unwrap().to_owned();
        let count = match body["items"].as_array() {
            Some(items) => {
                assert_eq!(header["item_count"], items.len());
                items.len()
            }
            None => 1,
        };
        *counts.entry(kind).or_default() += count;
    }
    let expected = [
        ("event", 2),
        ("feedback", 3),
        ("log", 6),
        ("span", 28),
        ("trace_metric", 25),
    ];
    let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(counts, BTreeMap::from(expected));
    Ok(())
}
