//! Who may use the listeners: web pages may not, tokens are kept to what they are for, and nobody listens for everybody
//! by mistake.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test; `Value[key]` answers null for what is not there"
)]

use anyhow::Context as _;
use e2e::{Config, lines, run};
use kit::client::{Outgoing, Reply};
use kit::components;
use kit::fixtures::{ndjson, span};
use kit::host::{HostCommand, RunningHost};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A host whose `json` exporter writes to a file, with this under `receivers.http`.
async fn host(http: &str) -> anyhow::Result<(RunningHost, TempDir, std::path::PathBuf)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let config = Config::new()
        .section(&format!("receivers:\n  http:\n{http}"))
        .json("json", &file)?;
    Ok((run(&config)?.start().await?, dir, file))
}

fn events(name: &str) -> String {
    let mut event = span(1, 1, None, "agent_run");
    event["exportedSpan"]["name"] = name.into();
    ndjson(&[event])
}

fn post(path: &str, body: &str, headers: &[(&str, &str)]) -> Outgoing {
    let request = Outgoing::post(path, "application/json", body.to_owned());
    with(request, headers)
}

/// Replaces headers of the same name.
fn with(mut request: Outgoing, headers: &[(&str, &str)]) -> Outgoing {
    for (name, value) in headers {
        request.headers.retain(|(known, _)| known != name);
        request = request.header(name, value);
    }
    request
}

/// A preflight of a foreign page is not answered with leave.
async fn preflight_gets_no_leave(host: &RunningHost) -> anyhow::Result<()> {
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    let options = Outgoing {
        method: "OPTIONS".to_owned(),
        ..Outgoing::get("/v1/traces")
    };
    let reply = host.send(with(options, &preflight)).await?;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (403, None)
    );
    Ok(())
}

#[tokio::test]
async fn a_web_page_of_another_origin_neither_posts_nor_reads() -> anyhow::Result<()> {
    let (host, _dir, file) = host("    max_connections: 64\n").await?;
    let own = host.address().to_string();
    let foreign: [&[(&str, &str)]; 5] = [
        &[
            ("content-type", "text/plain;charset=UTF-8"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors"),
        ],
        &[("origin", "null")],
        &[
            ("origin", "http://localhost:3000"),
            ("sec-fetch-site", "same-site"),
        ],
        &[("sec-fetch-site", "cross-site")],
        &[
            ("host", "evil.example:4318"),
            ("origin", "http://evil.example:4318"),
            ("sec-fetch-site", "same-origin"),
        ],
    ];
    let spans = json!({"spans": [span(1, 2, None, "agent_run")["exportedSpan"]]}).to_string();
    for headers in foreign {
        for (path, body) in [
            ("/v1/events", events("planted")),
            ("/x/spans/publish", spans.clone()),
        ] {
            let reply = host.send(post(path, &body, headers)).await?;
            assert_eq!(reply.status, 403, "{path} {headers:?}: {}", reply.text());
        }
        let otlp = json!({"resourceSpans": []}).to_string();
        assert_eq!(
            host.send(post("/v1/traces", &otlp, headers)).await?.status,
            403
        );
        for path in [
            "/metrics",
            "/readyz",
            "/readyz?verbose",
            "/healthz",
            "/exporters/json/",
            "/none",
        ] {
            let reply = host.send(with(Outgoing::get(path), headers)).await?;
            assert_eq!(reply.status, 403, "{path} {headers:?}: {}", reply.text());
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    preflight_gets_no_leave(&host).await?;
    // A browser that names no type; a program that names none, or any; a page of the host itself.
    let untyped = |headers| {
        let mut request = with(Outgoing::post("/v1/events", "", events("genuine")), headers);
        request.headers.retain(|(name, _)| name != "content-type");
        request
    };
    assert_eq!(
        host.send(untyped(&[("sec-fetch-mode", "cors")]))
            .await?
            .status,
        415
    );
    assert_eq!(host.send(untyped(&[])).await?.status, 200);
    for headers in [
        vec![("sec-fetch-site", "none")],
        vec![("host", "localhost:1")],
        vec![
            ("sec-fetch-site", "same-origin"),
            ("origin", &*format!("http://{own}")),
        ],
    ] {
        let reply = host.send(with(Outgoing::get("/metrics"), &headers)).await?;
        assert_eq!(reply.status, 200, "{headers:?}: {}", reply.text());
    }
    host.terminate().await?.expect_code(0)?;
    let delivered = lines(&file)?.concat();
    assert!(
        delivered.contains("genuine") && !delivered.contains("planted"),
        "{delivered}"
    );
    Ok(())
}

#[tokio::test]
async fn a_page_of_a_configured_origin_may_send_and_reads_nothing_else() -> anyhow::Result<()> {
    let cors = "    allowed_hosts: [telemetry]\n    cors:\n      allowed_origins: [\"https://app.example\"]\n      allowed_headers: [x-request-id]\n";
    let (host, _dir, file) = host(cors).await?;
    let page = [
        ("origin", "https://app.example"),
        ("sec-fetch-site", "cross-site"),
        ("host", "telemetry:4318"),
    ];
    let options = Outgoing {
        method: "OPTIONS".to_owned(),
        ..Outgoing::get("/v1/events")
    };
    let asked = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
        ("access-control-request-private-network", "true"),
    ];
    let reply = host.send(with(with(options, &page), &asked)).await?;
    assert_eq!(reply.status, 204);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(
        reply.header("access-control-allow-private-network"),
        Some("true")
    );
    let allowed = reply
        .header("access-control-allow-headers")
        .unwrap_or_default();
    for name in [
        "content-type",
        "authorization",
        "content-encoding",
        "x-request-id",
    ] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let reply = host
        .send(post("/v1/events", &events("of the page"), &page))
        .await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(reply.header("vary"), Some("origin"));
    let reply = host.send(with(Outgoing::get("/metrics"), &page)).await?;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (403, None)
    );
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?.len(), 1);
    Ok(())
}

const TWO: &str = "    auth:\n      tokens:\n        - { label: a, token: token-of-a-0123 }\n        - { label: b, token: token-of-b-0123, projects: [p-of-b] }\n";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn one_sender_does_not_suppress_the_events_of_another_nor_write_to_its_projects()
-> anyhow::Result<()> {
    let tokens = "    auth:\n      tokens:\n        - { label: a, token: token-of-a-0123 }\n        - { label: b, token: token-of-b-0123 }\n        - { label: c, token: token-of-c-0123, projects: [p-of-c] }\n";
    let (host, _dir, file) = host(tokens).await?;
    let send = async |token: &str, project: &str, name: &str| -> anyhow::Result<Reply> {
        let mut span = span(1, 1, None, "agent_run")["exportedSpan"].clone();
        span["name"] = name.into();
        let body = json!({ "spans": [span] }).to_string();
        let path = format!("/projects/{project}/ai/spans/publish");
        host.send(post(&path, &body, &[("authorization", &bearer(token))]))
            .await
    };
    let repeated = |reply: Reply| anyhow::Ok(reply.json()?["repeated"].clone());
    assert_eq!(
        repeated(send("token-of-b-0123", "p-of-a", "forged by b").await?)?,
        0
    );
    assert_eq!(
        repeated(send("token-of-a-0123", "p-of-a", "genuine of a").await?)?,
        0
    );
    assert_eq!(
        repeated(send("token-of-a-0123", "p-of-a", "genuine of a").await?)?,
        1
    );
    assert_eq!(send("token-of-c-0123", "p-of-c", "of c").await?.status, 200);
    let refused = send("token-of-c-0123", "p-of-a", "forged by c").await?;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("`c` may send to p-of-c only"),
        "{}",
        refused.text()
    );
    host.terminate().await?.expect_code(0)?;
    let delivered = lines(&file)?;
    assert_eq!(delivered.len(), 3, "{delivered:?}");
    assert!(delivered.concat().contains("genuine of a"), "{delivered:?}");
    assert!(!delivered.concat().contains("forged by c"), "{delivered:?}");
    Ok(())
}

#[tokio::test]
async fn without_a_token_only_life_and_readiness_are_told_and_refusals_are_logged_once()
-> anyhow::Result<()> {
    let (host, _dir, _file) = host(TWO).await?;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/readyz?verbose", 401),
        ("/metrics", 401),
        ("/exporters/json/x", 401),
        ("/none", 401),
    ] {
        for token in ["", "Bearer wrong-token-4711", "Basic token-of-a-0123"] {
            let headers: &[_] = if token.is_empty() {
                &[]
            } else {
                &[("authorization", token)]
            };
            let reply = host.send(with(Outgoing::get(path), headers)).await?;
            assert_eq!(reply.status, status, "{path} {token}");
        }
    }
    let ready: Value = host.send(Outgoing::get("/readyz")).await?.json()?;
    assert_eq!(ready, json!({"ready": true}), "no names and no reasons");
    let a = bearer("token-of-a-0123");
    let b = bearer("token-of-b-0123");
    for (path, token, status) in [
        ("/metrics", &a, 200),
        ("/readyz?verbose", &a, 200),
        ("/metrics", &b, 403),
        ("/readyz?verbose", &b, 403),
        ("/readyz", &b, 200),
    ] {
        let reply = host
            .send(Outgoing::get(path).header("authorization", token))
            .await?;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    for _ in 0..50 {
        let reply = host.send_events(events("x")).await?;
        assert_eq!(reply.status, 401);
    }
    let finished = host.terminate().await?;
    let said = finished
        .stderr
        .matches("Requests without a valid token were refused")
        .count();
    assert!((1..5).contains(&said), "{}", finished.stderr);
    assert!(!finished.stderr.contains("4711"), "{}", finished.stderr);
    Ok(())
}

/// `run` with the component `json`, which writes to standard output.
fn plain() -> anyhow::Result<HostCommand> {
    HostCommand::new("run")?.plugin("json")
}

#[tokio::test]
async fn listening_beyond_this_machine_without_a_token_is_refused_unless_it_is_wanted()
-> anyhow::Result<()> {
    for (http, grpc) in [
        ("0.0.0.0:0", "off"),
        ("127.0.0.1:0", "0.0.0.0:0"),
        ("[::]:0", "off"),
    ] {
        let refused = plain()?
            .args(["--listen", http, "--listen-grpc", grpc])
            .finish()
            .await?;
        refused.expect_code(2)?;
        for word in [
            "MASTRA_HOST_TOKEN",
            "--token-file",
            "receivers.http.auth.tokens",
            "--insecure",
        ] {
            assert!(refused.stderr.contains(word), "{}", refused.stderr);
        }
    }
    let open = ["--listen", "0.0.0.0:0", "--listen-grpc", "off"];
    let host = plain()?.args(open).arg("--insecure").start_bare().await?;
    host.wait_for_log("Everybody who reaches this listener may send events")
        .await?;
    host.terminate().await?;
    let host = plain()?
        .args(open)
        .env("MASTRA_HOST_TOKEN", "s3cret-0123")
        .start_bare()
        .await?;
    host.wait_for_log("cross the network in clear").await?;
    let port = host.address().port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let reply = Outgoing::get("/metrics").send(address).await?;
    assert_eq!(reply.status, 401);
    let reply = Outgoing::get("/metrics")
        .header("authorization", "Bearer s3cret-0123")
        .send(address)
        .await?;
    assert_eq!(reply.status, 200);
    let finished = host.terminate().await?;
    assert!(
        !finished.stderr.contains("s3cret") && !finished.stderr.contains("may send events and"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn tokens_of_a_file_and_the_environment_have_labels_and_projects() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (file, tokens) = (dir.path().join("events.ndjson"), dir.path().join("tokens"));
    std::fs::write(
        &tokens,
        "# teams\nteam-a token-of-a\nteam-b token-of-b p1,p2\n",
    )?;
    let config = Config::new().json("json", &file)?;
    let command = run(&config)?.env("MASTRA_HOST_TOKEN", "from-the-environment");
    // A host that is told to end does not wait for components that are still prepared.
    let command = command.arg("--token-file").arg(&tokens);
    let host = command.start_with_token("token-of-a").await?;
    let spans = json!({"spans": [span(1, 1, None, "agent_run")["exportedSpan"]]}).to_string();
    for (path, token, status) in [
        ("/ai/spans/publish", "token-of-a", 200),
        ("/ai/spans/publish", "from-the-environment", 200),
        ("/projects/p2/ai/spans/publish", "token-of-b", 200),
        ("/projects/p3/ai/spans/publish", "token-of-b", 403),
        ("/ai/spans/publish", "team-a", 401),
    ] {
        let reply = host
            .send(post(path, &spans, &[("authorization", &bearer(token))]))
            .await?;
        assert_eq!(reply.status, status, "{path} {token}: {}", reply.text());
    }
    host.terminate().await?.expect_code(0)?;
    for (text, problem) in [
        ("", "has no token"),
        ("a x\nb x\n", "the same token as `a`"),
    ] {
        std::fs::write(&tokens, text)?;
        let refused = plain()?.arg("--token-file").arg(&tokens).finish().await?;
        refused.expect_code(2)?;
        assert!(refused.stderr.contains(problem), "{}", refused.stderr);
    }
    let refused = plain()?.env("MASTRA_HOST_TOKEN", "").finish().await?;
    refused.expect_code(2)?;
    assert!(
        refused.stderr.contains("MASTRA_HOST_TOKEN has no token"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[tokio::test]
async fn hops_of_one_sender_reach_no_request_of_another() -> anyhow::Result<()> {
    let backend = kit::backend::Backend::start(kit::backend::langfuse::Langfuse::default()).await?;
    let tokens = "receivers:\n  http:\n    auth:\n      tokens:\n        - { label: a, token: token-of-a-0123 }\n        - { label: b, token: token-of-b-0123 }\n";
    let config = Config::new()
        .section(tokens)
        .langfuse("langfuse", &backend.url())?;
    let host = run(&config)?.start().await?;
    let send = async |token: &str, number: u64, hops: &str| {
        let body = ndjson(&[span(number, 1, None, "agent_run")]);
        let token = bearer(token);
        let headers = [("authorization", &*token), ("mastra-host-hop", hops)];
        host.send(post("/v1/events", &body, &headers)).await
    };
    let chain = ["0123456789abcdef"; 8].join(",");
    assert_eq!(send("token-of-b-0123", 1, &chain).await?.status, 200);
    assert_eq!(send("token-of-a-0123", 2, "").await?.status, 200);
    backend
        .wait_for_stored(kit::backend::langfuse::SPAN, 2)
        .await?;
    let requests = backend.requests();
    let hops: Vec<&str> = requests
        .iter()
        .filter_map(|recorded| recorded.request.header("mastra-host-hop"))
        .collect();
    let own = *hops.first().context("no hop header")?;
    assert!(
        hops.iter().all(|hop| *hop == own && !hop.contains(',')),
        "{hops:?}"
    );
    // What comes back is refused to the sender that brings it, and to nobody else.
    assert_eq!(send("token-of-b-0123", 3, own).await?.status, 508);
    assert_eq!(send("token-of-a-0123", 4, "").await?.status, 200);
    host.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn a_loop_without_tokens_ends_at_the_duplicate_check() -> anyhow::Result<()> {
    let otel = components::exporter("otel")?;
    // Through a name that the host does not know for its own: a proxy that hands everything back.
    let relay = relay::Relay::start().await?;
    let config = Config::new().exporter("otel", &otel, &format!("endpoint: \"{}\"", relay.url()));
    let host = run(&config)?.start().await?;
    relay.lead_to(host.address());
    let record = json!({"timeUnixNano": "1780000000000000000", "body": {"stringValue": "round"}});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
    assert_eq!(
        host.send(Outgoing::post_json("/v1/logs", &body))
            .await?
            .status,
        200
    );
    let repeats = async || -> anyhow::Result<bool> {
        let metrics = host.send(Outgoing::get("/metrics")).await?.text();
        let line = metrics.lines().find(|line| {
            line.starts_with("mastra_host_receiver_repeated") && line.contains("http")
        });
        Ok(line.is_some_and(|line| !line.ends_with(" 0")))
    };
    tokio::time::timeout(kit::host::DEADLINE, async {
        while !repeats().await? {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    })
    .await??;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let accounts = e2e::accounts(&finished)?;
    let delivered = accounts.of("otel", "logs")?.delivered;
    assert!((1..=3).contains(&delivered), "{delivered} rounds");
    Ok(())
}

/// Hands bytes on, as a proxy would that knows nothing of tokens and hops.
mod relay {
    use std::net::SocketAddr;
    use std::sync::{Arc, OnceLock};

    use tokio::io::copy_bidirectional;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    pub(super) struct Relay {
        address: SocketAddr,
        target: Arc<OnceLock<SocketAddr>>,
        _accepting: JoinSet<()>,
    }

    impl Relay {
        pub(super) async fn start() -> anyhow::Result<Self> {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let target = Arc::<OnceLock<SocketAddr>>::default();
            let known = Arc::clone(&target);
            let mut accepting = JoinSet::new();
            accepting.spawn(async move {
                let mut relayed = JoinSet::new();
                while let Ok((mut from, _)) = listener.accept().await {
                    let Some(target) = known.get().copied() else {
                        continue;
                    };
                    relayed.spawn(async move {
                        if let Ok(mut to) = TcpStream::connect(target).await {
                            let _ = copy_bidirectional(&mut from, &mut to).await;
                        }
                    });
                }
            });
            Ok(Self {
                address,
                target,
                _accepting: accepting,
            })
        }

        pub(super) fn lead_to(&self, target: SocketAddr) {
            let _ = self.target.set(target);
        }

        pub(super) fn url(&self) -> String {
            format!("http://{}", self.address)
        }
    }
}
