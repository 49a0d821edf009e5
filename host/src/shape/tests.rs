//! What one exporter gets of the events.

use serde_json::{Value, json};

use super::*;
use crate::config;

/// With the shape that this YAML says.
fn shaper(yaml: &str) -> Shaper {
    let text = format!("exporters:\n  a:\n    shape: {{{yaml}}}\n");
    let loaded = config::load(&text, &config::Environment::new());
    assert_eq!(loaded.problems, vec![]);
    let exporter = loaded.config.exporters.into_values().next();
    Shaper::new(&exporter.expect("there is one").shape)
}

fn item(token: u64, kind: EventKind, record: &Value) -> BatchItem {
    let event = Event {
        kind,
        payload: Bytes::from(record.to_string()),
        received_at: 0,
        source: Arc::default(),
        repeat_key: u128::from(token),
        lane: 0,
    };
    BatchItem {
        token,
        event: Arc::new(event),
    }
}

fn span(id: &str, parent: Option<&str>, span_type: &str) -> BatchItem {
    let record = json!({"id": id, "traceId": "t", "parentSpanId": parent, "type": span_type, "isRootSpan": parent.is_none()});
    item(0, EventKind::SpanEnded, &record)
}

fn record(shaper: &mut Shaper, item: &BatchItem) -> Value {
    let shaped = shaper.shape(&item.event);
    serde_json::from_slice(&shaped.payload).expect("it is JSON")
}

#[test]
fn children_of_dropped_spans_find_the_nearest_kept_ancestor_of_their_batch_or_an_earlier_one() {
    let mut shaper = shaper("span_types: {drop: [model_step, model_chunk]}");
    // Children come before their parents.
    let batch = [
        span("leaf", Some("chunk"), "tool_call"),
        span("chunk", Some("step"), "model_chunk"),
        span("step", Some("run"), "model_step"),
        span("run", None, "agent_run"),
    ];
    use Verdict::{Keep, LeaveOut};
    assert_eq!(shaper.judge(&batch), [Keep, LeaveOut, LeaveOut, Keep]);
    assert_eq!(record(&mut shaper, &batch[0])["parentSpanId"], "run");
    assert!(Arc::ptr_eq(&shaper.shape(&batch[3].event), &batch[3].event));
    let late = [span("late", Some("step"), "tool_call")];
    assert_eq!(shaper.judge(&late), [Keep]);
    assert_eq!(record(&mut shaper, &late[0])["parentSpanId"], "run");
    assert_eq!((shaper.counts().span_type, shaper.counts().adopted), (2, 2));
}

#[test]
fn children_of_a_dropped_root_are_roots() {
    let mut shaper = shaper("span_types: {keep: [tool_call]}");
    let batch = [
        span("child", Some("root"), "tool_call"),
        span("root", None, "agent_run"),
    ];
    assert_eq!(shaper.judge(&batch), [Verdict::Keep, Verdict::LeaveOut]);
    let child = record(&mut shaper, &batch[0]);
    assert_eq!(
        (&child["parentSpanId"], &child["isRootSpan"]),
        (&Value::Null, &json!(true))
    );
    let mut skeleton = SpanAncestor {
        trace_id: "t".into(),
        parent_span_id: Some("root".into()),
        ..SpanAncestor::default()
    };
    shaper.adopt(&mut skeleton);
    assert_eq!(skeleton.parent_span_id, None);
}

#[test]
fn levels_of_logs_are_kept_or_dropped() {
    let log = |level| item(0, EventKind::Log, &json!({"level": level, "message": "m"}));
    let batch = ["debug", "warn", "error"].map(log);
    use Verdict::{Filter, Keep};
    assert_eq!(
        shaper("log_levels: {drop: [debug]}").judge(&batch),
        [Filter, Keep, Keep]
    );
    let mut errors = shaper("log_levels: {keep: [error, fatal]}");
    assert_eq!(errors.judge(&batch), [Filter, Filter, Keep]);
    assert_eq!(errors.counts().log_level, 2);
}

#[test]
fn all_signals_of_a_trace_share_its_fate_but_metrics_which_are_never_sampled() {
    let of_trace =
        |kind, trace: Option<String>| item(0, kind, &json!({"traceId": trace, "id": "i"}));
    let mut half = shaper("sampling_percentage: 50");
    let mut kept = 0;
    for number in 0..100 {
        let trace = Some(format!("trace {number}"));
        let verdicts = half.judge(&EventKind::ALL.map(|kind| of_trace(kind, trace.clone())));
        for (kind, verdict) in EventKind::ALL.into_iter().zip(&verdicts) {
            match kind {
                EventKind::Metric => assert_eq!(*verdict, Verdict::Keep),
                _ => assert_eq!(*verdict, verdicts[0], "{kind:?}"),
            }
        }
        kept += usize::from(verdicts[0] == Verdict::Keep);
    }
    assert!((30..70).contains(&kept), "{kept}");
    let mut none = shaper("sampling_percentage: 0");
    let loose = [EventKind::Log, EventKind::Score].map(|kind| of_trace(kind, None));
    assert_eq!(none.judge(&loose), [Verdict::Keep; 2], "of no trace");
    assert_eq!(
        none.judge(&[of_trace(EventKind::Log, Some("t".to_owned()))]),
        [Verdict::Filter]
    );
    assert_eq!(none.counts().not_sampled, 1);
}

#[test]
fn what_is_redacted_and_cut_is_counted_once_for_each_event_and_the_event_itself_stays() {
    let mut shaper = shaper("max_string_bytes: 64B");
    let long = "0123456789".repeat(7);
    let plain =
        json!({"traceId": "t", "input": {"password": "x", "api_key": "y", "texts": [long, long]}});
    let item = item(1, EventKind::SpanEnded, &plain);
    let shaped = record(&mut shaper, &item);
    let cut = format!("{}[truncated 6 bytes]", &long[..64]);
    let wanted = json!({"password": "[REDACTED]", "api_key": "[REDACTED]", "texts": [cut, cut]});
    assert_eq!(shaped["input"], wanted);
    let counts = shaper.counts();
    assert_eq!((counts.redacted, counts.truncated), (1, 1));
    assert_eq!(item.event.payload, plain.to_string(), "the queue's copy");
}

#[test]
fn by_default_events_without_credentials_pass_as_they_are() {
    let mut shaper = shaper("");
    let batch = EventKind::ALL.map(|kind| {
        item(
            0,
            kind,
            &json!({"id": "i", "traceId": "t", "inputTokens": 1}),
        )
    });
    assert_eq!(shaper.judge(&batch), [Verdict::Keep; 7]);
    for item in &batch {
        assert!(Arc::ptr_eq(&shaper.shape(&item.event), &item.event));
    }
    assert_eq!(shaper.counts(), ShapeCounts::default());
    let broken = Event {
        payload: Bytes::from_static(b"\xff"),
        ..Event::clone(&batch[0].event)
    };
    assert_eq!(
        shaper.shape(&Arc::new(broken)).payload,
        Bytes::from_static(b"\xff")
    );
}
