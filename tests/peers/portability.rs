//! The same components run in another embedder, jco on Node.js: the contract holds no trick that only our host knows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use kit::components;
use peers::authored::Project;
use peers::installed;
use serde_json::{Value, json};

/// What `embedder/run.mjs` saw: `describe`, `configure`, a span sent while the backend answers so, `flush`, `shutdown`.
fn used(component: &Path, settings: &Value, status: u16) -> anyhow::Result<Value> {
    installed::npm("toolchains", "@bytecodealliance/jco")?;
    let output = Command::new(installed::node())
        .arg(installed::folder().join("embedder/run.mjs"))
        .arg(component)
        .args([settings.to_string(), status.to_string()])
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the embedder failed: {stderr}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_project_in_c() -> anyhow::Result<()> {
    let component = Project::write("c", "traces")?.make("")?;
    let settings = json!({"endpoint": "https://board.example/in", "token": "placeholder"});
    let saw = used(&component, &settings, 200)?;
    assert_eq!(saw["description"]["name"], "acme-board");
    assert_eq!(saw["result"]["outcome"]["val"]["tag"], "delivered");
    let request = &saw["sent"][0];
    assert_eq!(request["url"], "https://board.example/in");
    assert_eq!(
        request["auth"],
        json!({"tag": "bearer", "val": "placeholder"})
    );
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap())?;
    assert_eq!(body[0]["id"], "2ef715a36f006237");
    let saw = used(&component, &settings, 429)?;
    assert_eq!(saw["result"]["outcome"]["val"]["tag"], "retry");
    assert_eq!(saw["result"]["notBefore"]["wait"], 2_000_000_000_u64);
    Ok(())
}

#[test]
fn the_webhook_exporter() -> anyhow::Result<()> {
    let component = components::exporter("webhook")?;
    let saw = used(&component, &json!({"url": "https://hook.example/x"}), 413)?;
    assert_eq!(saw["result"]["outcome"]["tag"], "too-large");
    let body: Value = serde_json::from_str(saw["sent"][0]["body"].as_str().unwrap())?;
    assert_eq!(body[0]["exportedSpan"]["name"], "say \"hi\"");
    Ok(())
}

#[test]
fn the_json_exporter() -> anyhow::Result<()> {
    let saw = used(
        &components::exporter("json")?,
        &json!({"output": "target"}),
        200,
    )?;
    assert_eq!(saw["result"]["outcome"]["val"]["tag"], "delivered");
    assert_eq!(saw["appended"][0]["signal"], "traces");
    let line: Value = serde_json::from_str(saw["appended"][0]["lines"].as_str().unwrap())?;
    assert_eq!(line["exportedSpan"]["input"], json!({"n": 1.0}));
    Ok(())
}
