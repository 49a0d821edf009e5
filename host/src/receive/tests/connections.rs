//! Over loopback.

use super::*;

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Closed>,
}

async fn serving(house: &House, limits: Limits) -> Serving {
    serving_with(house, limits, None).await
}

async fn serving_with(house: &House, limits: Limits, tls: Option<tls::Tls>) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = house.router.clone();
    #[expect(clippy::disallowed_methods, reason = "the test joins it")]
    let task = tokio::spawn(async move {
        let listener = Listener { tcp: listener, tls };
        serve(listener, router, Transport::Http1, &limits, async {
            let _ = stopped.await;
        })
        .await
    });
    Serving {
        address,
        stop,
        task,
    }
}

fn raw_request(body: &str) -> String {
    format!(
        "POST /ai/spans/publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn answer_of(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn real_connections_are_served_and_a_refusal_reaches_a_sender_that_is_still_sending() {
    let limits = Limits {
        max_body_bytes: 8 << 20,
        ..Limits::default()
    };
    let house = house_with(limits.clone(), Tokens::default());
    let server = serving(&house, limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    let answer = answer_of(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"accepted\":1"),
        "{answer}"
    );

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&" ".repeat(15 << 20)).as_bytes())
        .await
        .unwrap();
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 413 "));

    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Closed { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_no_whole_header_is_closed() {
    let house = house();
    let server = serving(&house, Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /v1/events HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let answer = answer_of(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_free_slot() {
    let house = house();
    let server = serving(
        &house,
        Limits {
            max_connections: 1,
            ..Limits::default()
        },
    )
    .await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second
        .write_all(raw_request("{\"spans\":[]}").as_bytes())
        .await
        .unwrap();
    let mut byte = [0];
    // The first connection holds the only slot, so no answer can be on its way however long one looks.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(
            second.try_read(&mut byte).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
    }
    drop(first);
    assert!(answer_of(&mut second).await.starts_with("HTTP/1.1 200 "));
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_server_stops() {
    let house = house();
    let gate = house.queue.gate.acquire().await.unwrap();
    let server = serving(&house, Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    while house.counts.snapshot().received_bytes == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(house.events().is_empty());
    drop(gate);
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.task.await.unwrap(), Closed { cut: 0 });
    assert_eq!(house.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_at_the_drain_deadline_is_cut_and_said() {
    let house = house();
    let gate = house.queue.gate.acquire().await.unwrap();
    let limits = Limits {
        drain_timeout: Duration::from_secs(3),
        ..Limits::default()
    };
    let server = serving(&house, limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(raw_request(&json!({"spans": [span(1)]}).to_string()).as_bytes())
        .await
        .unwrap();
    while house.counts.snapshot().received_bytes == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Closed { cut: 1 });
    drop(gate);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_some_age_ends_with_the_answer_under_way() {
    let house = house();
    let gate = house.queue.gate.acquire().await.unwrap();
    let limits = Limits {
        max_connection_age: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = serving(&house, limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = raw_request(&json!({"spans": [span(1)]}).to_string());
    let kept_alive = request.replace("connection: close\r\n", "");
    stream.write_all(kept_alive.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    drop(gate);
    assert!(answer_of(&mut stream).await.starts_with("HTTP/1.1 200 "));
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap(), Closed { cut: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_client_of_tls_that_says_nothing_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let files = crate::config::Tls {
        cert_file: dir.path().join("cert.pem"),
        key_file: dir.path().join("key.pem"),
        client_ca_file: None,
    };
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(&files.cert_file, certificate.pem()).unwrap();
    std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
    let tls = tls::Tls::load(&files, Transport::Http1).unwrap();
    let house = house();
    let server = serving_with(&house, Limits::default(), Some(tls)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(answer_of(&mut stream).await, "");
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bodies_are_answered(body in prop::collection::vec(any::<u8>(), 0..300), lines in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let path = if lines { "/v1/events" } else { "/ai/spans/publish" };
        let (status, _) = runtime.block_on(house().post(path, body));
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST);
    }

    #[test]
    fn good_envelopes_around_any_line_survive(bad in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assume!(!bad.contains(&b'\n'));
        let good = |id| json!({"type": "span_ended", "exportedSpan": span(id)}).to_string();
        let body = [good(1).as_bytes(), b"\n", &bad, b"\n", good(2).as_bytes()].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (status, answer) = runtime.block_on(house().post("/v1/events", body));
        prop_assert_eq!(status, StatusCode::OK);
        prop_assert_eq!(&answer["accepted"], 2);
    }
}
