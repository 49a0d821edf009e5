//! Size, encoding, time.

use super::*;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_setting_to_raise() {
    let house = house_with(
        Limits {
            max_body_bytes: 1000,
            ..Limits::default()
        },
        Tokens::default(),
    );
    let large = json!({"spans": [span(1)], "padding": " ".repeat(2000)}).to_string();
    let promised = Request::post("/ai/spans/publish")
        .header("content-length", large.len())
        .body(Body::from(large.clone()))
        .unwrap();
    let (status, _, answer) = house.send(promised).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let problem = answer["error"].as_str().unwrap();
    assert!(
        problem.contains("1000 bytes") && problem.contains("receivers.http.max_request_body_size"),
        "{problem}"
    );
    let (status, _) = house.post("/ai/spans/publish", large.clone()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _) = house
        .post_encoded("/ai/spans/publish", "gzip", gzip(large.as_bytes()))
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(house.events().is_empty());
}

#[tokio::test]
async fn a_small_gzip_of_very_much_is_refused_without_unpacking_it_all() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let house = house_with(
        Limits {
            max_body_bytes: 1 << 20,
            ..Limits::default()
        },
        Tokens::default(),
    );
    assert!(bomb.len() < 1 << 20);
    let (status, _) = house.post_encoded("/ai/spans/publish", "gzip", bomb).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn other_encodings_and_broken_gzip_are_refused() {
    let house = house();
    let body = json!({"spans": [span(1)]}).to_string();
    for encoding in ["br", "deflate", "gzip, gzip"] {
        let (status, answer) = house
            .post_encoded("/ai/spans/publish", encoding, body.clone().into())
            .await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{answer}");
    }
    let mut broken = gzip(body.as_bytes());
    for damaged in [
        body.clone().into_bytes(),
        broken[..broken.len() - 9].to_vec(),
        {
            broken[12] ^= 0xff;
            broken.clone()
        },
    ] {
        let (status, answer) = house
            .post_encoded("/ai/spans/publish", "gzip", damaged)
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert!(house.events().is_empty());
}

/// Gives some bytes and then nothing, for ever.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_and_its_bytes_are_free_again() {
    let limits = Limits {
        max_inflight_bytes: 1,
        max_body_bytes: 100_000,
        ..Limits::default()
    };
    let house = house_with(limits, Tokens::default());
    let before = tokio::time::Instant::now();
    let (status, _) = house
        .post(
            "/ai/spans/publish",
            Body::new(Stalled(Some(Bytes::from(vec![b' '; 90_000])))),
        )
        .await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(before.elapsed().as_secs(), 30);
    assert_eq!(
        house
            .post("/ai/spans/publish", json!({"spans": [span(1)]}).to_string())
            .await
            .0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_bytes_at_once_wait_and_are_then_refused() {
    // Room for 3 units of 64 KiB: a body of two, one of one, and no more.
    let limits = Limits {
        max_inflight_bytes: 3 << 16,
        max_body_bytes: 1 << 16,
        ..Limits::default()
    };
    let house = house_with(limits, Tokens::default());
    let stalled = || {
        house.post(
            "/ai/spans/publish",
            Body::new(Stalled(Some(Bytes::from(vec![b' '; 1 << 16])))),
        )
    };
    let ((first, _), (second, _), (third, _), (fourth, answer)) =
        tokio::join!(stalled(), stalled(), stalled(), stalled());
    assert_eq!([first, second, third], [StatusCode::REQUEST_TIMEOUT; 3]);
    assert_eq!(fourth, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
}
