//! What every fake relies on: recording, scripts, and connections that break as told.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::client::Outgoing;

const NOTHING: &str = "{}";

async fn post(backend: &Backend, path: &str) -> anyhow::Result<crate::client::Reply> {
    Outgoing::post(path, "application/json", NOTHING)
        .send(backend.address())
        .await
}

#[tokio::test]
async fn a_request_is_recorded_whole() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    let sent = Outgoing::post_json("/a/b?c=d%20e", &json!({"n": 1}))
        .header("X-Extra", "yes")
        .gzip()
        .unwrap();
    let wire_bytes = sent.body.len();
    assert_eq!(sent.send(backend.address()).await.unwrap().status, 200);
    let recorded = backend.requests().pop().unwrap();
    let request = &recorded.request;
    assert_eq!(
        (
            request.method.as_str(),
            request.path.as_str(),
            request.query.as_str()
        ),
        ("POST", "/a/b", "c=d%20e")
    );
    assert_eq!(request.header("x-extra"), Some("yes"));
    assert_eq!(request.json().unwrap(), json!({"n": 1}));
    assert_eq!(
        (request.wire_bytes, recorded.status),
        (wire_bytes, Some(200))
    );
    assert_eq!(
        backend.counts()["/a/b"].statuses,
        BTreeMap::from([(200, 1)])
    );
}

#[tokio::test]
async fn scripted_statuses_come_in_order_and_then_the_fakes_own() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    for status in [207, 400, 401, 403, 408, 413, 500, 503] {
        backend.on(Which::path("/a").nth(1), Behaviour::status(status));
    }
    let mut statuses = Vec::new();
    for _ in 0..9 {
        assert_eq!(
            post(&backend, "/b").await.unwrap().status,
            200,
            "other paths are not meant"
        );
        statuses.push(post(&backend, "/a").await.unwrap().status);
    }
    assert_eq!(statuses, [207, 400, 401, 403, 408, 413, 500, 503, 200]);
}

#[tokio::test]
async fn a_rate_limit_tells_the_wait_in_seconds_or_as_a_date() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    backend.on(Which::all().nth(1), Behaviour::retry_after_seconds(429, 7));
    backend.on(
        Which::all().nth(1),
        Behaviour::retry_after_date(429, SystemTime::UNIX_EPOCH),
    );
    let first = post(&backend, "/a").await.unwrap();
    assert_eq!(
        (first.status, first.header("retry-after")),
        (429, Some("7"))
    );
    let second = post(&backend, "/a").await.unwrap();
    assert_eq!(
        second.header("retry-after"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
}

#[tokio::test]
async fn a_slow_answer_comes_when_the_test_lets_it() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    let gate = Gate::new();
    backend.on(Which::all(), Behaviour::Slow(gate.clone()));
    let (answer, ()) = tokio::join!(post(&backend, "/a"), async {
        backend.wait_for_requests(1).await.unwrap();
        assert_eq!(backend.requests()[0].status, None);
        gate.open();
    });
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn a_reset_before_the_answer_breaks_the_request_untaken() {
    let backend = Backend::start(langfuse::Langfuse::default()).await.unwrap();
    backend.on(Which::all().first(1), Behaviour::ResetBeforeAnswer);
    let error = post(&backend, "/a").await.unwrap_err();
    assert!(format!("{error:#}").contains("no answer"), "{error:#}");
    assert_eq!(backend.requests()[0].status, None);
    assert_eq!(post(&backend, "/a").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_reset_in_the_answer_breaks_it_after_the_status() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    backend.on(Which::all().first(1), Behaviour::ResetInAnswer);
    let error = post(&backend, "/a").await.unwrap_err();
    assert!(format!("{error:#}").contains("broke off"), "{error:#}");
    assert_eq!(backend.requests()[0].status, Some(200));
}

#[tokio::test]
async fn never_answering_leaves_the_request_open() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    backend.on(Which::all(), Behaviour::Never);
    tokio::select! {
        answer = post(&backend, "/a") => panic!("answered: {answer:?}"),
        () = async {
            backend.wait_for_requests(1).await.unwrap();
            // Another connection is served meanwhile.
            backend.heal();
            assert_eq!(post(&backend, "/b").await.unwrap().status, 200);
        } => {}
    }
    assert_eq!(backend.requests()[0].status, None);
}

#[tokio::test]
async fn a_dripping_answer_is_begun_and_not_ended() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let backend = Backend::start(RecordEverything).await.unwrap();
    backend.on(Which::all(), Behaviour::Drip(Duration::from_millis(1)));
    let mut stream = tokio::net::TcpStream::connect(backend.address())
        .await
        .unwrap();
    stream
        .write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"   ") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "ended");
    }
    let head = String::from_utf8(read).unwrap().to_lowercase();
    assert!(head.contains("content-length: 1048576"), "{head}");
}

#[tokio::test]
async fn only_bodies_over_the_size_are_too_large() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    backend.on(Which::all(), Behaviour::TooLargeAbove(4));
    for (body, status) in [("1234", 200), ("12345", 413)] {
        let answer = Outgoing::post("/a", "text/plain", body)
            .send(backend.address())
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_stopped_backend_is_gone_with_its_connections_and_can_come_back() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    let (address, port) = (backend.address(), backend.address().port());
    backend.on(Which::all(), Behaviour::Never);
    let open = Outgoing::get("/a").send(address);
    let (broken, ()) = tokio::join!(open, async {
        backend.wait_for_requests(1).await.unwrap();
        backend.stop().await;
    });
    assert!(broken.is_err());
    let error = Outgoing::get("/a").send(address).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
    let again = Backend::start_at(RecordEverything, port).await.unwrap();
    assert_eq!(
        Outgoing::get("/a")
            .send(again.address())
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_broken_gzip_body_is_told_to_the_fake() {
    let backend = Backend::start(langfuse::Langfuse::default()).await.unwrap();
    let fake = langfuse::Langfuse::default();
    let answer = Outgoing::post_json(langfuse::TRACES, &json!({}))
        .header("content-encoding", "gzip")
        .header("authorization", &fake.authorization())
        .send(backend.address())
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("broken gzip"), "{}", answer.text());
}

#[tokio::test]
async fn a_sink_counts_and_keeps_nothing() {
    let backend = Backend::start(Sink).await.unwrap();
    for _ in 0..3 {
        assert_eq!(post(&backend, "/a").await.unwrap().status, 200);
    }
    let counts = backend.counts();
    assert_eq!((counts["/a"].requests, counts["/a"].wire_bytes), (3, 6));
    assert!(backend.requests().is_empty());
}
