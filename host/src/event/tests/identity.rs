//! Repeat keys, lanes, ids and labels.

use super::*;

#[test]
fn repeats_have_the_same_key_and_others_do_not() {
    let mut keys = BTreeMap::new();
    for (kind, value) in corpus() {
        let first = event(kind, &value);
        // Spaces and volatile fields do not make another event of it.
        let again = event_from(kind, &format!("  {value} ")).unwrap();
        assert_eq!(first.repeat_key, again.repeat_key);
        assert_eq!(first.lane, again.lane);
        assert_eq!(keys.insert(first.repeat_key, value), None);
    }
    assert_eq!(keys.len(), 94);
    let span = json!({"id": "1", "traceId": "2", "name": "n", "type": "x", "startTime": "2026-03-04T05:06:07Z"});
    let mut changed = span.clone();
    changed["name"] = json!("m");
    let key = |kind, value: &Value| event(kind, value).repeat_key;
    assert_ne!(
        key(EventKind::SpanUpdated, &span),
        key(EventKind::SpanUpdated, &changed)
    );
    assert_eq!(
        key(EventKind::SpanEnded, &span),
        key(EventKind::SpanEnded, &changed)
    );
    assert_ne!(
        key(EventKind::SpanEnded, &span),
        key(EventKind::SpanStarted, &span)
    );
    let of_project = |project: &str| {
        let source = Arc::new(Source {
            project_id: Some(project.into()),
            ..Source::default()
        });
        Event::from_json(
            EventKind::SpanEnded,
            Bytes::from(span.to_string()),
            1,
            source,
        )
        .unwrap()
        .repeat_key
    };
    assert_ne!(of_project("a"), of_project("b"));
}

#[test]
fn every_kind_of_event_has_another_key_for_another_sender() {
    let key = |kind, value: &Value, label: Option<&str>| {
        let source = Source {
            token_label: label.map(str::to_owned),
            ..Source::default()
        };
        let payload = Bytes::from(value.to_string());
        let event = Event::from_json(kind, payload, 1, Arc::new(source));
        event.unwrap().repeat_key
    };
    for (kind, value) in corpus() {
        let keys = [None, Some(""), Some("a"), Some("b")].map(|label| key(kind, &value, label));
        assert_eq!(BTreeSet::from(keys).len(), 4, "{value}");
        assert_eq!(keys[2], key(kind, &value, Some("a")));
    }
}

#[test]
fn a_trace_is_one_lane_and_a_series_is_one_lane() {
    let mut lanes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (kind, value) in corpus() {
        if kind != EventKind::Metric
            && let Some(trace) = value["traceId"].as_str()
        {
            lanes
                .entry(trace.to_owned())
                .or_default()
                .insert(event(kind, &value).lane);
        }
    }
    assert_eq!(lanes.len(), 5);
    assert!(lanes.values().all(|of_trace| of_trace.len() == 1));
    let metric = |id: &str, labels: Value| {
        let value = json!({"metricId": id, "timestamp": "2026-03-04T05:06:07Z", "name": "n", "value": 1, "labels": labels});
        event(EventKind::Metric, &value).lane
    };
    assert_eq!(
        metric("1", json!({"a": "1", "b": "2"})),
        metric("2", json!({"b": "2", "a": "1"}))
    );
    assert_ne!(
        metric("1", json!({"a": "1", "b": "2"})),
        metric("1", json!({"a": "2", "b": "1"}))
    );
}

#[test]
fn upper_case_ids_and_lower_case_ids_are_one() {
    let lower = event_from(
        EventKind::SpanEnded,
        r#"{"id":"ab","traceId":"cd","name":"","type":"","startTime":"2026-03-04T05:06:07Z"}"#,
    );
    let upper = event_from(
        EventKind::SpanEnded,
        r#"{"id":"AB","traceId":"CD","name":"","type":"","startTime":"2026-03-04T05:06:07Z"}"#,
    );
    assert_eq!(lower.unwrap().repeat_key, upper.unwrap().repeat_key);
}

#[test]
fn labels_are_distinct_and_the_last_value_counts() {
    let text = r#"{"metricId":"m","timestamp":"2026-03-04T05:06:07Z","name":"a_tokens","labels":{"b":"1","a":"2","b":"3"},"value":1}"#;
    let metric = decode::metric(text, &Instruments::default()).unwrap();
    assert_eq!(
        metric.labels,
        vec![("b".into(), "3".into()), ("a".into(), "2".into())]
    );
    assert_eq!(metric.unit.as_deref(), Some("{token}"));
    assert_eq!(
        metric.value,
        MetricValue::Single {
            value: 1.0,
            instrument: Instrument::Counter
        }
    );
}
