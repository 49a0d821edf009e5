//! Envelopes, as lines and as arrays.

use super::*;

#[tokio::test]
async fn the_recorded_events_are_accepted_as_lines_as_an_array_and_gzipped() {
    let array = format!("[{}]", CORPUS.trim().replace('\n', ","));
    let bodies = [
        CORPUS.as_bytes().to_vec(),
        array.into_bytes(),
        format!("\u{feff}{CORPUS}").into_bytes(),
    ];
    for body in bodies {
        for (encoding, body) in [("identity", body.clone()), ("gzip", gzip(&body))] {
            let house = house();
            let (status, answer) = house.post_encoded("/v1/events", encoding, body).await;
            assert_eq!(
                (status, &answer["accepted"]),
                (StatusCode::OK, &json!(94)),
                "{answer}"
            );
            let mut by_signal = [0; 5];
            for event in house.events() {
                assert!(record(&event).is_ok());
                assert_eq!(event.source.receiver, "events");
                by_signal[event.signal().index()] += 1;
            }
            assert_eq!(by_signal, [56, 6, 25, 4, 3]);
        }
    }
}

#[tokio::test]
async fn one_envelope_may_be_written_on_several_lines() {
    let envelope =
        serde_json::to_string_pretty(&json!({"exportedSpan": span(1), "type": "span_started"}))
            .unwrap();
    let house = house();
    assert_eq!(house.post("/v1/events", envelope).await.1["accepted"], 1);
    assert_eq!(house.events()[0].kind, EventKind::SpanStarted);
    let wrong =
        serde_json::to_string_pretty(&json!({"exportedSpan": {"id": 5}, "type": "span_started"}))
            .unwrap();
    let (status, answer) = house.post("/v1/events", wrong).await;
    assert_eq!(
        (status, &answer["rejected"][0]["field"]),
        (StatusCode::OK, &json!("exportedSpan.id"))
    );
}

#[tokio::test]
async fn drop_reports_are_accepted_and_counted() {
    let house = house();
    let report = |signal: &str, count: Value| {
        json!({"type": "drop", "signal": signal, "reason": "retry-exhausted", "count": count,
            "timestamp": "2026-03-04T05:06:07.000Z", "exporterName": "x"})
    };
    let lines = [
        report("log", json!(7)),
        report("tracing", json!(2)),
        report("spam", json!(1)),
        report("log", json!("1")),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (status, answer) = house.post("/v1/events", body).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["drop_reports"]),
        (StatusCode::OK, &json!(2), &json!(2))
    );
    assert_eq!(answer["rejected"][0]["field"], "signal");
    assert_eq!(answer["rejected"][1]["field"], "count");
    let counts = house.counts.snapshot();
    assert_eq!(
        (counts.drop_reports, counts.dropped_upstream),
        (2, [2, 7, 0, 0, 0])
    );
    assert_eq!(counts.dropped_upstream[Signal::Logs.index()], 7);
    assert!(house.events().is_empty());
}
