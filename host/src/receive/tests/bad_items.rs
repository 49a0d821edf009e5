//! What is wrong with some items, or with the whole body.

use super::*;

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn bad_items_are_refused_one_by_one_and_the_others_accepted() {
    let with = |key: &str, value: Value| {
        let mut record = span(9);
        record[key] = value;
        record.to_string()
    };
    let deep = format!(
        "{{\"input\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"{}".to_vec(), "traceId", "is required"),
        (b"{\"a\":tru}".to_vec(), "", "JSON object"),
        (b"{\"a\":01}".to_vec(), "", "JSON object"),
        (b"{\"a\" 1}".to_vec(), "", "JSON object"),
        (b"5".to_vec(), "", "JSON object"),
        (b"null".to_vec(), "", "JSON object"),
        (b"[{}]".to_vec(), "", "JSON object"),
        (b"\"text, with ] and }\"".to_vec(), "", "JSON object"),
        (b"{\"name\":\"\xff\xfe\"}".to_vec(), "", "UTF-8"),
        (b"{\"name\":\"\x01\"}".to_vec(), "", "JSON object"),
        (deep.into_bytes(), "input", "128 levels"),
        (
            with("id", json!("0000000000000000")).into_bytes(),
            "id",
            "not all zero",
        ),
        (
            with("traceId", json!("0")).into_bytes(),
            "traceId",
            "not all zero",
        ),
        (
            with("startTime", json!("0001-01-01T00:00:00.000Z")).into_bytes(),
            "startTime",
            "1970",
        ),
        (
            with("startTime", json!("+275760-09-13T00:00:00.000Z")).into_bytes(),
            "startTime",
            "2554",
        ),
        (with("name", json!({"a": 1})).into_bytes(), "name", "string"),
        (
            with("isEvent", json!(1)).into_bytes(),
            "isEvent",
            "true or false",
        ),
    ];
    for (bad, field, reason) in cases {
        let house = house();
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        let body = [
            b"{\"spans\":[",
            span(1).to_string().as_bytes(),
            b",",
            &bad,
            b",",
            span(2).to_string().as_bytes(),
            b"]}",
        ]
        .concat();
        let (status, answer) = house.post("/ai/spans/publish", body).await;
        assert_eq!(
            (status, &answer["accepted"], &answer["rejected_total"]),
            (StatusCode::OK, &json!(2), &json!(1)),
            "{shown}: {answer}"
        );
        let rejected = &answer["rejected"][0];
        assert_eq!(
            (&rejected["index"], &rejected["field"]),
            (&json!(1), &json!(field)),
            "{shown}: {answer}"
        );
        assert!(
            rejected["reason"].as_str().unwrap().contains(reason),
            "{shown}: {answer}"
        );
        let ids: Vec<String> = house
            .events()
            .iter()
            .map(|event| match record(event).unwrap() {
                crate::event::records::Record::Span(span) => span.span_id.into_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, ["1", "2"], "{shown}");
        let letters = house.letters.list();
        assert_eq!(
            (letters.len(), letters[0].payload.len()),
            (1, bad.len().min(MAX_PAYLOAD_BYTES)),
            "{shown}"
        );
        let told = &letters[0].reason;
        assert!(told.starts_with("item 1"), "{shown}: {told}");
        assert_eq!(
            told.contains(&format!("of {} bytes are kept", bad.len())),
            bad.len() > MAX_PAYLOAD_BYTES,
            "{shown}: {told}"
        );
        assert_eq!(
            (letters[0].received_at, letters[0].kind),
            (42, Some(EventKind::SpanEnded))
        );
    }
}

#[tokio::test]
async fn odd_but_sound_records_are_accepted() {
    let mut unknown_type = span(1);
    unknown_type["type"] = json!("type_of_next_year");
    let mut unknown_keys = span(2);
    unknown_keys["\u{1F600}"] = json!([{"x": null}]);
    let mut huge = span(3);
    huge["input"] = json!("x".repeat(3_000_000));
    huge["name"] = json!("\u{1F600}".repeat(200_000));
    let mut surrogates = span(4).to_string();
    surrogates.insert_str(1, r#""input":"\ud83d","entityName":"\udc00","#);
    let house = house();
    let body = format!("{{\"spans\":[{unknown_type},{unknown_keys},{huge},{surrogates}]}}");
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::OK, &json!(4)),
        "{answer}"
    );
}

#[tokio::test]
async fn a_bad_line_costs_only_itself() {
    let good = json!({"type": "span_ended", "exportedSpan": span(1)}).to_string();
    let other = json!({"type": "log", "log": {"logId": "l", "timestamp": "2026-03-04T05:06:07Z", "level": "info", "message": ""}}).to_string();
    let cases: [(&[u8], &str); 9] = [
        (b"{\"type\":\"log\",\"log\":", ""),
        (b"{\"type\":\"span_ended\"}", "exportedSpan"),
        (
            b"{\"type\":\"span_ended\",\"exportedSpan\":5}",
            "exportedSpan",
        ),
        (
            b"{\"type\":\"span_ended\",\"exportedSpan\":{\"id\":\"1\"}}",
            "exportedSpan.traceId",
        ),
        (b"{\"type\":\"span_exploded\",\"exportedSpan\":{}}", "type"),
        (b"{\"exportedSpan\":{}}", "type"),
        (b"nonsense", ""),
        (b"[]", ""),
        (b"{\"type\":\"log\xff\"}", ""),
    ];
    for (bad, field) in cases {
        let shown = String::from_utf8_lossy(bad).into_owned();
        let house = house();
        let body = [good.as_bytes(), b"\r\n\n", bad, b"\n", other.as_bytes()].concat();
        let (status, answer) = house.post("/v1/events", body).await;
        assert_eq!(
            (status, &answer["accepted"]),
            (StatusCode::OK, &json!(2)),
            "{shown}: {answer}"
        );
        assert_eq!(
            (
                &answer["rejected"][0]["index"],
                &answer["rejected"][0]["field"]
            ),
            (&json!(1), &json!(field)),
            "{shown}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_envelope_adds_a_level_to_what_its_record_may_have() {
    let envelope = |levels: usize| {
        let mut record = span(1).to_string();
        record.insert_str(
            1,
            &format!("\"input\":{}{},", "[".repeat(levels), "]".repeat(levels)),
        );
        format!("{{\"type\":\"span_ended\",\"exportedSpan\":{record}}}")
    };
    for (before, after) in [("", "\n"), ("[", "]")] {
        let (_, answer) = house()
            .post("/v1/events", format!("{before}{}{after}", envelope(127)))
            .await;
        assert_eq!(answer["accepted"], 1, "{answer}");
        let (status, answer) = house()
            .post("/v1/events", format!("{before}{}{after}", envelope(128)))
            .await;
        assert_eq!(
            (status, &answer["rejected_total"]),
            (StatusCode::OK, &json!(1)),
            "{answer}"
        );
        assert!(
            answer["rejected"][0]["reason"]
                .as_str()
                .unwrap()
                .contains("128 levels"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_accepted_up_to_there() {
    for (path, body) in [
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{},{{\"id\":\"3\",\"na", span(1), span(2)),
        ),
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{}", span(1), span(2)),
        ),
        (
            "/ai/spans/publish",
            format!("{{\"spans\":[{},{}]}}garbage", span(1), span(2)),
        ),
        (
            "/v1/events",
            format!(
                "[{},{},{{\"ty",
                json!({"type": "span_ended", "exportedSpan": span(1)}),
                json!({"type": "span_ended", "exportedSpan": span(2)})
            ),
        ),
    ] {
        let house = house();
        let (status, answer) = house.post(path, body.clone()).await;
        assert_eq!(
            (status, &answer["accepted"]),
            (StatusCode::OK, &json!(2)),
            "{body}: {answer}"
        );
        assert_eq!(
            (&answer["rejected_total"], &answer["rejected"][0]["index"]),
            (&json!(1), &json!(2)),
            "{body}"
        );
        assert_eq!(house.letters.list().len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_a_bad_request() {
    for (path, body) in [
        ("/ai/spans/publish", ""),
        ("/ai/spans/publish", "nonsense"),
        ("/ai/spans/publish", "[]"),
        ("/ai/spans/publish", "{}"),
        ("/ai/spans/publish", "{\"spans\":{}}"),
        ("/ai/spans/publish", "{\"spans\":null}"),
        ("/ai/spans/publish", "{\"logs\":[]}"),
        ("/ai/spans/publish", "{\"spans\":[{\"id\":"),
        ("/v1/events", "nonsense"),
        ("/v1/events", "nonsense\nmore of it"),
        ("/v1/events", "[{\"type\":"),
        ("/v1/events", "5"),
    ] {
        let house = house();
        let (status, answer) = house.post(path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .contains("could not be read"),
            "{answer}"
        );
        assert!(house.events().is_empty());
        assert_eq!(house.letters.list().len(), 1);
        assert_eq!(house.counts.snapshot().refused_requests, 1);
    }
    let (status, answer) = house().post("/v1/events", "\n\n").await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(0)));
}

#[tokio::test]
async fn the_list_of_rejected_items_is_bounded_and_its_total_is_not() {
    let house = house();
    let body = format!("{{\"spans\":[{}{}]}}", span(1), ",{}".repeat(2_500));
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 100);
    assert_eq!(answer["rejected_total"], 2_500);
    assert_eq!(
        (house.letters.list().len() as u64) + house.letters.not_kept.load(Ordering::Relaxed),
        2_500
    );
    let expected = Snapshot {
        requests: 1,
        accepted: 1,
        refused_items: 2_500,
        ..house.counts.snapshot()
    };
    assert_eq!(house.counts.snapshot(), expected);
}
