//! Tests of the score mapping.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::test_support::batches;
use serde_json::{Value, json};

use super::*;
use crate::config::Settings;

fn config(environment: Option<&str>) -> Config {
    let settings = json!({"public_key": "pk", "secret_key": "sk", "environment": environment});
    serde_json::from_value::<Settings>(settings)
        .unwrap()
        .check()
        .unwrap()
}

fn written(score: &wire::Score<'_>) -> Value {
    let mut text = JsonText::default();
    score.write(&mut text);
    serde_json::from_str(text.as_str()).unwrap()
}

fn with(mut base: Value, extra: &Value) -> Value {
    for (key, value) in extra.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

fn mapped_score(extra: &Value) -> Result<Value, &'static str> {
    let base = json!({"scoreId": "s-1", "timestamp": "2026-03-04T05:06:10.146Z", "scorerId": "relevance", "score": 0.5});
    let batch = batches(&json!({"type": "score", "score": with(base, extra)}).to_string()).scores;
    score(&batch.scores[0], &config(Some("staging"))).map(|score| written(&score))
}

fn mapped_feedback(extra: &Value) -> Result<Value, &'static str> {
    let base = json!({
        "feedbackId": "f-1", "timestamp": "2026-03-04T05:06:10.146Z", "traceId": "1", "feedbackType": "comment", "value": 1,
    });
    let batch =
        batches(&json!({"type": "feedback", "feedback": with(base, extra)}).to_string()).feedback;
    feedback(&batch.feedback[0], &config(None)).map(|score| written(&score))
}

fn value_of(feedback_type: &str, value: &Value) -> (Value, Value) {
    let score = mapped_feedback(&json!({"feedbackType": feedback_type, "value": value})).unwrap();
    (score["value"].clone(), score["dataType"].clone())
}

#[test]
fn scores_belong_to_a_span_a_trace_or_a_session() {
    let of_span = mapped_score(&json!({"traceId": "1", "spanId": "2"})).unwrap();
    assert_eq!(
        of_span,
        json!({
            "id": "s-1", "traceId": "00000000000000000000000000000001", "observationId": "0000000000000002", "name": "relevance",
            "value": 0.5, "dataType": "NUMERIC", "environment": "staging", "timestamp": "2026-03-04T05:06:10.146Z",
        })
    );
    let of_trace = mapped_score(&json!({"traceId": "1"})).unwrap();
    assert_eq!(of_trace["observationId"], Value::Null);
    let of_session = mapped_score(&json!({"correlationContext": {"threadId": "t"}})).unwrap();
    assert_eq!(
        (&of_session["sessionId"], &of_session["traceId"]),
        (&json!("t"), &Value::Null)
    );
    assert!(mapped_score(&json!({"spanId": "2"})).is_err());
    assert!(mapped_score(&json!({"correlationContext": {"sessionId": ""}})).is_err());
}

#[test]
fn empty_names_and_reasons_fall_back() {
    let score =
        mapped_score(&json!({"traceId": "1", "scorerName": "", "reason": "", "metadata": null}))
            .unwrap();
    assert_eq!(score["name"], "relevance");
    assert_eq!(score["comment"], Value::Null);
    assert_eq!(score["metadata"], Value::Null);
    assert!(!score.as_object().unwrap().contains_key("metadata"));
    assert_eq!(
        mapped_score(&json!({"traceId": "1", "scorerId": ""})).unwrap()["name"],
        "score"
    );
}

#[test]
fn metadata_is_spliced_as_it_came() {
    let score =
        mapped_score(&json!({"traceId": "1", "reason": "ok", "metadata": {"judge": "gpt-4o"}}))
            .unwrap();
    assert_eq!(
        (&score["comment"], &score["metadata"]),
        (&json!("ok"), &json!({"judge": "gpt-4o"}))
    );
}

#[test]
fn thumbs_are_boolean_ones_and_zeros() {
    for up in [
        json!("up"),
        json!("UP"),
        json!("thumbs_up"),
        json!("👍"),
        json!(1),
        json!("true"),
    ] {
        assert_eq!(
            value_of("thumbs", &up),
            (json!(1), json!("BOOLEAN")),
            "{up}"
        );
    }
    for down in [
        json!("down"),
        json!("👎"),
        json!(0),
        json!(-1),
        json!("negative"),
    ] {
        assert_eq!(
            value_of("Thumbs", &down),
            (json!(0), json!("BOOLEAN")),
            "{down}"
        );
    }
    assert_eq!(
        value_of("thumbs", &json!("sideways")),
        (json!("sideways"), json!("CATEGORICAL"))
    );
    assert_eq!(value_of("thumbs", &json!(3)), (json!(3), json!("NUMERIC")));
}

#[test]
fn numbers_labels_and_texts_get_their_types() {
    assert_eq!(value_of("rating", &json!(4)), (json!(4), json!("NUMERIC")));
    assert_eq!(
        value_of("rating", &json!(-0.5)),
        (json!(-0.5), json!("NUMERIC"))
    );
    assert_eq!(
        value_of("tone", &json!("calm")),
        (json!("calm"), json!("CATEGORICAL"))
    );
    let remark = json!("Should have retried the audit");
    assert_eq!(value_of("correction", &remark), (remark, json!("TEXT")));
}

#[test]
fn long_texts_are_cut_at_500_units_and_whole_in_the_comment() {
    let long = "🌍 ".repeat(200);
    let score = mapped_feedback(&json!({"value": long, "comment": "first"})).unwrap();
    let value = score["value"].as_str().unwrap();
    assert!(value.encode_utf16().count() <= 500);
    assert!(value.encode_utf16().count() >= 498);
    assert_eq!(score["comment"], format!("first\n\n{long}"));
    let exact = "a ".repeat(250);
    let score = mapped_feedback(&json!({"value": exact})).unwrap();
    assert_eq!(
        (&score["value"], &score["comment"]),
        (&json!(exact), &Value::Null)
    );
}

#[test]
fn an_empty_text_takes_the_comment_or_is_skipped() {
    let score = mapped_feedback(&json!({"value": "", "comment": "nice"})).unwrap();
    assert_eq!(
        (&score["value"], &score["dataType"]),
        (&json!("nice"), &json!("TEXT"))
    );
    assert!(mapped_feedback(&json!({"value": ""})).is_err());
}

#[test]
fn who_said_it_is_in_the_metadata() {
    let score = mapped_feedback(&json!({
        "feedbackSource": "user", "feedbackUserId": "u", "sourceId": "ticket-9", "metadata": {"a": 1},
    }));
    let expected =
        json!({"a": 1, "feedbackSource": "user", "feedbackUserId": "u", "sourceId": "ticket-9"});
    assert_eq!(score.unwrap()["metadata"], expected);
    let named = mapped_feedback(&json!({"feedbackType": ""})).unwrap();
    assert_eq!(
        (&named["name"], &named["metadata"]),
        (&json!("feedback"), &Value::Null)
    );
}
