//! Reads samples back from Prometheus, and from what speaks its query API.

use anyhow::Context as _;
use serde_json::Value;

use crate::server::{Server, poll};

/// Waits until an instant query finds exactly this value; `query` is without characters that a URL must escape.
///
/// # Errors
/// When the server refuses the query, or never finds it.
pub async fn wait_for(server: &Server, query: &str, expected: f64) -> anyhow::Result<()> {
    let mut last = Vec::new();
    let found = poll(query, async || {
        last = values(server, query).await?;
        Ok((last == [expected]).then_some(()))
    })
    .await;
    found.with_context(|| format!("{query} is {last:?}, not {expected}"))
}

/// The values that an instant query finds now.
///
/// # Errors
/// When the server refuses the query.
pub async fn values(server: &Server, query: &str) -> anyhow::Result<Vec<f64>> {
    let target = format!("/api/v1/query?query={query}");
    let reply = server.get(&target).await?.json()?;
    let found = reply.pointer("/data/result").and_then(Value::as_array);
    let value = |sample: &Value| sample.pointer("/value/1")?.as_str()?.parse().ok();
    Ok(found.into_iter().flatten().filter_map(value).collect())
}
