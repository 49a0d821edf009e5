use mastra_exporter_sdk::records::SpanAncestor;
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::ancestry::{root_run_id, run_id};
use super::*;
use crate::config::Settings;
use crate::wire::step;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// 2026-03-04T05:06:07Z
const START: u64 = 1_772_600_767_000_000_000;

fn config() -> Config {
    let settings = json!({"api_key": "k", "project_name": "p"});
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

/// An ended span that starts so many milliseconds after [`START`].
fn event(id: &str, parent: Option<&str>, millis: u64, extra: &Value) -> String {
    let mut whole = json!({
        "id": id, "traceId": TRACE, "name": id, "type": "generic", "startTime": format!("2026-03-04T05:06:07.{millis:03}Z"),
        "endTime": "2026-03-04T05:06:08.000Z", "isEvent": false, "isRootSpan": parent.is_none(),
    });
    if let Some(parent) = parent {
        whole["parentSpanId"] = parent.into();
    }
    for (key, value) in extra.as_object().unwrap() {
        whole[key] = value.clone();
    }
    json!({"type": "span_ended", "exportedSpan": whole}).to_string()
}

fn mapped_batch(batch: &SpanBatch) -> Vec<Value> {
    let written = |run: Run<'_>| {
        let mut text = JsonText::default();
        run.write(&mut text);
        serde_json::from_str(text.as_str())
            .unwrap_or_else(|error| panic!("{error}: {}", text.as_str()))
    };
    runs(batch, &config()).into_iter().map(written).collect()
}

fn mapped_all(events: &[String]) -> Vec<Value> {
    mapped_batch(&batches(&events.join("\n")).spans)
}

fn mapped(extra: &Value) -> Value {
    mapped_all(&[event("a", None, 0, extra)]).remove(0)
}

fn millis(number: u64) -> u64 {
    START + number * 1_000_000
}

#[test]
fn every_ancestor_is_in_the_order_whatever_the_order_of_arrival() {
    let root = event("a", None, 0, &json!({}));
    let child = event("b", Some("a"), 5, &json!({}));
    let grandchild = event("c", Some("b"), 7, &json!({}));
    let runs = mapped_all(&[grandchild, child, root]);
    let [root_id, child_id, id] = [root_run_id(TRACE), run_id(TRACE, "b"), run_id(TRACE, "c")];
    let expected = [
        step(millis(0), &root_id),
        step(millis(5), &child_id),
        step(millis(7), &id),
    ];
    assert_eq!(runs[0]["dotted_order"], expected.join("."));
    assert_eq!(runs[0]["parent_run_id"], child_id);
    assert_eq!(runs[1]["dotted_order"], expected[..2].join("."));
    assert_eq!(runs[2]["dotted_order"], expected[0]);
    assert_eq!(
        (&runs[2]["id"], runs[2].get("parent_run_id")),
        (&json!(root_id), None)
    );
    assert!(runs.iter().all(|run| run["trace_id"] == root_id));
}

#[test]
fn a_late_span_hangs_below_the_ancestors_that_the_host_remembers() {
    let mut batch = batches(&event("c", Some("b"), 7, &json!({}))).spans;
    let ancestor = |id: &str, parent: Option<&str>, number| SpanAncestor {
        trace_id: TRACE.to_owned(),
        span_id: id.to_owned(),
        parent_span_id: parent.map(str::to_owned),
        name: id.to_owned(),
        start_time: millis(number),
    };
    batch.ancestors = vec![ancestor("a", None, 0), ancestor("b", Some("a"), 5)];
    let run = mapped_batch(&batch).remove(0);
    let expected = [
        step(millis(0), &root_run_id(TRACE)),
        step(millis(5), &run_id(TRACE, "b")),
        step(millis(7), &run_id(TRACE, "c")),
    ];
    assert_eq!(run["dotted_order"], expected.join("."));
}

#[test]
fn spans_without_known_ancestors_hang_below_the_root_of_their_trace() {
    let child = event("b", Some("unknown"), 5, &json!({}));
    let grandchild = event("c", Some("b"), 7, &json!({}));
    let runs = mapped_all(&[child, grandchild]);
    let root_id = root_run_id(TRACE);
    let expected = [
        step(millis(5), &root_id),
        step(millis(5), &run_id(TRACE, "b")),
        step(millis(7), &run_id(TRACE, "c")),
    ];
    assert_eq!(runs[0]["dotted_order"], expected[..2].join("."));
    assert_eq!(
        (&runs[0]["parent_run_id"], &runs[0]["trace_id"]),
        (&json!(root_id), &json!(root_id))
    );
    assert_eq!(runs[1]["dotted_order"], expected.join("."));
}

#[test]
fn a_child_never_starts_before_its_parent() {
    let root = event("a", None, 10, &json!({}));
    let early = event("b", Some("a"), 5, &json!({}));
    let below = event("c", Some("b"), 6, &json!({}));
    let runs = mapped_all(&[root, early, below]);
    for run in &runs {
        assert_eq!(run["start_time"], "2026-03-04T05:06:07.010000Z");
    }
}

#[test]
fn of_two_roots_in_a_batch_the_first_is_the_root_and_nothing_is_lost() {
    let runs = mapped_all(&[
        event("b", None, 5, &json!({})),
        event("a", None, 0, &json!({})),
    ]);
    assert_eq!(
        (&runs[1]["id"], runs[1].get("parent_run_id")),
        (&json!(root_run_id(TRACE)), None)
    );
    assert_eq!(
        (&runs[0]["id"], &runs[0]["parent_run_id"]),
        (&json!(run_id(TRACE, "b")), &json!(root_run_id(TRACE)))
    );
}

#[test]
fn a_circle_of_parents_ends() {
    let runs = mapped_all(&[
        event("a", Some("b"), 0, &json!({})),
        event("b", Some("a"), 1, &json!({})),
    ]);
    assert_eq!(runs.len(), 2);
}

#[test]
fn a_span_that_comes_twice_is_one_run() {
    let runs = mapped_all(&[
        event("a", None, 0, &json!({})),
        event("a", None, 0, &json!({"output": {"b": 1}})),
    ]);
    assert_eq!((runs.len(), &runs[0]["outputs"]), (1, &json!({"b": 1})));
}

#[test]
fn inputs_and_outputs_are_objects() {
    for (value, wrapped) in [
        (json!({"a": 1}), json!({"a": 1})),
        (json!([1]), json!({"input": [1]})),
        (json!("é"), json!({"input": "é"})),
        (json!(null), json!({"input": null})),
    ] {
        assert_eq!(mapped(&json!({"input": value}))["inputs"], wrapped);
    }
    assert_eq!(
        mapped(&json!({"output": false}))["outputs"],
        json!({"output": false})
    );
    let empty = mapped(&json!({}));
    assert_eq!((&empty["inputs"], empty.get("outputs")), (&json!({}), None));
}

#[test]
fn generations_have_usage_cost_and_the_first_token() {
    let run = mapped(&json!({"type": "model_generation", "attributes": {
        "model": "gpt", "provider": "openai", "responseModel": "gpt-1", "parameters": {"topP": 1},
        "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 5, "inputDetails": {"cacheRead": 3, "cacheWrite": 2,
            "cacheWrite5m": 1, "cacheWrite1h": 1, "audio": 0}, "outputDetails": {"reasoning": 1, "audio": 4}},
        "costContext": {"estimatedCost": 0.5, "costUnit": "USD", "costMetadata": {"source": "provider_reported"}},
        "completionStartTime": "2026-03-04T05:06:07.125Z"}}));
    assert_eq!(run["run_type"], "llm");
    assert_eq!(
        run["events"],
        json!([{"name": "new_token", "time": "2026-03-04T05:06:07.125Z"}])
    );
    let metadata = &run["extra"]["metadata"];
    assert_eq!(
        (&metadata["ls_model_name"], &metadata["ls_provider"]),
        (&json!("gpt"), &json!("openai"))
    );
    assert_eq!(metadata["modelParameters"], json!({"topP": 1}));
    assert_eq!(
        metadata["usage_metadata"],
        json!({"input_tokens": 1_234_567_890_123_u64, "output_tokens": 5,
        "total_tokens": 1_234_567_890_128_u64, "input_token_details": {"cache_read": 3, "cache_write": 2,
            "cache_creation_5m": 1, "cache_creation_1h": 1, "audio": 0},
        "output_token_details": {"reasoning_tokens": 1, "audio": 4}, "total_cost": 0.5})
    );
}

#[test]
fn a_project_comes_from_the_span_its_ancestors_or_the_settings() {
    let root = event(
        "a",
        None,
        0,
        &json!({"metadata": {"langsmith": {"projectName": "x", "sessionId": "s"}}}),
    );
    let child = event("b", Some("a"), 1, &json!({}));
    let runs = mapped_all(&[root, child]);
    assert_eq!(
        (&runs[0]["session_name"], &runs[1]["session_name"]),
        (&json!("x"), &json!("x"))
    );
    assert_eq!(runs[0]["extra"]["metadata"]["session_id"], "s");
    assert!(runs[0]["extra"]["metadata"].get("langsmith").is_none());
    assert_eq!(mapped(&json!({}))["session_name"], "p");
}

#[test]
fn errors_events_tags_and_empty_names_have_their_places() {
    let run = mapped(
        &json!({"errorInfo": {"message": "no", "name": "TypeError"}, "name": "", "tags": ["t"],
        "isEvent": true, "type": "client_tool_call"}),
    );
    assert_eq!((&run["error"], &run["tags"]), (&json!("no"), &json!(["t"])));
    assert_eq!(
        run["extra"]["metadata"]["errorDetails"],
        json!({"message": "no", "name": "TypeError"})
    );
    assert_eq!(
        (&run["name"], &run["run_type"]),
        (&json!("client_tool_call"), &json!("tool"))
    );
    let mut batch = batches(&event("a", None, 3, &json!({"isEvent": true}))).spans;
    batch.spans[0].end_time = None;
    let run = mapped_batch(&batch).remove(0);
    assert_eq!(run["start_time"], run["end_time"]);
}

fn judged(event: &Value) -> Result<Value, &'static str> {
    let all = batches(&event.to_string());
    let scores = all.scores.scores.iter().map(feedback::score);
    let items = all.feedback.feedback.iter().map(feedback::feedback);
    let item = scores.chain(items).next().unwrap()?;
    let mut text = JsonText::default();
    item.write(&mut text);
    Ok(serde_json::from_str(text.as_str()).unwrap())
}

fn score(extra: &Value) -> Value {
    let mut score = json!({"scoreId": "s-1", "timestamp": "2026-03-04T05:06:10.146Z", "scorerId": "relevance", "score": -0.5,
        "traceId": TRACE, "spanId": "b"});
    for (key, value) in extra.as_object().unwrap() {
        score[key] = value.clone();
    }
    json!({"type": "score", "score": score})
}

#[test]
fn a_score_finds_the_run_of_its_span() {
    let item = judged(&score(&json!({"scorerName": "", "reason": ""}))).unwrap();
    assert_eq!(
        (&item["run_id"], &item["trace_id"]),
        (&json!(run_id(TRACE, "b")), &json!(root_run_id(TRACE)))
    );
    assert_eq!(
        (&item["key"], &item["score"], item.get("comment")),
        (&json!("relevance"), &json!(-0.5), None)
    );
    assert_eq!(item["id"], ids_of_feedback("s-1"));
}

fn ids_of_feedback(id: &str) -> String {
    mastra_exporter_sdk::ids::uuid("langsmith-feedback", id)
}

#[test]
fn a_score_of_a_trace_or_of_its_root_span_is_the_root_runs() {
    let root = json!({"entityType": "agent", "entityId": "a", "rootEntityType": "agent", "rootEntityId": "a"});
    let mut child = root.clone();
    child["parentEntityType"] = "agent".into();
    let of_root = judged(&score(&json!({"correlationContext": root}))).unwrap();
    assert_eq!(of_root["run_id"], root_run_id(TRACE));
    let of_child = judged(&score(&json!({"correlationContext": child}))).unwrap();
    assert_eq!(of_child["run_id"], run_id(TRACE, "b"));
    let mut event = score(&json!({"scoreTraceId": TRACE}));
    event["score"].as_object_mut().unwrap().remove("spanId");
    let of_trace = judged(&event).unwrap();
    assert_eq!(of_trace["run_id"], root_run_id(TRACE));
    assert_eq!(
        of_trace["feedback_source"]["metadata"]["scoreTraceId"],
        TRACE
    );
    event["score"].as_object_mut().unwrap().remove("traceId");
    assert_eq!(judged(&event), Err("a score without a trace"));
}

#[test]
fn numbers_are_scores_and_words_are_values() {
    let item = |kind: &str, value: Value| {
        judged(&json!({"type": "feedback", "feedback": {"feedbackId": "0199AA00-0000-7000-8000-00000000000f",
            "timestamp": "2026-03-04T05:06:10.146Z", "feedbackType": kind, "value": value, "traceId": TRACE,
            "feedbackUserId": "u", "comment": "c"}}))
        .unwrap()
    };
    let number = item("rating", json!(4));
    assert_eq!((&number["score"], number.get("value")), (&json!(4), None));
    assert_eq!(number["id"], "0199aa00-0000-7000-8000-00000000000f");
    assert_eq!(
        number["feedback_source"],
        json!({"type": "app", "metadata": {"feedbackUserId": "u"}})
    );
    let words = item("correction", json!("Retry"));
    assert_eq!(
        (words.get("score"), &words["value"]),
        (None, &json!("Retry"))
    );
    let thumb = item("thumbs", json!("down"));
    assert_eq!(
        (&thumb["score"], &thumb["value"]),
        (&json!(0), &json!("down"))
    );
    assert_eq!(item("", json!(1))["key"], "feedback");
}
