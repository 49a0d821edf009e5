//! Logs as rows: points in time below the span that wrote them. Braintrust has no other place for logs. The row's id is
//! derived from the log's.

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{Log, LogBatch};
use mastra_llm::merged::Merged;

use crate::wire::Row;

/// The rows, and for each log of the batch why it is not among them.
#[must_use]
pub fn rows(batch: &LogBatch) -> (Vec<Row<'_>>, Vec<Option<String>>) {
    let reason = |log: &Log| {
        let is_alone = log.trace_id.is_none();
        is_alone.then(|| "a log without a trace".to_owned())
    };
    (
        batch.logs.iter().filter_map(row).collect(),
        batch.logs.iter().map(reason).collect(),
    )
}

fn row(log: &Log) -> Option<Row<'_>> {
    let trace_id = log.trace_id.as_deref()?;
    let mut message = JsonText::with_capacity(log.message.len() + 2);
    message.string(&log.message);
    let line = log.message.lines().next().unwrap_or_default().trim();
    let is_error = matches!(log.level.to_ascii_lowercase().as_str(), "error" | "fatal");
    Some(Row {
        id: ids::span_id("log", &log.log_id),
        root_span_id: trace_id,
        parent: Some(log.span_id.as_deref().unwrap_or(trace_id)),
        created: log.time,
        name: if line.is_empty() { "log" } else { line },
        row_type: None,
        start: log.time,
        end: Some(log.time),
        metrics: Vec::new(),
        input: None,
        output: Some(message.into_string()),
        error: is_error.then_some(log.message.as_str()),
        metadata: metadata(log),
        tags: &[],
    })
}

/// The log's metadata and data, and what it is.
fn metadata(log: &Log) -> Merged<'_> {
    let mut metadata = Merged::default();
    metadata.layer(log.metadata.as_ref());
    metadata.text("spanType", "log");
    metadata.text("level", &log.level);
    metadata.text("logId", &log.log_id);
    if let Some(data) = &log.data {
        metadata.raw("data", data.as_str());
    }
    metadata.without_nulls();
    metadata
}
