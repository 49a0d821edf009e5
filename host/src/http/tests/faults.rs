//! What goes wrong on the way: the right error for each, within the time and size limits.

use std::io::Write;

use super::*;

fn limited(peer: &Peer, limits: Limits) -> Client {
    client(ClientSettings {
        limits,
        ..settings(&[&peer.url("/")])
    })
}

fn short() -> Limits {
    Limits {
        timeout: Duration::from_millis(150),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_unreachable(client(settings(&[&url])).send(get(url)).await);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let url = "http://gone.example/";
    let client = Client::with_lookup(settings(&[url]), names(&[])).unwrap();
    assert_unreachable(client.send(get(url)).await);
}

#[tokio::test]
async fn a_name_service_that_hangs_is_unreachable() {
    let url = "http://slow.example/";
    let limits = Limits {
        connect_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let lookup: Lookup = Arc::new(|_, _| Box::pin(std::future::pending()));
    let client = Client::with_lookup(
        ClientSettings {
            limits,
            ..settings(&[url])
        },
        lookup,
    )
    .unwrap();
    assert_unreachable(client.send(get(url)).await);
    assert!(matches!(
        client.check_target(url).await,
        Err(HttpError::Unreachable(_))
    ));
}

#[tokio::test]
async fn no_answer_times_out() {
    let peer = Peer::start(|_| Reply::Hang(Vec::new())).await;
    assert_eq!(
        limited(&peer, short()).send(get(peer.url("/"))).await,
        Err(HttpError::TimedOut)
    );
    peer.only();
}

#[tokio::test]
async fn a_request_may_shorten_its_time_but_not_lengthen_it() {
    let peer = Peer::start(|_| Reply::Hang(Vec::new())).await;
    let patient = limited(&peer, Limits::default());
    let hasty = Request {
        timeout: Some(Duration::from_millis(100)),
        ..get(peer.url("/"))
    };
    assert_eq!(patient.send(hasty).await, Err(HttpError::TimedOut));
    let greedy = Request {
        timeout: Some(Duration::MAX),
        ..get(peer.url("/"))
    };
    assert_eq!(
        limited(&peer, short()).send(greedy).await,
        Err(HttpError::TimedOut)
    );
}

#[tokio::test]
async fn a_dripping_body_times_out() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let peer = Peer::start(move |_| Reply::Drip(head.clone())).await;
    assert_eq!(
        limited(&peer, short()).send(get(peer.url("/"))).await,
        Err(HttpError::TimedOut)
    );
}

#[tokio::test]
async fn a_dripping_head_times_out() {
    let peer = Peer::start(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec())).await;
    assert_eq!(
        limited(&peer, short()).send(get(peer.url("/"))).await,
        Err(HttpError::TimedOut)
    );
}

#[tokio::test]
async fn a_reset_after_the_request_is_an_interruption() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
    ] {
        let peer = Peer::start(move |_| Reply::Reset(bytes.to_vec())).await;
        let client = client(settings(&[&peer.url("/")]));
        assert_interrupted(client.send(post(peer.url("/"), "text/plain", "body")).await);
        peer.only();
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_interruption() {
    let peer = Peer::start(|_| Reply::Reset(b"SSH-2.0-x\r\n\r\n".to_vec())).await;
    assert_interrupted(
        client(settings(&[&peer.url("/")]))
            .send(get(peer.url("/")))
            .await,
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_with_and_without_a_length() {
    let limits = Limits {
        max_response_bytes: 1000,
        ..Limits::default()
    };
    let exact = Peer::start(|_| ok([b'x'; 1000])).await;
    assert_eq!(
        limited(&exact, limits.clone())
            .send(get(exact.url("/")))
            .await
            .unwrap()
            .body
            .len(),
        1000
    );
    let too_large = Err(HttpError::ResponseTooLarge { limit_bytes: 1000 });
    let over = Peer::start(|_| ok([b'x'; 1001])).await;
    assert_eq!(
        limited(&over, limits.clone())
            .send(get(over.url("/")))
            .await,
        too_large
    );
    let endless = Peer::start(|_| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        bytes.extend_from_slice(&[b'x'; 5000]);
        Reply::Hang(bytes)
    })
    .await;
    assert_eq!(
        limited(&endless, limits).send(get(endless.url("/"))).await,
        too_large
    );
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_gzipped_answer_is_decoded() {
    let peer =
        Peer::start(|_| response(200, &[("content-encoding", "gzip")], gzipped(b"hello"))).await;
    let response = client(settings(&[&peer.url("/")]))
        .send(get(peer.url("/")))
        .await
        .unwrap();
    assert_eq!(&response.body[..], b"hello");
    assert!(
        response
            .headers
            .iter()
            .all(|(name, _)| name != "content-encoding" && name != "content-length")
    );
}

#[tokio::test]
async fn a_gzip_bomb_is_too_large() {
    let bomb = gzipped(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let peer = Peer::start(move |_| response(200, &[("content-encoding", "gzip")], &bomb)).await;
    let limits = Limits {
        max_response_bytes: 1 << 20,
        ..Limits::default()
    };
    let result = limited(&peer, limits).send(get(peer.url("/"))).await;
    assert_eq!(
        result,
        Err(HttpError::ResponseTooLarge {
            limit_bytes: 1 << 20
        })
    );
}

#[tokio::test]
async fn broken_gzip_is_an_interruption() {
    let peer =
        Peer::start(|_| response(200, &[("content-encoding", "gzip")], "not gzip at all")).await;
    assert_interrupted(
        client(settings(&[&peer.url("/")]))
            .send(get(peer.url("/")))
            .await,
    );
}

#[tokio::test]
async fn an_answer_in_an_encoding_that_was_not_asked_for_keeps_its_status_but_not_its_body() {
    let peer = Peer::start(|_| response(400, &[("content-encoding", "br")], "??")).await;
    let response = client(settings(&[&peer.url("/")]))
        .send(get(peer.url("/")))
        .await
        .unwrap();
    assert_eq!((response.status, response.body.len()), (400, 0));
}

#[tokio::test]
async fn response_headers_over_the_limit_are_too_large() {
    for size in [2000, 1 << 20] {
        let peer = Peer::start(move |_| response(200, &[("x-big", &"x".repeat(size))], "")).await;
        let limits = Limits {
            max_response_header_bytes: 1000,
            ..Limits::default()
        };
        let result = limited(&peer, limits).send(get(peer.url("/"))).await;
        assert_eq!(
            result,
            Err(HttpError::ResponseTooLarge { limit_bytes: 1000 }),
            "{size}"
        );
    }
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let peer = Peer::start(|_| ok("")).await;
    let limits = Limits {
        max_request_bytes: 10,
        max_request_header_bytes: 100,
        ..Limits::default()
    };
    let client = limited(&peer, limits);
    assert_invalid(
        client
            .send(post(peer.url("/"), "text/plain", "12345678901"))
            .await,
        "limit of 10",
    );
    let mut request = get(peer.url("/"));
    request.headers.push(("x".to_owned(), "y".repeat(100)));
    assert_invalid(client.send(request).await, "limit of 100");
    // As many of one letter as a map of headers cannot hold.
    let client = limited(&peer, Limits::default());
    let mut request = get(peer.url("/"));
    request.headers = vec![("x".to_owned(), "y".to_owned()); 25_000];
    assert_invalid(
        client.send(request).await,
        "25000 headers, more than the limit of 256",
    );
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn requests_over_the_number_in_flight_wait_and_are_not_sent_in_vain() {
    let peer = Peer::start(|seen| {
        if seen.line == "GET /hang" {
            Reply::Hang(Vec::new())
        } else {
            ok("")
        }
    })
    .await;
    let client = limited(
        &peer,
        Limits {
            max_in_flight: 1,
            ..Limits::default()
        },
    );
    let mut hanging = Box::pin(client.send(get(peer.url("/hang"))));
    // The first request is under way when the peer has seen it.
    while peer.seen().is_empty() {
        tokio::select! {
            _ = &mut hanging => panic!("answered"),
            () = tokio::task::yield_now() => {}
        }
    }
    let second = Request {
        timeout: Some(Duration::from_millis(50)),
        ..get(peer.url("/second"))
    };
    assert_unreachable(client.send(second.clone()).await);
    drop(hanging);
    assert_eq!(
        client
            .send(Request {
                timeout: None,
                ..second
            })
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let connections = Arc::new(Mutex::new(0));
    let count = Arc::clone(&connections);
    let peer = Peer::start_with(
        |_| ok("x"),
        move |stream| {
            *count.lock().unwrap() += 1;
            async { Some(stream) }
        },
    )
    .await;
    let client = client(settings(&[&peer.url("/")]));
    for _ in 0..5 {
        client.send(get(peer.url("/"))).await.unwrap();
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}
