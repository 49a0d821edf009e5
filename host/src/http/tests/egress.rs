//! What may be reached: grants, addresses, redirects, ourselves.

use super::*;

#[tokio::test]
async fn a_granted_host_is_reached() {
    let peer =
        Peer::start(|_| response(201, &[("X-Kind", "test"), ("retry-after", "7")], "hello")).await;
    let client = client(settings(&[&peer.url("/")]));
    let response = client
        .send(post(peer.url("/in?a=1"), "text/plain", "body"))
        .await
        .unwrap();
    assert_eq!((response.status, &response.body[..]), (201, &b"hello"[..]));
    assert!(
        response
            .headers
            .contains(&("x-kind".to_owned(), "test".to_owned()))
    );
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    let seen = peer.only();
    assert_eq!(
        (seen.line.as_str(), seen.body.as_slice()),
        ("POST /in?a=1", &b"body"[..])
    );
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("mastra-host/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(seen.header("host"), Some(peer.address.to_string().as_str()));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn what_can_be_decoded_is_the_hosts_to_say() {
    let peer = Peer::start(|_| ok("")).await;
    let client = client(settings(&[&peer.url("/")]));
    let headers = vec![("Accept-Encoding".to_owned(), "br, zstd".to_owned())];
    client
        .send(Request {
            headers,
            ..get(peer.url("/"))
        })
        .await
        .unwrap();
    assert_eq!(peer.only().header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn what_is_not_granted_is_never_dialled() {
    let peer = Peer::start(|_| ok("")).await;
    let mut only_named = settings(&[&peer.url("/")]);
    only_named.origins.clear();
    assert_denied(client(only_named).send(get(peer.url("/"))).await);
    let mut only_granted = settings(&[&peer.url("/")]);
    only_granted.operator_hosts.clear();
    assert_denied(client(only_granted).send(get(peer.url("/"))).await);
    let port = peer.address.port();
    for host in [
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "localhost",
    ] {
        let url = format!("http://{host}:{port}/");
        let mut granted = settings(&[&url]);
        granted.operator_hosts.clear();
        assert_denied(client(granted).send(get(url)).await);
    }
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn a_public_name_that_resolves_inside_is_denied() {
    let peer = Peer::start(|_| ok("")).await;
    let url = format!("http://127.0.0.1.nip.example:{}/", peer.address.port());
    let mut granted = settings(&[&url]);
    granted.operator_hosts.clear();
    for inside in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
        "100.64.0.1",
    ] {
        let client = Client::with_lookup(
            granted.clone(),
            names(&[("127.0.0.1.nip.example", &[inside])]),
        )
        .unwrap();
        assert_denied(client.send(get(url.as_str())).await);
    }
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_moves_inside_after_the_check_is_denied() {
    let peer = Peer::start(|_| ok("")).await;
    let url = format!("http://a.example:{}/", peer.address.port());
    let mut granted = settings(&[&url]);
    granted.operator_hosts.clear();
    let client =
        Client::with_lookup(granted, names(&[("a.example", &["1.1.1.1", "127.0.0.1"])])).unwrap();
    assert_eq!(client.check_target(&url).await, Ok(()));
    assert_denied(client.send(get(url)).await);
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn a_name_of_the_operators_setting_may_resolve_inside() {
    let peer = Peer::start(|_| ok("")).await;
    let url = format!("http://langfuse.internal:{}/", peer.address.port());
    // An address that may not be dialled is left out, the others are used.
    let lookup = names(&[("langfuse.internal", &["169.254.169.254 127.0.0.1"])]);
    let client = Client::with_lookup(settings(&[&url]), lookup).unwrap();
    assert_eq!(client.send(get(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_operators_setting_is_about_one_port() {
    let peer = Peer::start(|_| ok("")).await;
    let url = format!("http://a.example:{}/", peer.address.port());
    let mut granted = settings(&[&url]);
    granted.operator_hosts = vec![HostPort {
        host: "a.example".into(),
        port: 1,
    }];
    let client = Client::with_lookup(granted, names(&[("a.example", &["127.0.0.1"])])).unwrap();
    assert_denied(client.send(get(url)).await);
}

#[tokio::test]
async fn our_own_listener_is_no_target() {
    let peer = Peer::start(|_| ok("")).await;
    let port = peer.address.port();
    let named = format!("http://me.example:{port}/");
    let local = format!("http://localhost:{port}/");
    let any = format!("http://0.0.0.0:{port}/");
    let mut settings = settings(&[&peer.url("/"), &named, &local, &any]);
    settings.own_listeners = vec![peer.address];
    let lookup = names(&[
        ("me.example", &["127.0.0.1"]),
        ("localhost", &["::1 127.0.0.1"]),
    ]);
    let client = Client::with_lookup(settings, lookup).unwrap();
    for url in [&peer.url("/"), &named, &local, &any] {
        let checked = client.check_target(url).await;
        assert!(
            matches!(checked, Err(HttpError::Denied(ref text)) if text.contains("own listener")),
            "{url}: {checked:?}"
        );
    }
    assert_denied(client.send(get(named)).await);
    assert_denied(client.send(get(peer.url("/"))).await);
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn the_check_at_start_tells_unresolvable_from_denied() {
    let granted = settings(&["https://a.example/"]);
    let client = Client::with_lookup(granted, names(&[])).unwrap();
    assert!(matches!(
        client.check_target("https://a.example/x").await,
        Err(HttpError::Unreachable(_))
    ));
    // As a setting holds it: a DSN.
    assert!(matches!(
        client.check_target("https://user@a.example/1").await,
        Err(HttpError::Unreachable(_))
    ));
    assert!(matches!(
        client.check_target("https://b.example/").await,
        Err(HttpError::Denied(_))
    ));
    assert!(matches!(
        client.check_target("nonsense").await,
        Err(HttpError::Invalid(_))
    ));
}

#[tokio::test]
async fn every_request_carries_the_hop_header_that_stops_loops() {
    let peer = Peer::start(|_| ok("")).await;
    let settings = settings(&[&peer.url("/")]);
    let hop = settings.hop.clone();
    client(settings).send(get(peer.url("/"))).await.unwrap();
    let seen = peer.only();
    let value = seen.header("mastra-host-hop").unwrap();
    assert_eq!(value, hop.to_string());
}

#[tokio::test]
async fn a_redirect_is_followed_to_a_granted_origin_with_its_body_for_307_and_308() {
    for status in [307, 308] {
        let target = Peer::start(|_| ok("there")).await;
        let location = target.url("/there");
        let peer = Peer::start(move |_| redirect(status, &location)).await;
        let client = client(settings(&[&peer.url("/"), &target.url("/")]));
        let response = client
            .send(post(peer.url("/"), "text/plain", "body"))
            .await
            .unwrap();
        assert_eq!(&response.body[..], b"there");
        let seen = target.only();
        assert_eq!(
            (seen.line.as_str(), seen.body.as_slice()),
            ("POST /there", &b"body"[..])
        );
    }
}

#[tokio::test]
async fn see_other_is_fetched_without_body_and_what_describes_it() {
    let peer = Peer::start(|seen| {
        if seen.line == "POST /" {
            redirect(303, "/result")
        } else {
            ok("result")
        }
    })
    .await;
    let client = client(settings(&[&peer.url("/")]));
    let response = client
        .send(post(peer.url("/"), "text/plain", "body"))
        .await
        .unwrap();
    assert_eq!(&response.body[..], b"result");
    let [_, second] = &peer.seen()[..] else {
        panic!("two requests")
    };
    assert_eq!(
        (second.line.as_str(), second.body.len()),
        ("GET /result", 0)
    );
    assert_eq!(second.header("content-type"), None);
}

#[tokio::test]
async fn a_write_that_is_redirected_with_302_is_not_turned_into_a_read() {
    let peer = Peer::start(|_| redirect(302, "/login")).await;
    let client = client(settings(&[&peer.url("/")]));
    let response = client
        .send(post(peer.url("/"), "text/plain", "body"))
        .await
        .unwrap();
    assert_eq!(response.status, 302);
    peer.only();
}

#[tokio::test]
async fn a_redirect_to_what_is_not_granted_is_denied_and_nothing_is_sent_there() {
    let target = Peer::start(|_| ok("")).await;
    let location = target.url("/");
    let peer = Peer::start(move |_| redirect(307, &location)).await;
    // Not granted at all; granted, but inside without a setting that names it.
    let not_granted = settings(&[&peer.url("/")]);
    let mut inside = settings(&[&peer.url("/"), &target.url("/")]);
    inside.operator_hosts.pop();
    for settings in [not_granted, inside] {
        assert_denied(
            client(settings)
                .send(post(peer.url("/"), "text/plain", "body"))
                .await,
        );
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_name_that_resolves_inside_is_denied() {
    let target = Peer::start(|_| ok("")).await;
    let location = format!("http://evil.example:{}/", target.address.port());
    let peer = Peer::start({
        let location = location.clone();
        move |_| redirect(302, &location)
    })
    .await;
    let mut settings = settings(&[&peer.url("/"), &location]);
    settings.operator_hosts.pop();
    let client = Client::with_lookup(settings, names(&[("evil.example", &["127.0.0.1"])])).unwrap();
    assert_denied(client.send(get(peer.url("/"))).await);
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn redirects_end() {
    let peer = Peer::start(|_| redirect(302, "/again")).await;
    let client = client(settings(&[&peer.url("/")]));
    assert_denied(client.send(get(peer.url("/"))).await);
    assert_eq!(peer.seen().len(), 6);
}

#[tokio::test]
async fn a_denied_redirect_after_processing_does_not_claim_that_nothing_was_sent() {
    let peer = Peer::start(|_| redirect(303, "https://b.example/result")).await;
    let client = client(settings(&[&peer.url("/")]));
    assert_interrupted(client.send(post(peer.url("/"), "text/plain", "body")).await);
}

#[tokio::test]
async fn malformed_requests_are_not_sent() {
    let peer = Peer::start(|_| ok("")).await;
    let client = client(settings(&[&peer.url("/")]));
    let with_header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..post(peer.url("/"), "text/plain", "x")
    };
    for name in [
        "Host",
        "content-length",
        "Connection",
        "transfer-encoding",
        "TE",
        "upgrade",
        "Proxy-Authorization",
        "proxy-x",
        "mastra-host-hop",
        "trailer",
        "expect",
        "keep-alive",
    ] {
        assert_invalid(
            client.send(with_header(name, "x")).await,
            &name.to_ascii_lowercase(),
        );
    }
    assert_invalid(client.send(with_header("a b", "x")).await, "a b");
    assert_invalid(
        client.send(with_header("x-a", "hidden\r\nx-b: c")).await,
        "`x-a`",
    );
    let encoded = Request {
        compress: Some(super::super::message::Compression::Gzip),
        ..with_header("content-encoding", "gzip")
    };
    assert_invalid(client.send(encoded).await, "content-encoding");
    assert_invalid(
        client
            .send(Request {
                verb: "TRACE".into(),
                ..get(peer.url("/"))
            })
            .await,
        "verb",
    );
    assert_invalid(client.send(get("not a url")).await, "URL");
    assert_invalid(client.send(get("file:///etc/passwd")).await, "URL");
    assert_invalid(
        client
            .send(get(format!("http://user:word@{}/", peer.address)))
            .await,
        "auth",
    );
    assert_invalid(
        client
            .send(get(format!(
                "http://[fe80::1%25lo]:{}/",
                peer.address.port()
            )))
            .await,
        "URL",
    );
    assert!(peer.seen().is_empty());
}
