//! Who, where, whether.

use super::*;

#[tokio::test]
async fn without_a_valid_token_nothing_is_read() {
    let house = house_with(Limits::default(), Tokens::new([("a".to_owned(), "secret")]));
    let request = |token: &str| {
        Request::post("/v1/events")
            .header("authorization", token)
            .body(Body::from(CORPUS))
            .unwrap()
    };
    for token in ["Bearer wrong", "Basic secret", ""] {
        let (status, headers, answer) = house.send(request(token)).await;
        assert_eq!(
            (status, &headers["www-authenticate"]),
            (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
        );
        assert!(!answer.to_string().contains("secret"));
    }
    assert_eq!(
        house.post("/v1/events", CORPUS).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(house.send(request("Bearer secret")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_was_here_before_is_refused() {
    let house = house();
    let request = Request::post("/v1/events")
        .header("x-test-hop", "1")
        .body(Body::from(CORPUS))
        .unwrap();
    assert_eq!(house.send(request).await.0, StatusCode::LOOP_DETECTED);
    assert!(house.events().is_empty());
}

#[tokio::test]
async fn when_the_queue_refuses_nothing_is_kept_and_the_sender_is_told_when_to_come_back() {
    let house = house();
    let body = format!("{{\"spans\":[{},{{}}]}}", span(1));
    for (refusal, status, retry_after) in [
        (
            IntakeError::Full {
                retry_after: Duration::from_millis(2100),
            },
            503,
            Some("3"),
        ),
        (IntakeError::Stopping, 503, Some("1")),
        (IntakeError::TooLarge { limit_bytes: 7 }, 413, None),
        (IntakeError::Failed("disk".into()), 503, None),
    ] {
        *house.queue.refusal.lock().unwrap() = Some(refusal);
        let request = Request::post("/ai/spans/publish")
            .body(Body::from(body.clone()))
            .unwrap();
        let (found, headers, answer) = house.send(request).await;
        assert_eq!(found, StatusCode::from_u16(status).unwrap(), "{answer}");
        assert_eq!(
            headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap()),
            retry_after
        );
    }
    assert!(house.letters.list().is_empty());
    *house.queue.refusal.lock().unwrap() = None;
    assert_eq!(house.post("/ai/spans/publish", body).await.1["accepted"], 1);
    assert_eq!(house.letters.list().len(), 1);
}

#[tokio::test]
async fn unknown_paths_say_what_exists_and_wrong_methods_say_what_is_allowed() {
    let house = house();
    let (status, _, answer) = house
        .send(Request::get("/nothing").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        answer["paths"].to_string().contains("/v1/events"),
        "{answer}"
    );
    for path in ["/v1/events", "/ai/spans/publish"] {
        let (status, headers, _) = house
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (status, &headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    let (status, headers, _) = house
        .send(Request::post("/healthz").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn pages_are_served_as_they_are() {
    let house = house();
    for (path, status, body) in [
        ("/healthz", 200, "alive"),
        ("/readyz", 503, "not yet"),
        ("/metrics", 200, "up 1\n"),
    ] {
        let (found, _, page) = house
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!((found.as_u16(), page), (status, json!(body)));
    }
}
