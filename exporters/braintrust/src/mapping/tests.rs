use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;

fn envelope(kind: &str, span: &Value) -> String {
    let mut whole = json!({
        "id": "00f067aa0ba902b7", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "n", "type": "generic",
        "startTime": "2026-03-04T05:06:07.003Z", "endTime": "2026-03-04T05:06:08.000Z", "isEvent": false,
        "isRootSpan": false, "parentSpanId": "b7ad6b7169203331",
    });
    for (key, value) in span.as_object().unwrap() {
        if value.is_null() && key.ends_with('!') {
            whole
                .as_object_mut()
                .unwrap()
                .remove(key.trim_end_matches('!'));
        } else {
            whole[key] = value.clone();
        }
    }
    json!({"type": kind, "exportedSpan": whole}).to_string()
}

fn mapped_all(ndjson: &str) -> Vec<Value> {
    let batch = batches(ndjson).spans;
    let mut text = JsonText::default();
    write_events(&mut text, &spans(&batch));
    let body: Value = serde_json::from_str(text.as_str())
        .unwrap_or_else(|error| panic!("{error}: {}", text.as_str()));
    body["events"].as_array().unwrap().clone()
}

fn mapped(span: &Value) -> Value {
    mapped_all(&envelope("span_ended", span)).remove(0)
}

#[test]
fn ids_are_the_spans_own_and_times_are_seconds() {
    let row = mapped(&json!({}));
    assert_eq!(
        (&row["id"], &row["span_id"]),
        (&json!("00f067aa0ba902b7"), &json!("00f067aa0ba902b7"))
    );
    assert_eq!(row["root_span_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(row["span_parents"], json!(["b7ad6b7169203331"]));
    assert_eq!(
        row["metrics"],
        json!({"start": 1_772_600_767.003, "end": 1_772_600_768})
    );
    assert_eq!(
        (&row["created"], &row["_is_merge"]),
        (&json!("2026-03-04T05:06:07.003Z"), &json!(true))
    );
}

#[test]
fn of_several_snapshots_in_a_batch_the_last_one_is_sent() {
    let lines = [
        envelope("span_ended", &json!({"output": "done"})),
        envelope("span_started", &json!({"endTime!": null})),
        envelope(
            "span_started",
            &json!({"id": "00f067aa0ba902b8", "endTime!": null}),
        ),
        envelope(
            "span_updated",
            &json!({"id": "00f067aa0ba902b8", "endTime!": null, "input": 1}),
        ),
    ];
    let rows = mapped_all(&lines.join("\n"));
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["output"], &rows[0]["metrics"]["end"]),
        (&json!("done"), &json!(1_772_600_768))
    );
    assert_eq!(
        (&rows[1]["input"], rows[1]["metrics"].get("end")),
        (&json!(1), None)
    );
}

#[test]
fn a_root_has_no_parent_unless_it_resumes_a_span() {
    let parents = |metadata: Value| {
        mapped(&json!({"isRootSpan": true, "metadata": metadata}))["span_parents"].clone()
    };
    assert_eq!(parents(json!({})), json!([]));
    assert_eq!(
        parents(json!({"resumedFromSpanId": "b7ad6b7169203331"})),
        json!(["b7ad6b7169203331"])
    );
}

#[test]
fn event_spans_are_points_in_time() {
    let row = mapped(&json!({"isEvent": true, "endTime!": null, "output": {"stage": "done"}}));
    assert_eq!(row["metrics"]["start"], row["metrics"]["end"]);
    assert_eq!(row["output"], json!({"stage": "done"}));
}

#[test]
fn errors_are_told_with_their_details() {
    let row = mapped(
        &json!({"errorInfo": {"message": "no", "id": "E", "name": "TypeError", "stack": "at x",
        "domain": "TOOL", "category": "USER", "details": {"status": 503}}}),
    );
    assert_eq!(row["error"], "no");
    assert_eq!(
        row["metadata"]["errorDetails"],
        json!({"message": "no", "id": "E", "name": "TypeError",
        "stack": "at x", "domain": "TOOL", "category": "USER", "details": {"status": 503}})
    );
}

#[test]
fn generations_have_messages_tokens_and_a_model() {
    let row = mapped(&json!({"type": "model_generation",
        "input": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Olá ☀️ \u{2028}\"q\""}]}]},
        "output": {"text": "ok", "reasoning": null, "toolCalls": []},
        "attributes": {"model": "gpt", "responseModel": "gpt-1", "provider": "openai", "parameters": {"topP": 1},
            "usage": {"inputTokens": 1_234_567_890_123_u64, "outputTokens": 5,
                "inputDetails": {"cacheRead": 3, "cacheWrite": 2}, "outputDetails": {"reasoning": 1}},
            "costContext": {"estimatedCost": 0.5, "costUnit": "USD", "costMetadata": {"source": "provider_reported"}},
            "completionStartTime": "2026-03-04T05:06:07.128Z"}}));
    assert_eq!(row["span_attributes"], json!({"name": "n", "type": "llm"}));
    assert_eq!(
        row["input"],
        json!([{"role": "user", "content": "Olá ☀️ \u{2028}\"q\""}])
    );
    assert_eq!(
        row["output"],
        json!({"role": "assistant", "content": "ok", "toolCalls": []})
    );
    assert_eq!(
        row["metrics"],
        json!({"start": 1_772_600_767.003, "end": 1_772_600_768,
        "prompt_tokens": 1_234_567_890_123_u64, "completion_tokens": 5, "tokens": 1_234_567_890_128_u64,
        "completion_reasoning_tokens": 1, "prompt_cached_tokens": 3, "prompt_cache_creation_tokens": 2,
        "time_to_first_token": 0.125, "estimated_cost": 0.5})
    );
    let metadata = &row["metadata"];
    assert_eq!(
        (&metadata["model"], &metadata["modelParameters"]),
        (&json!("gpt-1"), &json!({"topP": 1}))
    );
    assert!(metadata.get("usage").is_none() && metadata.get("responseModel").is_none());
}

#[test]
fn the_id_of_a_tool_call_is_looked_for_in_order() {
    let id = |span: Value| {
        let mut span = span;
        span["type"] = json!("tool_call");
        let row = mapped(&span);
        assert_eq!(row["span_attributes"]["type"], "tool");
        row["input"][0]["tool_calls"][0]["id"].clone()
    };
    assert_eq!(
        id(
            json!({"input": {}, "attributes": {"toolCallId": "a"}, "metadata": {"toolCallId": "m"}})
        ),
        "a"
    );
    assert_eq!(
        id(json!({"input": {"toolCallId": "i"}, "metadata": {"toolCallId": "m"}})),
        "m"
    );
    assert_eq!(id(json!({"input": {"toolCallId": "i"}})), "i");
    assert_eq!(id(json!({"input": 1})), "00f067aa0ba902b7");
}

#[test]
fn a_tool_is_called_by_its_entity_or_by_what_its_span_quotes() {
    let name = |span: Value| {
        let mut span = span;
        span["type"] = json!("mcp_tool_call");
        span["input"] = json!({});
        mapped(&span)["input"][0]["tool_calls"][0]["function"]["name"].clone()
    };
    assert_eq!(
        name(json!({"entityName": "send", "name": "tool: 'x'"})),
        "send"
    );
    assert_eq!(name(json!({"name": "tool: 'x' on 'y'"})), "x");
    assert_eq!(name(json!({"name": "plain"})), "plain");
}

#[test]
fn nulls_stay_in_values_and_leave_metadata() {
    let row = mapped(
        &json!({"input": null, "metadata": {"a": null, "b": {"c": null}}, "attributes": {"d": null}}),
    );
    assert_eq!(row["input"], Value::Null);
    assert!(row.get("input").is_some() && row.get("output").is_none());
    let metadata = json!({"b": {"c": null}, "spanType": "generic", "mastra-trace-id": "4bf92f3577b34da6a3ce929d0e0e4736"});
    assert_eq!(row["metadata"], metadata);
}

#[test]
fn attributes_go_before_metadata_of_the_same_name() {
    let row = mapped(&json!({"metadata": {"phase": "old"}, "attributes": {"phase": "new"}}));
    assert_eq!(row["metadata"]["phase"], "new");
}

fn judged(event: &Value) -> Result<Value, &'static str> {
    let all = batches(&event.to_string());
    let scores = all.scores.scores.iter().map(judgements::score);
    let feedback = all.feedback.feedback.iter().map(judgements::feedback);
    let judgement = scores.chain(feedback).next().unwrap()?;
    let mut text = JsonText::default();
    judgements::write(&mut text, &[judgement]);
    Ok(serde_json::from_str(text.as_str()).unwrap())
}

fn score(extra: &Value) -> Value {
    let mut score = json!({"scoreId": "s", "timestamp": "2026-03-04T05:06:10.146Z", "scorerId": "relevance", "score": 0.5,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"});
    for (key, value) in extra.as_object().unwrap() {
        score[key] = value.clone();
    }
    json!({"type": "score", "score": score})
}

fn feedback(kind: &str, value: &Value, comment: Option<&str>) -> Value {
    json!({"type": "feedback", "feedback": {"feedbackId": "f", "timestamp": "2026-03-04T05:06:10.146Z",
        "feedbackType": kind, "value": value, "comment": comment,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}})
}

#[test]
fn shares_are_scores_and_other_numbers_are_words() {
    for (value, scores, comment) in [
        (json!(0), json!({"relevance": 0}), Value::Null),
        (json!(1), json!({"relevance": 1}), Value::Null),
        (json!(1.0001), Value::Null, json!("relevance: 1.0001")),
        (json!(-0.5), Value::Null, json!("relevance: -0.5")),
    ] {
        let body = judged(&score(&json!({"score": value}))).unwrap();
        let item = &body["feedback"][0];
        assert_eq!((&item["scores"], &item["comment"]), (&scores, &comment));
        assert_eq!(item["id"], "00f067aa0ba902b7");
        assert_eq!(body["events"], json!([]));
    }
}

#[test]
fn what_is_about_a_trace_gets_a_row_of_its_own_in_it() {
    let mut event = score(&json!({"reason": "On topic", "scorerName": ""}));
    event["score"].as_object_mut().unwrap().remove("spanId");
    let body = judged(&event).unwrap();
    let (row, item) = (&body["events"][0], &body["feedback"][0]);
    assert_eq!(
        (&row["id"], &item["comment"]),
        (&item["id"], &json!("On topic"))
    );
    assert_eq!(row["root_span_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        row["span_parents"],
        json!(["4bf92f3577b34da6a3ce929d0e0e4736"]),
        "no second root"
    );
    assert_eq!(
        row["span_attributes"],
        json!({"name": "relevance", "type": "score", "purpose": "scorer"})
    );
    assert_eq!(
        judged(&event).unwrap(),
        body,
        "the same row when it comes again"
    );
}

#[test]
fn thumbs_are_scores_and_words_are_comments() {
    for (kind, value, comment, scores, told) in [
        (
            "thumbs",
            json!("up"),
            Some("Nice!"),
            json!({"thumbs": 1}),
            json!("Nice!"),
        ),
        (
            "thumbs",
            json!("down"),
            None,
            json!({"thumbs": 0}),
            Value::Null,
        ),
        ("thumbs", json!(-1), None, json!({"thumbs": 0}), Value::Null),
        (
            "rating",
            json!(4),
            Some(""),
            Value::Null,
            json!("rating: 4"),
        ),
        (
            "correction",
            json!("Retry"),
            Some("please"),
            Value::Null,
            json!("Retry\nplease"),
        ),
        ("", json!(1), None, json!({"feedback": 1}), Value::Null),
    ] {
        let item = judged(&feedback(kind, &value, comment)).unwrap()["feedback"][0].clone();
        assert_eq!(
            (&item["scores"], &item["comment"]),
            (&scores, &told),
            "{kind} {value}"
        );
    }
    let item = judged(&feedback("rating", &json!(4), None)).unwrap()["feedback"][0].clone();
    assert_eq!(
        item["metadata"],
        json!({"feedbackId": "f", "feedbackType": "rating", "value": 4})
    );
    assert!(
        judged(&feedback("comment", &json!(""), None)).is_err(),
        "nothing to say"
    );
}

#[test]
fn judgements_without_a_trace_have_no_place() {
    let mut event = score(&json!({}));
    event["score"].as_object_mut().unwrap().remove("traceId");
    assert_eq!(judged(&event), Err("a score without a trace"));
}

#[test]
fn logs_are_rows_below_their_span() {
    let log = |extra: Value| {
        let mut log = json!({"logId": "l", "timestamp": "2026-03-04T05:06:07.003Z", "level": "error",
            "message": "bad\nday", "data": {"n": null}});
        for (key, value) in extra.as_object().unwrap() {
            log[key] = value.clone();
        }
        batches(&json!({"type": "log", "log": log}).to_string()).logs
    };
    let alone = log(json!({}));
    assert_eq!(
        logs::rows(&alone).1,
        [Some("a log without a trace".to_owned())]
    );
    let inside =
        log(json!({"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}));
    let (rows, skipped) = logs::rows(&inside);
    assert_eq!((rows.len(), skipped), (1, vec![None]));
    let mut text = JsonText::default();
    rows[0].write(&mut text);
    let row: Value = serde_json::from_str(text.as_str()).unwrap();
    assert_eq!(row["span_attributes"], json!({"name": "bad"}));
    assert_eq!(
        (&row["error"], &row["output"]),
        (&json!("bad\nday"), &json!("bad\nday"))
    );
    assert_eq!(
        row["metadata"],
        json!({"spanType": "log", "level": "error", "logId": "l", "data": {"n": null}})
    );
    assert_eq!(row["span_parents"], json!(["00f067aa0ba902b7"]));
}
