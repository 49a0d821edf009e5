//! Secrets: filled in where they belong, refused elsewhere, and never coming back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use tracing_subscriber::layer::SubscriberExt;

use super::super::message::{Auth, Compression};
use super::*;
use crate::config::secret::Secret;

const SECRET: &str = "sk-lf/0123+456&789 \"é";

struct Vault {
    peer: Peer,
    client: Client,
    /// Of [`SECRET`], not for bodies.
    key: String,
    /// Of [`SECRET`], for bodies.
    body_key: String,
}

async fn vault(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Vault {
    let peer = Peer::start(reply).await;
    let mut settings = settings(&[&peer.url("/")]);
    let key = settings.secrets.hide("key", SECRET, false).unwrap();
    let body_key = settings.secrets.hide("body_key", SECRET, true).unwrap();
    Vault {
        peer,
        client: client(settings),
        key,
        body_key,
    }
}

impl Vault {
    fn with_auth(&self, auth: Auth) -> Request {
        Request {
            auth: Some(auth),
            ..get(self.peer.url("/in?a=1"))
        }
    }
}

#[tokio::test]
async fn secrets_are_filled_in_in_every_kind_of_auth() {
    let v = vault(|_| ok("")).await;
    let placeholder = || v.key.clone();
    let auths = [
        Auth::Basic("user".into(), placeholder()),
        Auth::Bearer(placeholder()),
        Auth::Header("X-Api-Key".into(), format!("k={}", v.key)),
        Auth::Query("api key".into(), placeholder()),
    ];
    for auth in auths {
        v.client.send(v.with_auth(auth)).await.unwrap();
    }
    let [basic, bearer, header, query] = &v.peer.seen()[..] else {
        panic!("four requests")
    };
    let token = STANDARD.encode(format!("user:{SECRET}"));
    assert_eq!(
        basic.header("authorization"),
        Some(format!("Basic {token}").as_str())
    );
    assert_eq!(
        bearer.header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    assert_eq!(
        header.header("x-api-key"),
        Some(format!("k={SECRET}").as_str())
    );
    assert_eq!(
        query.line,
        "GET /in?a=1&api%20key=sk-lf%2F0123%2B456%26789%20%22%C3%A9"
    );
}

#[tokio::test]
async fn secrets_are_filled_in_in_headers_and_queries_of_the_component() {
    let v = vault(|_| ok("")).await;
    let mut request = get(v.peer.url(&format!("/in?k={}&b=2", v.key)));
    request.headers = vec![
        (
            "x-sentry-auth".into(),
            format!("Sentry sentry_key={}, v=7", v.key),
        ),
        (
            "authorization".into(),
            format!("Basic {}", STANDARD.encode(format!("user:{}", v.key))),
        ),
        ("x-same".into(), "1".into()),
        ("x-same".into(), "2".into()),
    ];
    v.client.send(request).await.unwrap();
    let seen = v.peer.only();
    assert_eq!(
        seen.line,
        "GET /in?k=sk-lf%2F0123%2B456%26789%20%22%C3%A9&b=2"
    );
    assert_eq!(
        seen.header("x-sentry-auth"),
        Some(format!("Sentry sentry_key={SECRET}, v=7").as_str())
    );
    let token = STANDARD.encode(format!("user:{SECRET}"));
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Basic {token}").as_str())
    );
    assert_eq!(
        seen.headers
            .iter()
            .filter(|(name, _)| name == "x-same")
            .count(),
        2
    );
}

#[tokio::test]
async fn pieces_of_a_secret_url_are_filled_in_in_path_and_query_alone() {
    let body = "no T0/xoxb-0123456789abcdef, not even xoxb-0123456789abcdef or q&01";
    let peer = Peer::start(move |_| ok(body)).await;
    let mut settings = settings(&[&peer.url("/")]);
    let secret = peer.url("/T0/xoxb-0123456789abcdef?key=q%2601&bare-0123");
    let hidden = settings.secrets.hide_url("url", &secret, false).unwrap();
    let client = client(settings);
    let hidden = Url::parse(&hidden).unwrap();
    let path = hidden.path().trim_start_matches('/');

    let mut longer = hidden.clone();
    longer.set_path(&format!("/{path}/more"));
    for url in [&hidden, &longer] {
        let response = client.send(get(url.as_str())).await.unwrap();
        assert_eq!(&response.body[..], b"no ***, not even *** or ***");
    }
    let lines: Vec<String> = peer.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        [
            "GET /T0/xoxb-0123456789abcdef?key=q%2601&bare-0123",
            "GET /T0/xoxb-0123456789abcdef/more?key=q%2601&bare-0123",
        ]
    );

    let (_, key) = hidden.query_pairs().next().unwrap();
    for refused in [
        format!("http://{path}/"),
        format!("http://{path}@{}/", peer.address),
        peer.url(&format!("/{key}")),
        peer.url(&format!("/x#{path}")),
    ] {
        let error = client.send(get(&*refused)).await.unwrap_err();
        assert!(matches!(error, HttpError::Invalid(_)), "{refused}: {error}");
    }
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn for_this_machine_a_body_is_compressed_only_when_the_operator_wants_it() {
    for (compression, encoding) in [
        (Compress::Auto, None),
        (Compress::Never, None),
        (Compress::Always, Some("gzip")),
    ] {
        let peer = Peer::start(|_| ok("")).await;
        let mut settings = settings(&[&peer.url("/")]);
        settings.transport.compression = compression;
        let request = Request {
            compress: Some(Compression::Gzip),
            ..post(peer.url("/"), "application/json", "{}".to_owned())
        };
        client(settings).send(request).await.unwrap();
        assert_eq!(
            peer.only().header("content-encoding"),
            encoding,
            "{compression:?}"
        );
    }
}

#[tokio::test]
async fn a_body_of_json_is_filled_in_before_compression() {
    let v = vault(|_| ok("")).await;
    let body = format!(r#"{{"api_key":"{}","n":1}}"#, v.body_key);
    let request = post(v.peer.url("/"), "application/json", body);
    for compress in [
        None,
        Some(Compression::Gzip),
        Some(Compression::Deflate),
        Some(Compression::Zstd),
    ] {
        v.client
            .send(Request {
                compress,
                ..request.clone()
            })
            .await
            .unwrap();
    }
    let [plain, gzip, deflate, zstd] = &v.peer.seen()[..] else {
        panic!("four requests")
    };
    let filled = serde_json::json!({"api_key": SECRET, "n": 1}).to_string();
    assert_eq!(
        (plain.header("content-encoding"), plain.body.as_slice()),
        (None, filled.as_bytes())
    );
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&gzip.body[..]), &mut text)
        .unwrap();
    assert_eq!(
        (gzip.header("content-encoding"), &text),
        (Some("gzip"), &filled)
    );
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::ZlibDecoder::new(&deflate.body[..]),
        &mut text,
    )
    .unwrap();
    assert_eq!(
        (deflate.header("content-encoding"), &text),
        (Some("deflate"), &filled)
    );
    let text = zstd::bulk::decompress(&zstd.body, 10_000).unwrap();
    assert_eq!(
        (zstd.header("content-encoding"), text.as_slice()),
        (Some("zstd"), filled.as_bytes())
    );
}

#[tokio::test]
async fn a_big_body_is_compressed_whole() {
    let v = vault(|_| ok("")).await;
    let body: String = (0..100_000).map(|n| format!("{n} ")).collect();
    let request = post(v.peer.url("/"), "text/plain", body.clone());
    v.client
        .send(Request {
            compress: Some(Compression::Zstd),
            ..request
        })
        .await
        .unwrap();
    assert_eq!(
        zstd::bulk::decompress(&v.peer.only().body, 1 << 20).unwrap(),
        body.as_bytes()
    );
}

#[tokio::test]
async fn a_signature_is_over_the_filled_body_before_compression() {
    use hmac::{Hmac, KeyInit, Mac};
    let v = vault(|_| ok("")).await;
    let auth = Auth::HmacSha256 {
        key: v.key.clone(),
        header_name: "X-Signature".into(),
        prefix: "sha256=".into(),
    };
    let body = format!(r#"{{"k":"{}"}}"#, v.body_key);
    let request = post(v.peer.url("/"), "application/json", body);
    v.client
        .send(Request {
            auth: Some(auth),
            compress: Some(Compression::Gzip),
            ..request
        })
        .await
        .unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(serde_json::json!({"k": SECRET}).to_string().as_bytes());
    let digest: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        v.peer.only().header("x-signature"),
        Some(format!("sha256={digest}").as_str())
    );
}

#[tokio::test]
async fn a_placeholder_elsewhere_is_refused_with_its_place() {
    let v = vault(|_| ok("")).await;
    let (key, url) = (&v.key, v.peer.url("/"));
    let port = v.peer.address.port();
    assert_invalid(
        v.client.send(get(v.peer.url(&format!("/{key}/x")))).await,
        "path of the URL",
    );
    assert_invalid(
        v.client.send(get(format!("http://{key}:{port}/"))).await,
        "host or path",
    );
    assert_invalid(
        v.client.send(get(format!("{url}?{key}=1"))).await,
        "query parameter",
    );
    assert_invalid(v.client.send(get(format!("{url}#{key}"))).await, "fragment");
    let request = Request {
        headers: vec![(key.clone(), "x".into())],
        ..get(url.as_str())
    };
    assert_invalid(v.client.send(request).await, "name of a header");
    let auth = Auth::Header(key.clone(), "x".into());
    assert_invalid(v.client.send(v.with_auth(auth)).await, "name of a header");
    let auth = Auth::Query(key.clone(), "x".into());
    assert_invalid(v.client.send(v.with_auth(auth)).await, "query parameter");
    let body = format!(r#"{{"k":"{key}"}}"#);
    assert_invalid(
        v.client
            .send(post(url.as_str(), "application/json", body.clone()))
            .await,
        "x-in-body",
    );
    for content_type in ["application/x-protobuf", "text/plain"] {
        let body = body.replace(key, &v.body_key);
        assert_invalid(
            v.client.send(post(url.as_str(), content_type, body)).await,
            "JSON content type",
        );
    }
    assert!(v.peer.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_the_component_encoded_is_left_alone() {
    let v = vault(|_| ok("")).await;
    let body = format!(r#""{}""#, v.body_key);
    let mut request = post(v.peer.url("/"), "application/json", body.clone());
    request
        .headers
        .push(("content-encoding".into(), "br".into()));
    v.client.send(request).await.unwrap();
    assert_eq!(v.peer.only().body, body.as_bytes());
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_refused_without_being_shown() {
    let peer = Peer::start(|_| ok("")).await;
    let mut settings = settings(&[&peer.url("/")]);
    let key = settings
        .secrets
        .hide("key", "line\nhunter2", false)
        .unwrap();
    let result = client(settings)
        .send(Request {
            auth: Some(Auth::Bearer(key)),
            ..get(peer.url("/"))
        })
        .await;
    assert!(!format!("{result:?}").contains("hunter2"));
    assert_invalid(result, "authorization");
}

#[tokio::test]
async fn secrets_do_not_come_back_in_headers_bodies_or_gzip() {
    use std::io::Write;
    let v = vault(|seen| {
        let echo = format!("{:?} {}", seen.headers, seen.line);
        let mut body = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        body.write_all(
            format!("raw {SECRET} {} {echo}", serde_json::json!({"k": SECRET})).as_bytes(),
        )
        .unwrap();
        let line = seen.line.clone();
        let headers = [
            ("x-echo", seen.header("authorization").unwrap_or(&line)),
            ("content-encoding", "gzip"),
            ("x-q", &line),
        ];
        response(401, &headers, body.finish().unwrap())
    })
    .await;
    let auths = [
        Auth::Basic("someone".into(), v.key.clone()),
        Auth::Basic(v.key.clone(), v.body_key.clone()),
        Auth::Bearer(v.key.clone()),
        Auth::Query("k".into(), v.key.clone()),
    ];
    for auth in auths {
        let request = Request {
            url: v.peer.url(&format!("/?q={}", v.key)),
            ..v.with_auth(auth.clone())
        };
        let response = v.client.send(request).await.unwrap();
        let all = format!(
            "{:?} {}",
            response.headers,
            String::from_utf8_lossy(&response.body)
        );
        assert!(all.matches("***").count() >= 4, "{all}");
        for spelling in [
            "0123+456",
            "0123%2B456",
            "0123%2b456",
            &STANDARD.encode(SECRET)[..20],
        ] {
            assert!(!all.contains(spelling), "{auth:?}: {all}");
        }
        for offset in 0..3 {
            let inside = STANDARD.encode([vec![0; offset], SECRET.into()].concat());
            assert!(!all.contains(&inside[4..20]), "{auth:?}: {all}");
        }
    }
}

#[tokio::test]
async fn an_error_shows_no_secret() {
    let v = vault(|_| Reply::Reset(format!("{SECRET}\r\n\r\n").into_bytes())).await;
    let auth = Auth::Query("k".into(), v.key.clone());
    let error = v.client.send(v.with_auth(auth)).await.unwrap_err();
    assert!(!error.to_string().contains("0123"), "{error}");
    // A redirect can carry the secret into the text of a denial.
    let v = vault(|_| redirect(307, "http://hunter2hunter2.example/")).await;
    let mut settings = settings(&[&v.peer.url("/")]);
    settings
        .secrets
        .hide("key", "hunter2hunter2", false)
        .unwrap();
    let error = client(settings)
        .send(get(v.peer.url("/")))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("***.example"), "{error}");
}

#[tokio::test]
async fn credentials_go_along_to_another_granted_origin_and_to_no_other() {
    let granted = Peer::start(|_| ok("")).await;
    let other = Peer::start(|_| ok("")).await;
    let (to_granted, to_other) = (granted.url("/moved"), other.url("/moved"));
    let peer = Peer::start(move |seen| {
        redirect(
            302,
            if seen.line.contains("granted") {
                &to_granted
            } else {
                &to_other
            },
        )
    })
    .await;
    let mut settings = settings(&[&peer.url("/"), &granted.url("/")]);
    let key = settings.secrets.hide("key", SECRET, false).unwrap();
    let client = client(settings);
    let ask = |path: &str| Request {
        auth: Some(Auth::Bearer(key.clone())),
        ..get(peer.url(path))
    };
    assert_denied(client.send(ask("/other")).await);
    assert!(other.seen().is_empty());
    client.send(ask("/granted")).await.unwrap();
    assert_eq!(
        granted.only().header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_query_along_but_asks_for_auth_anew() {
    let v = vault(|seen| {
        if seen.line.starts_with("GET /in") {
            redirect(302, "/out?x=1")
        } else {
            ok("")
        }
    })
    .await;
    let request = Request {
        url: v.peer.url(&format!("/in?k={}", v.key)),
        ..v.with_auth(Auth::Query("a".into(), "b".into()))
    };
    v.client.send(request).await.unwrap();
    assert_eq!(v.peer.seen()[1].line, "GET /out?x=1&a=b");
}

#[tokio::test]
async fn nothing_is_filled_in_for_a_url_that_the_server_made() {
    let location = Arc::new(Mutex::new(String::new()));
    let reply = Arc::clone(&location);
    let v = vault(move |seen| {
        if seen.line == "GET /in" {
            redirect(302, &reply.lock().unwrap())
        } else {
            ok("")
        }
    })
    .await;
    *location.lock().unwrap() = format!("/out?k={}", v.key);
    v.client.send(get(v.peer.url("/in"))).await.unwrap();
    assert_eq!(v.peer.seen()[1].line, format!("GET /out?k={}", v.key));
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_holds_no_secret_header_or_payload_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let v = vault(|seen| {
        if seen.line.contains("reset") {
            Reply::Reset(Vec::new())
        } else {
            ok("answerpayload")
        }
    })
    .await;
    // Another test's thread may be registering the log statements at this moment, for no subscriber.
    for path in ["/", "/reset"] {
        let _ = v.client.send(get(v.peer.url(path))).await;
    }
    tracing::callsite::rebuild_interest_cache();
    for path in ["/", "/reset"] {
        let mut request = post(
            v.peer.url(path),
            "application/json",
            format!(r#""{} requestpayload""#, v.body_key),
        );
        request
            .headers
            .push(("x-plain".into(), "headervalue".into()));
        request.auth = Some(Auth::Query("k".into(), v.key.clone()));
        let _ = v.client.send(request).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("Request was answered") && text.contains("Request has no answer"),
        "{text}"
    );
    for hidden in [
        "0123",
        "requestpayload",
        "answerpayload",
        "headervalue",
        "mastra-secret.",
    ] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn debug_of_settings_and_client_shows_no_secret() {
    let mut settings = settings(&["http://a.example/"]);
    settings
        .secrets
        .hide("key", "hunter2hunter2", false)
        .unwrap();
    settings.transport.proxy = Some(Secret::new("http://user:proxyword@127.0.0.1:1"));
    let text = format!("{settings:?}");
    assert!(
        !text.contains("hunter2") && !text.contains("proxyword"),
        "{text}"
    );
    let text = format!("{:?}", client(settings));
    assert!(
        !text.contains("hunter2") && !text.contains("proxyword"),
        "{text}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_secret_a_server_that_echoes_everything_tells_the_component_nothing(secret in "[!-~]{8,30}") {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let peer = Peer::start(|seen| ok(format!("{seen:?}\n{}\n{}", seen.line, seen.headers.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join("\n")))).await;
            let mut settings = settings(&[&peer.url("/")]);
            let key = settings.secrets.hide("key", &secret, false).unwrap();
            let auth = Some(Auth::Basic("u".into(), key.clone()));
            let mut request = Request { auth, ..get(peer.url(&format!("/?q={key}"))) };
            request.headers.push(("x-key".into(), key.clone()));
            let body = client(settings).send(request).await.unwrap().body;
            let text = String::from_utf8_lossy(&body);
            assert!(!text.contains(&secret), "{text}");
            assert!(!text.contains(&STANDARD.encode(format!("u:{secret}"))), "{text}");
        });
    }
}
