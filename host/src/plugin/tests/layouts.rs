//! Records in one block, laid out by the host, and records that the engine lowers are the same to a component, field by
//! field: one writes down what it was handed, by bindings that know nothing of either.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{batch, event, misbehaving, pool_settings};
use crate::event::{EventKind, Signal};
use crate::plugin::guest::Guest as _;
use crate::plugin::outcome::{ItemResult, SendOutcome};
use crate::plugin::{Output, OutputBounds, OutputTarget, Pool};

/// Records that have every field, before some are left out.
fn whole() -> [(Signal, EventKind, Value); 3] {
    let entity =
        json!({"entityType": "agent", "entityId": "e", "entityName": "n", "entityVersionId": "v"});
    let with = |mut record: Value, more: &Value| {
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        record
    };
    let scope = json!({"name": "lib", "version": "1", "attributes": {"s": 1}, "schemaUrl": "u", "droppedAttributesCount": 3, "more": true});
    let resource = json!({"serviceName": "shop", "serviceVersion": "2", "environment": "live", "projectId": "p", "attributes": {"r": [1, 2]}, "schemaUrl": "u", "droppedAttributesCount": 4, "more": 1});
    let correlation = with(
        json!({
            "traceId": "ab12", "spanId": "cd34", "tags": ["a", "", "c"], "parentEntityType": "workflow_run", "parentEntityId": "pe",
            "rootEntityType": "agent", "rootEntityId": "re", "userId": "u", "organizationId": "o", "resourceId": "r", "runId": "run",
            "sessionId": "s", "threadId": "t", "requestId": "q", "environment": "live", "source": "cloud", "serviceName": "shop",
            "experimentId": "x", "unnamed": {"k": null}
        }),
        &entity,
    );
    let cost = json!({"provider": "openai", "model": "gpt", "estimatedCost": 0.25, "costUnit": "USD", "costMetadata": {"c": 1}});
    let span = with(
        json!({
            "id": "2ef715a36f006237", "traceId": "4cdc4db2c6dcc0694acd43abc49c8214", "parentSpanId": "1ef715a36f006237", "externalParentSpanId": "3ef7",
            "name": "chat", "type": "model_generation", "startTime": "2026-03-04T05:06:07.000Z", "endTime": "2026-03-04T05:06:08.000Z",
            "isEvent": false, "isRootSpan": true, "isInternal": true, "metadata": {"m": 1}, "tags": ["x", "y"], "input": [1, "two"], "output": {"o": null},
            "requestContext": {"rc": 1}, "resource": resource, "unnamed": 7,
            "errorInfo": {"message": "no", "id": "E1", "name": "Error", "stack": "at x", "domain": "d", "category": "c", "details": {"d": 1}, "unnamed": 2},
            "attributes": {
                "model": "gpt", "provider": "openai", "responseModel": "gpt-4", "responseId": "r1", "finishReason": "stop", "streaming": true,
                "completionStartTime": "2026-03-04T05:06:07.500Z", "parameters": {"temperature": 0.5}, "serverAddress": "api", "serverPort": 443,
                "usage": {"inputTokens": 10, "outputTokens": 5_000_000_000_u64, "inputDetails": {"text": 1, "cacheRead": 2, "cacheWrite": 3, "audio": 4, "image": 5}, "outputDetails": {"text": 1, "reasoning": 2, "audio": 3, "image": 4}},
                "costContext": cost
            },
            "otel": {
                "kind": "client", "status": {"code": "error", "message": "bad"}, "traceState": "a=b", "flags": 257, "droppedAttributesCount": 1,
                "droppedEventsCount": 2, "droppedLinksCount": 3, "scope": scope,
                "links": [{"traceId": "ab", "spanId": "cd", "traceState": "l", "attributes": {"l": 1}, "droppedAttributesCount": 1, "flags": 1}, {"traceId": "ab", "spanId": "ce"}],
                "events": [{"time": "2026-03-04T05:06:07.100Z", "name": "e", "attributes": {"e": 1}, "droppedAttributesCount": 2}, {"time": "2026-03-04T05:06:07.200Z", "name": ""}]
            }
        }),
        &entity,
    );
    let log = json!({
        "logId": "l1", "timestamp": "2026-03-04T05:06:07.000Z", "traceId": "ab12", "spanId": "cd34", "level": "warn", "message": "hm", "data": {"d": 1},
        "tags": ["t"], "correlationContext": correlation, "metadata": {"m": 1}, "resource": resource, "unnamed": 1,
        "otel": {"severityNumber": 13, "severityText": "WARN", "body": {"b": 1}, "eventName": "ev", "observedTime": "2026-03-04T05:06:08.000Z", "flags": 1, "attributes": {"a": 1}, "droppedAttributesCount": 2, "scope": scope}
    });
    let metric = json!({
        "metricId": "m1", "timestamp": "2026-03-04T05:06:07.000Z", "traceId": "ab12", "spanId": "cd34", "name": "tokens", "value": 1.5, "unit": "ms",
        "labels": {"a": "1", "b": ""}, "correlationContext": correlation, "costContext": cost, "metadata": {"unread": 1}, "resource": resource, "unnamed": 1,
        "otel": {"description": "d", "startTime": "2026-03-04T05:06:00.000Z", "metadata": {"m": 1}, "attributes": {"n": 1}, "flags": 1, "scope": scope,
            "exemplars": [{"time": "2026-03-04T05:06:07.000Z", "value": -3, "traceId": "ab", "spanId": "cd", "filteredAttributes": {"f": 1}}, {"time": "2026-03-04T05:06:07.000Z", "value": 0.5}]}
    });
    [
        (Signal::Traces, EventKind::SpanEnded, span),
        (Signal::Logs, EventKind::Log, log),
        (Signal::Metrics, EventKind::Metric, metric),
    ]
}

fn metric_values() -> [Value; 8] {
    let buckets = json!({"offset": -2, "counts": [1, 0, 9_000_000_000_u64]});
    [
        json!(1.5),
        json!({"type": "sum", "value": 5, "temporality": "delta", "isMonotonic": true}),
        json!({"type": "sum", "value": -0.5, "temporality": "cumulative", "isMonotonic": false}),
        json!({"type": "gauge", "value": -7}),
        json!({"type": "histogram", "count": 3, "sum": 1.5, "min": 0.1, "max": 0.9, "bucketCounts": [1, 2], "bounds": [0.5], "temporality": "delta"}),
        json!({"type": "histogram", "count": 0, "bucketCounts": [], "bounds": [], "temporality": "unspecified"}),
        json!({"type": "exponentialHistogram", "count": 3, "sum": 1.0, "min": 0.1, "max": 0.9, "scale": -1, "zeroCount": 1, "zeroThreshold": 0.01, "positive": buckets, "negative": {"offset": 0, "counts": []}, "temporality": "cumulative"}),
        json!({"type": "summary", "count": 2, "sum": 3.0, "quantiles": [{"quantile": 0.5, "value": 1.0}, {"quantile": 1.0, "value": 2.0}]}),
    ]
}

/// Members without which a record, or what it holds, is refused.
const REQUIRED: [&str; 31] = [
    "id",
    "traceId",
    "spanId",
    "name",
    "type",
    "startTime",
    "logId",
    "timestamp",
    "level",
    "message",
    "metricId",
    "value",
    "time",
    "quantile",
    "count",
    "sum",
    "temporality",
    "bucketCounts",
    "bounds",
    "positive",
    "negative",
    "kind",
    "code",
    "labels",
    "scale",
    "zeroCount",
    "zeroThreshold",
    "offset",
    "counts",
    "quantiles",
    "isMonotonic",
];

/// Leaves out some members, and makes texts of another length, so that everything comes at other places.
fn vary(value: &mut Value, rng: &mut fastrand::Rng) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| REQUIRED.contains(&name.as_str()) || rng.u8(..4) > 0);
            for (name, member) in members.iter_mut() {
                if !REQUIRED.contains(&name.as_str()) || member.is_object() {
                    vary(member, rng);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| vary(element, rng)),
        Value::String(text) if text.len() < 6 && !is_id(text) && rng.bool() => {
            *text = ["", "é", "\u{1f980}\n", "\"quoted\"", "long long long text"][rng.usize(..5)]
                .to_owned();
        }
        _ => {}
    }
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the component wrote down of these batches when its records come so, and how many blocks it was asked for.
async fn written(how: &str, directory: &Path, batches: &[(Signal, Vec<Value>)]) -> (String, u64) {
    let mut blocks = 0;
    let path = directory.join(how);
    let mut settings = pool_settings(&format!(r#"{{"capacity":"{how}"}}"#));
    let bounds = OutputBounds { max_bytes: 1 << 30 };
    let target = OutputTarget::File(path.clone());
    settings.guest.output = Some(Arc::new(Output::new(target, bounds)));
    let pool = Pool::start(&misbehaving(), settings).await.unwrap();
    for (signal, records) in batches {
        let kind = whole().into_iter().find(|(of, ..)| of == signal).unwrap().1;
        let events = records
            .iter()
            .map(|record| event(kind, &record.to_string()));
        let answer = pool.send(batch(*signal, events)).await.unwrap();
        match answer.outcome {
            SendOutcome::AllItems(ItemResult::Skipped(count)) => {
                blocks += count.parse::<u64>().unwrap()
            }
            other => panic!("{other:?} of {records:?}"),
        }
    }
    (std::fs::read_to_string(path).unwrap(), blocks)
}

#[tokio::test]
async fn records_in_one_block_are_those_that_the_engine_lowers() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut batches = Vec::new();
    for round in 0..60 {
        for (signal, _, record) in whole() {
            let records = (0..1 + round % 5).map(|place| {
                let mut record = record.clone();
                if signal == Signal::Metrics {
                    record["value"] = metric_values()[(round + place) % 8].clone();
                }
                // The first is whole.
                if round > 0 {
                    vary(&mut record, &mut rng);
                }
                record
            });
            batches.push((signal, records.collect::<Vec<_>>()));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (packed, few) = written("one block", directory.path(), &batches).await;
    let (lowered, many) = written("blocks", directory.path(), &batches).await;
    assert_eq!(packed.lines().count(), batches.len());
    for (packed, lowered) in packed.lines().zip(lowered.lines()) {
        assert_eq!(packed, lowered);
    }
    assert!(few < many / 2, "{few} blocks and not {many}");
    // What came is what was sent, and not twice the same nothing.
    for part in [
        "\"gpt-4\"",
        "ExponentialBuckets",
        "\"ev\"",
        "filtered-attributes: Some",
        "5000000000",
    ] {
        assert!(packed.contains(part), "{part}");
    }
    assert!(!packed.contains("unread"), "the component does not read it");
}
