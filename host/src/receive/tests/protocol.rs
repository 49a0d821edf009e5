//! The platform's protocol.

use super::*;

#[tokio::test]
async fn every_recorded_request_of_the_platforms_client_is_accepted() {
    let protocol: Value = serde_json::from_str(PROTOCOL).unwrap();
    let (mut requests, mut probes) = (0, 0);
    for scenario in protocol["scenarios"].as_object().unwrap().values() {
        let house = house();
        for request in scenario["requests"].as_array().unwrap() {
            let body = &request["body"];
            let sent = body
                .as_object()
                .unwrap()
                .values()
                .next()
                .unwrap()
                .as_array()
                .unwrap()
                .len();
            let mut builder = Request::post(request["path"].as_str().unwrap());
            for (name, value) in request["headers"].as_object().unwrap() {
                builder = builder.header(name, value.as_str().unwrap());
            }
            let (status, _, answer) = house
                .send(builder.body(body.to_string().into()).unwrap())
                .await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(answer["accepted"], sent, "{answer}");
            assert_eq!(answer["rejected"], json!([]));
            requests += 1;
            probes += usize::from(sent == 0);
        }
    }
    assert_eq!((requests, probes > 0), (36, true));
}

#[test]
fn every_url_that_the_client_derives_leads_to_its_signal_and_project() {
    let protocol: Value = serde_json::from_str(PROTOCOL).unwrap();
    let cases = protocol["urlDerivation"].as_array().unwrap();
    assert_eq!(cases.len(), 50);
    let mut checked = 0;
    for case in cases {
        for (signal, segment) in [
            ("traces", "spans"),
            ("logs", "logs"),
            ("metrics", "metrics"),
            ("scores", "scores"),
            ("feedback", "feedback"),
        ] {
            let Some(address) = case["result"][signal].as_str() else {
                continue;
            };
            let address = url::Url::parse(address).unwrap();
            let target = platform::target(address.path()).unwrap();
            assert_eq!(target.segment, segment);
            assert_eq!(target.kind.signal().name(), signal);
            let configured = case["config"]["projectId"]
                .as_str()
                .or_else(|| case["env"]["MASTRA_PROJECT_ID"].as_str());
            let expected = if address.path().contains("/projects/") {
                configured
            } else {
                None
            };
            assert_eq!(target.project_id.as_deref(), expected, "{address}");
            checked += 1;
        }
    }
    assert!(checked >= 150, "{checked}");
}

#[tokio::test]
async fn records_carry_receiver_project_and_token() {
    let house = house_with(Limits::default(), tokens([("staging", "t0ken")]));
    let request = Request::post("/projects/p1/ai/spans/publish")
        .header("authorization", "Bearer t0ken")
        .body(json!({"spans": [span(1)]}).to_string().into())
        .unwrap();
    let (status, _, answer) = house.send(request).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(1)));
    let events = house.events();
    assert_eq!(events[0].kind, EventKind::SpanEnded);
    assert_eq!(events[0].received_at, 42);
    assert_eq!(events[0].source.receiver, "platform");
    assert_eq!(events[0].source.project_id.as_deref(), Some("p1"));
    assert_eq!(events[0].source.token_label.as_deref(), Some("staging"));
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_accepted_again_as_repeats() {
    let house = house();
    let body = json!({"spans": [span(1), span(2)]}).to_string();
    assert_eq!(
        house.post("/ai/spans/publish", body.clone()).await.1["repeated"],
        0
    );
    let (status, answer) = house.post("/ai/spans/publish", body).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["repeated"]),
        (StatusCode::OK, &json!(2), &json!(2))
    );
    assert_eq!(house.events().len(), 2);
}

#[tokio::test]
async fn payloads_are_the_records_as_they_were_sent() {
    let house = house();
    let record = r#"{ "id":"1", "traceId":"2","name":"é\n","type":"x" ,"startTime":"2026-03-04T05:06:07.000Z","input": 1.50 }"#;
    house
        .post(
            "/ai/spans/publish",
            format!(" {{ \"spans\" : [ {record} , {record}]}}"),
        )
        .await;
    assert_eq!(house.events()[0].payload, record);
}

#[tokio::test]
async fn a_few_events_do_not_keep_a_large_body_alive() {
    let body = Bytes::from(format!(
        "{{\"spans\":[{}{}]}}",
        span(1),
        format!(",{:>1000}", 5).repeat(100)
    ));
    let target = platform::target("/ai/spans/publish").unwrap();
    let batch = platform::read(&body, &target, 1, &Arc::default())
        .await
        .unwrap();
    assert_eq!((batch.events.len(), batch.refused_total), (1, 100));
    let range = body.as_ptr_range();
    assert!(!range.contains(&batch.events[0].payload.as_ptr()));
    let body = Bytes::from(json!({"spans": [span(1), span(2)]}).to_string());
    let batch = platform::read(&body, &target, 1, &Arc::default())
        .await
        .unwrap();
    assert!(
        body.as_ptr_range()
            .contains(&batch.events[0].payload.as_ptr())
    );
}
