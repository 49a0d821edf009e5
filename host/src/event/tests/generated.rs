//! Any JSON that a record may hold.

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2026-03-04T05:06:07.000Z")),
        Just(json!("ab12")),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_key(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let known = [
        "id",
        "traceId",
        "spanId",
        "name",
        "type",
        "startTime",
        "endTime",
        "attributes",
        "metadata",
        "tags",
        "errorInfo",
        "message",
        "value",
        "labels",
        "otel",
        "resource",
        "links",
        "events",
        "scope",
        "status",
        "count",
        "bounds",
        "usage",
        "costContext",
        "correlationContext",
        "timestamp",
        "logId",
        "metricId",
        "scoreId",
        "score",
        "scorerId",
        "feedbackId",
        "level",
        "model",
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics_and_decodes_once_accepted(
        base in prop::sample::select(corpus()),
        changes in prop::collection::btree_map(any_key(), any_json(), 0..4),
    ) {
        let (kind, mut value) = base;
        for (key, change) in changes {
            value[key] = change;
        }
        if let Ok(event) = event_from(kind, &value.to_string()) {
            prop_assert!(record(&event).is_ok());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in EventKind::ALL {
            let _ = Event::from_json(kind, Bytes::from(bytes.clone()), 1, Arc::default());
        }
    }
}
