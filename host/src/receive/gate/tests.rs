use axum::http::request::Builder;

use super::*;

fn gate(settings: GateSettings) -> Gate {
    Gate::new(Tokens::default(), settings)
}

fn from(builder: Builder, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = builder.body(()).unwrap();
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

/// The name of the refusal, or nothing.
fn refusal(gate: &Gate, request: &Request<()>) -> String {
    match gate.admit(request) {
        Ok(_) => String::new(),
        Err(error) => {
            let text = format!("{error:?}");
            text.split(['(', ' ']).next().unwrap().to_owned()
        }
    }
}

#[test]
fn the_host_is_an_address_of_the_connection_localhost_or_a_configured_name() {
    let gate = gate(GateSettings {
        hosts: vec!["telemetry".to_owned(), "192.0.2.7".to_owned()],
        ..GateSettings::default()
    });
    let local = |address: &str| Connection {
        local: address.parse().unwrap(),
        ..Connection::default()
    };
    let loopback = local("127.0.0.1:4318");
    let outside = local("[::ffff:198.51.100.4]:4318");
    for (host, connection, wanted) in [
        ("localhost", loopback, ""),
        ("LOCALHOST.:1", loopback, ""),
        ("127.0.0.1:4318", loopback, ""),
        ("[::1]:4318", loopback, ""),
        ("telemetry:4318", loopback, ""),
        ("192.0.2.7", loopback, ""),
        ("198.51.100.4:80", outside, ""),
        ("[::ffff:198.51.100.4]:80", outside, ""),
        ("localhost", outside, ""),
        ("127.0.0.1", outside, "ForeignHost"),
        ("198.51.100.5", outside, "ForeignHost"),
        ("198.51.100.4", loopback, "ForeignHost"),
        ("evil.example:4318", loopback, "ForeignHost"),
        ("localhost.evil.example", loopback, "ForeignHost"),
        ("evil.localhost", loopback, "ForeignHost"),
        ("localhost@evil.example", loopback, "ForeignHost"),
        ("evil.example@localhost", loopback, "ForeignHost"),
        ("127.0.0.1.evil.example", loopback, "ForeignHost"),
        ("", loopback, "ForeignHost"),
        ("a b", loopback, "ForeignHost"),
    ] {
        for path in ["/metrics", "/healthz", "/v1/events"] {
            let mut request = from(Request::get(path), &[("host", host)]);
            request.extensions_mut().insert(connection);
            assert_eq!(refusal(&gate, &request), wanted, "{host} {path}");
        }
    }
    // As HTTP/2 and proxies name it.
    for (target, headers, wanted) in [
        ("http://localhost/metrics", vec![], ""),
        ("http://evil.example/metrics", vec![], "ForeignHost"),
        (
            "http://evil.example/",
            vec![("host", "localhost")],
            "ForeignHost",
        ),
        (
            "http://localhost/",
            vec![("host", "evil.example")],
            "ForeignHost",
        ),
        (
            "/",
            vec![("host", "localhost"), ("host", "evil.example")],
            "ForeignHost",
        ),
        ("/", vec![], ""),
    ] {
        let request = from(Request::get(target), &headers);
        assert_eq!(refusal(&gate, &request), wanted, "{target} {headers:?}");
    }
}

/// Method, headers beside `host: localhost:4318`, and the refusal.
const PAGES: [(&str, &str, &str); 21] = [
    (
        "POST",
        "origin=https://evil.example content-type=text/plain",
        "ForeignOrigin",
    ),
    (
        "POST",
        "origin=null content-type=application/json",
        "ForeignOrigin",
    ),
    (
        "POST",
        "origin=http://localhost:3000 content-type=a/b",
        "ForeignOrigin",
    ),
    (
        "POST",
        "origin=http://localhost content-type=a/b",
        "ForeignOrigin",
    ),
    (
        "POST",
        "origin=https://app.example.evil.example content-type=a/b",
        "ForeignOrigin",
    ),
    (
        "POST",
        "origin=http://localhost:4318 origin=https://evil.example",
        "ForeignOrigin",
    ),
    (
        "POST",
        "sec-fetch-site=cross-site content-type=a/b",
        "ForeignSite",
    ),
    ("GET", "sec-fetch-site=cross-site", "ForeignSite"),
    ("GET", "sec-fetch-site=same-site", "ForeignSite"),
    (
        "GET",
        "sec-fetch-site=none sec-fetch-site=cross-site",
        "ForeignSite",
    ),
    (
        "GET",
        "origin=http://localhost:4318 sec-fetch-site=cross-site",
        "ForeignSite",
    ),
    ("GET", "sec-fetch-site=none", ""),
    (
        "GET",
        "origin=http://localhost:4318 sec-fetch-site=same-origin",
        "",
    ),
    ("POST", "origin=http://localhost:4318 content-type=a/b", ""),
    ("POST", "", ""),
    ("POST", "content-type=text/plain", ""),
    ("POST", "sec-fetch-mode=no-cors", "NoContentType"),
    ("POST", "origin=http://localhost:4318", "NoContentType"),
    // A page that may send events reads nothing.
    (
        "POST",
        "origin=https://app.example sec-fetch-site=cross-site content-type=a/b",
        "",
    ),
    ("POST", "origin=https://app.example", "NoContentType"),
    (
        "GET",
        "origin=https://app.example sec-fetch-site=cross-site",
        "ForeignOrigin",
    ),
];

#[test]
fn foreign_pages_are_refused_on_every_path_and_the_hosts_own_pages_are_not() {
    let gate = gate(GateSettings {
        origins: vec!["https://app.example".to_owned()],
        ..GateSettings::default()
    });
    for (method, headers, wanted) in PAGES {
        let pairs = headers.split(' ').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = [("host", "localhost:4318")]
            .into_iter()
            .chain(pairs)
            .collect();
        for path in [
            "/v1/events",
            "/metrics",
            "/healthz",
            "/exporters/a/b",
            "/x/spans/publish",
        ] {
            let request = from(Request::builder().method(method).uri(path), &pairs);
            assert_eq!(
                refusal(&gate, &request),
                wanted,
                "{method} {path} {headers}"
            );
        }
    }
}

#[test]
fn a_valid_token_needs_no_check_of_host_and_page() {
    let tokens = Tokens::new([(Sender::default(), "secret")]);
    let gate = Gate::new(tokens, GateSettings::default());
    let foreign = [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let mut request = from(Request::post("/v1/events"), &foreign);
    assert_eq!(refusal(&gate, &request), "Unauthorized");
    request
        .headers_mut()
        .insert(AUTHORIZATION, "Bearer secret".parse().unwrap());
    assert_eq!(refusal(&gate, &request), "");
    // What is open without a token is not open to pages.
    let request = from(Request::get("/healthz"), &foreign);
    assert_eq!(refusal(&gate, &request), "ForeignHost");
}

#[test]
fn a_preflight_of_an_allowed_page_needs_no_token_and_one_of_a_foreign_page_fails() {
    let tokens = Tokens::new([(Sender::default(), "secret")]);
    let settings = GateSettings {
        origins: vec!["https://app.example".to_owned()],
        ..GateSettings::default()
    };
    let gate = Gate::new(tokens, settings);
    let preflight = |origin: &str, method: &str, host: &str| {
        let headers = [
            ("host", host),
            ("origin", origin),
            ("access-control-request-method", method),
            ("sec-fetch-site", "cross-site"),
        ];
        let builder = Request::builder().method("OPTIONS").uri("/v1/traces");
        let request = from(builder, &headers);
        let is_preflight = matches!(gate.admit_or_preflight(&request), Ok(None));
        (is_preflight, gate.allowed_origin(&request).is_some())
    };
    assert_eq!(
        preflight("https://app.example", "POST", "localhost"),
        (true, true)
    );
    assert_eq!(
        preflight("https://evil.example", "POST", "localhost"),
        (false, false)
    );
    assert_eq!(
        preflight("https://app.example", "GET", "localhost"),
        (false, false)
    );
    assert!(!preflight("https://app.example", "POST", "evil.example").0);
}

#[tokio::test(start_paused = true)]
async fn refused_tokens_are_counted_between_the_lines_of_the_log() {
    let gate = Gate::new(
        Tokens::new([(Sender::default(), "secret")]),
        GateSettings::default(),
    );
    let refuse = || {
        let request = from(Request::post("/v1/events"), &[]);
        assert_eq!(refusal(&gate, &request), "Unauthorized");
        gate.refusals.lock().unwrap().count
    };
    assert_eq!(refuse(), 0, "the first is logged");
    assert_eq!(refuse(), 1);
    assert_eq!(refuse(), 2);
    tokio::time::advance(REFUSALS_INTERVAL).await;
    assert_eq!(refuse(), 0, "the next line counts them");
}
