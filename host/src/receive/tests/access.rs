//! Who, where, whether.

use super::*;

#[tokio::test]
async fn without_a_valid_token_nothing_is_read() {
    let house = house_with(Limits::default(), tokens([("a", "secret")]));
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
async fn a_loop_is_refused_to_the_sender_with_a_token_that_causes_it_and_to_nobody_else() {
    let house = house_with(Limits::default(), tokens([("a", "one"), ("b", "two")]));
    let send = async |token: &str, hops: &str| {
        let request = Request::post("/v1/events")
            .header("authorization", format!("Bearer {token}"))
            .header("mastra-host-hop", hops)
            .body(Body::from(CORPUS))
            .unwrap();
        house.send(request).await.0
    };
    let own = house.hop.to_string();
    assert_eq!(send("one", &own).await, StatusCode::LOOP_DETECTED);
    assert!(house.events().is_empty());
    assert_eq!(
        send("two", &["0123456789abcdef"; 20].join(",")).await,
        StatusCode::OK
    );
    assert_eq!(send("one", "").await, StatusCode::OK);
}

#[tokio::test]
async fn hop_ids_of_requests_without_a_token_are_ignored() {
    let house = house();
    let request = Request::post("/v1/events")
        .header("mastra-host-hop", house.hop.to_string())
        .body(Body::from(CORPUS))
        .unwrap();
    assert_eq!(house.send(request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_same_event_of_two_senders_is_two_events_and_of_one_sender_a_repeat() {
    let house = house_with(Limits::default(), tokens([("a", "one"), ("b", "two")]));
    let send = async |token: &str| {
        let request = Request::post("/projects/p1/ai/spans/publish")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(json!({"spans": [span(1)]}).to_string()))
            .unwrap();
        house.send(request).await.2["repeated"].clone()
    };
    assert_eq!(send("one").await, 0);
    assert_eq!(send("two").await, 0);
    assert_eq!(send("one").await, 1);
    assert_eq!(send("two").await, 1);
    assert_eq!(house.events().len(), 2);
}

#[tokio::test]
async fn a_token_of_some_projects_writes_to_these_and_reads_nothing_of_all() {
    let sender = Sender {
        label: "team".to_owned(),
        projects: vec!["p1".to_owned(), "p2".to_owned()],
    };
    let house = house_with(Limits::default(), Tokens::new([(sender, "secret")]));
    let ask = async |method: &str, path: &str, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer secret")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let (status, _, answer) = house.send(request).await;
        (status.as_u16(), answer.to_string())
    };
    let spans = || json!({"spans": [span(1)]}).to_string();
    for path in [
        "/projects/p1/spans/publish",
        "/x/projects/p2/ai/spans/publish",
    ] {
        assert_eq!(ask("POST", path, spans()).await.0, 200, "{path}");
    }
    for (path, named) in [
        ("/projects/p3/spans/publish", "is for `p3`"),
        ("/projects/p1/projects/p3/spans/publish", "is for `p3`"),
        ("/projects/p%31/spans/publish", "names no project"),
        ("/ai/spans/publish", "names no project"),
        ("/v1/events", "names no project"),
        ("/v1/traces", "names no project"),
    ] {
        let (status, answer) = ask("POST", path, spans()).await;
        assert_eq!(status, 403, "{path}");
        assert!(
            answer.contains(named) && answer.contains("p1, p2"),
            "{answer}"
        );
    }
    for path in ["/metrics", "/readyz?verbose", "/nothing"] {
        assert_eq!(ask("GET", path, String::new()).await.0, 403, "{path}");
    }
    assert_eq!(ask("GET", "/healthz", String::new()).await.0, 200);
    assert_eq!(house.events().len(), 2);
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
        ("/readyz?verbose", 503, "not yet: why"),
        ("/readyz?a=b&verbose=1", 503, "not yet: why"),
        ("/readyz?verbosely", 503, "not yet"),
        ("/metrics", 200, "up 1\n"),
    ] {
        let (found, _, page) = house
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!((found.as_u16(), page), (status, json!(body)));
    }
}

#[tokio::test]
async fn where_there_are_tokens_only_life_and_readiness_are_told_without_one() {
    let house = house_with(Limits::default(), tokens([("a", "secret")]));
    for (path, wanted) in [
        ("/healthz", 200),
        ("/readyz", 503),
        ("/readyz?verbose", 401),
        ("/healthz?verbose", 401),
        ("/metrics", 401),
        ("/exporters/prometheus/metrics", 401),
        ("/nothing", 401),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(house.send(request).await.0.as_u16(), wanted, "{path}");
    }
    let request = Request::get("/metrics")
        .header("authorization", "Bearer secret")
        .body(Body::empty())
        .unwrap();
    assert_eq!(house.send(request).await.0, StatusCode::OK);
}
