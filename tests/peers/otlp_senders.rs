//! What speaks OTLP in the wild, as clients of the running host: OpenTelemetry's SDKs for JavaScript and Python, Mastra's
//! own exporter, and a collector in front of the host. Fails, not skips, where one of them is missing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test; `Value[key]` answers null for what is not there"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use e2e::{Config, accounts, lines, run};
use kit::certificates::Authority;
use kit::host::RunningHost;
use peers::installed;
use peers::server::{Server, ServerCommand, free_ports, poll};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A host that writes what it gets to a file.
struct Setting {
    host: RunningHost,
    file: PathBuf,
    _dir: TempDir,
}

impl Setting {
    async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("events.ndjson");
        let host = run(&Config::new().json("json", &file)?)?.start().await?;
        Ok(Self {
            host,
            file,
            _dir: dir,
        })
    }

    /// With TLS on both listeners, and the token `s3cret-0123`.
    async fn with_tls_and_token(authority: &Authority) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("events.ndjson");
        let pair = authority.sign("server", &["localhost"])?;
        let command = run(&Config::new().json("json", &file)?)?
            .arg("--tls-cert")
            .arg(&pair.certificate)
            .arg("--tls-key")
            .arg(&pair.key)
            .env("MASTRA_HOST_TOKEN", "s3cret-0123");
        let host = command.on_free_ports().start_bare().await?;
        Ok(Self {
            host,
            file,
            _dir: dir,
        })
    }

    /// Where a sender of this protocol finds the host.
    fn endpoint(&self, protocol: &str) -> anyhow::Result<SocketAddr> {
        match protocol {
            "grpc" => self.host.grpc_address().context("no listener for gRPC"),
            _ => Ok(self.host.address()),
        }
    }

    fn events(&self) -> anyhow::Result<Vec<Value>> {
        let lines = lines(&self.file)?;
        Ok(lines
            .iter()
            .map(|line| serde_json::from_str(line))
            .collect::<Result<_, _>>()?)
    }

    /// Stops the host, which must have delivered all; the records of each signal.
    async fn arrived(self) -> anyhow::Result<Arrived> {
        let finished = self.host.terminate().await?;
        finished.expect_code(0)?;
        accounts(&finished)?;
        let lines = lines(&self.file)?;
        let mut arrived = Arrived::default();
        for line in lines {
            let event: Value = serde_json::from_str(&line)?;
            for (list, name) in [
                (&mut arrived.spans, "exportedSpan"),
                (&mut arrived.logs, "log"),
                (&mut arrived.metrics, "metric"),
            ] {
                list.extend(event.get(name).cloned());
            }
        }
        Ok(arrived)
    }
}

#[derive(Default)]
struct Arrived {
    spans: Vec<Value>,
    logs: Vec<Value>,
    metrics: Vec<Value>,
}

impl Arrived {
    /// All that `send.mjs` and `send.py` make, and nothing else.
    fn assert_complete(&self, sent: &Value, service: &str) {
        let mut ids: Vec<&Value> = self.spans.iter().map(|span| &span["id"]).collect();
        let mut expected: Vec<&Value> = sent["spans"].as_array().unwrap().iter().collect();
        ids.sort_by_key(|id| id.as_str());
        expected.sort_by_key(|id| id.as_str());
        assert_eq!(ids, expected);
        let call = self
            .spans
            .iter()
            .find(|span| span["name"] == "chat gpt-x")
            .unwrap();
        assert_eq!(call["type"], "model_generation");
        assert_eq!(call["traceId"], sent["traceId"]);
        assert_eq!(call["parentSpanId"], sent["spans"][0]);
        assert_eq!(call["attributes"]["gen_ai.usage.input_tokens"], 12);
        assert_eq!(call["attributes"]["own.numbers"][0], 1.5);
        assert!(
            call["attributes"]["gen_ai.input.messages"]
                .as_str()
                .unwrap()
                .contains("Grüße")
        );
        assert_eq!(call["resource"]["serviceName"], service);
        assert_eq!(call["resource"]["environment"], "test");
        let otel = &call["otel"];
        assert_eq!(
            (&otel["kind"], &otel["status"]["message"]),
            (&json!("client"), &json!("cut off"))
        );
        assert_eq!(otel["links"][0]["spanId"], sent["spans"][0]);
        assert_eq!(otel["events"][0]["attributes"]["after_ms"], 80);
        assert_eq!(otel["scope"]["version"], "1.0");

        assert_eq!(self.logs.len(), 1, "{:?}", self.logs);
        let log = &self.logs[0];
        assert_eq!(
            (&log["level"], &log["message"]),
            (&json!("warn"), &json!("slow answer"))
        );
        assert_eq!(
            (&log["traceId"], &log["spanId"]),
            (&sent["traceId"], &call["id"])
        );
        let metric = |name: &str| {
            let found: Vec<_> = self
                .metrics
                .iter()
                .filter(|metric| metric["name"] == name)
                .collect();
            assert_eq!(found.len(), 1, "{name}: {:?}", self.metrics);
            assert_eq!(found[0]["labels"], json!({"city": "Lisbon"}));
            found[0]
        };
        let answers = metric("answers");
        assert_eq!(answers["value"]["type"], "sum");
        assert_eq!(answers["value"]["value"].as_f64(), Some(3.0));
        let latency = &metric("latency")["value"];
        assert_eq!(
            (&latency["type"], latency["count"].as_f64()),
            (&json!("histogram"), Some(1.0))
        );
        assert_eq!(latency["sum"].as_f64(), Some(0.25));
    }
}

/// Runs a sender to its end, with nothing of our environment; the last line that it printed.
async fn send(mut command: Command, endpoint: &str) -> anyhow::Result<Value> {
    send_as(&mut command, endpoint, |_| {}).await
}

/// The same, with more variables.
async fn send_as(
    command: &mut Command,
    endpoint: &str,
    more: impl FnOnce(&mut Command),
) -> anyhow::Result<Value> {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("MASTRA_TELEMETRY_DISABLED", "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    more(command);
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ended with {}: {stderr}",
        output.status
    );
    let last = stdout.lines().last().with_context(|| stderr.into_owned())?;
    serde_json::from_str(last).with_context(|| last.to_owned())
}

fn javascript(script: &str, arguments: &[&str]) -> anyhow::Result<Command> {
    installed::npm("otlp", "@opentelemetry/api")?;
    let mut command = Command::new(installed::node());
    command
        .arg(script)
        .args(arguments)
        .current_dir(installed::folder().join("otlp"));
    Ok(command)
}

fn python(protocol: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(installed::python("otlp", "python")?);
    command
        .arg(installed::folder().join("otlp/send.py"))
        .arg(protocol);
    Ok(command)
}

const PROTOCOLS: [&str; 3] = ["http/protobuf", "http/json", "grpc"];

#[tokio::test]
async fn the_sdk_for_javascript_is_understood_in_every_protocol() -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        let setting = Setting::start().await?;
        let endpoint = format!("http://{}", setting.endpoint(protocol)?);
        let sent = send(javascript("send.mjs", &[protocol])?, &endpoint).await?;
        setting.arrived().await?.assert_complete(&sent, "peer-js");
    }
    Ok(())
}

#[tokio::test]
async fn the_sdk_for_python_is_understood_in_every_protocol() -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        let setting = Setting::start().await?;
        let endpoint = format!("http://{}", setting.endpoint(protocol)?);
        let sent = send(python(protocol)?, &endpoint).await?;
        setting.arrived().await?.assert_complete(&sent, "peer-py");
    }
    Ok(())
}

/// As the SDKs read it from the environment: the authority, and the token among the headers.
async fn send_with_token(
    mut command: Command,
    authority: &Authority,
    setting: &Setting,
    (protocol, token): (&str, &str),
) -> anyhow::Result<Value> {
    let ca_file = authority.ca_file();
    let endpoint = format!("https://localhost:{}", setting.endpoint(protocol)?.port());
    send_as(&mut command, &endpoint, |command| {
        command
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca_file)
            // Node.js trusts what this adds, whatever the SDK does.
            .env("NODE_EXTRA_CA_CERTS", &ca_file)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")
            .env(
                "OTEL_EXPORTER_OTLP_HEADERS",
                format!("authorization=Bearer%20{token}"),
            );
    })
    .await
}

#[tokio::test]
async fn the_sdks_send_over_tls_with_a_token_in_every_protocol() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    for protocol in PROTOCOLS {
        for (service, command) in [
            ("peer-js", javascript("send.mjs", &[protocol])?),
            ("peer-py", python(protocol)?),
        ] {
            let setting = Setting::with_tls_and_token(&authority).await?;
            let how = (protocol, "s3cret-0123");
            let sent = send_with_token(command, &authority, &setting, how).await?;
            setting.arrived().await?.assert_complete(&sent, service);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_sdks_are_not_heard_with_a_wrong_token() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    for protocol in ["http/protobuf", "grpc"] {
        for command in [javascript("send.mjs", &[protocol])?, python(protocol)?] {
            let setting = Setting::with_tls_and_token(&authority).await?;
            // What the SDK makes of it is its own affair.
            let _ = send_with_token(command, &authority, &setting, (protocol, "wrong")).await;
            assert!(
                setting
                    .host
                    .stderr()
                    .contains("Requests without a valid token")
            );
            let arrived = setting.arrived().await?;
            assert_eq!(
                arrived.spans.len() + arrived.logs.len() + arrived.metrics.len(),
                0
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn mastras_own_exporter_is_understood_in_every_protocol() -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        let setting = Setting::start().await?;
        let endpoint = format!("http://{}", setting.endpoint(protocol)?);
        let sent = send(
            javascript("mastra.mjs", &[&endpoint, protocol])?,
            "http://127.0.0.1:1",
        )
        .await?;
        let arrived = setting.arrived().await?;
        assert_eq!(
            arrived.spans.len(),
            sent["spans"].as_array().unwrap().len(),
            "{protocol}"
        );
        assert_eq!(
            Some(arrived.logs.len() as u64),
            sent["logs"].as_u64(),
            "{protocol}"
        );
        let call = arrived
            .spans
            .iter()
            .find(|span| span["type"] == "model_inference");
        let call = call.with_context(|| format!("{protocol}: {:?}", arrived.spans))?;
        assert_eq!(call["traceId"], sent["traceId"]);
        assert_eq!(call["attributes"]["gen_ai.usage.output_tokens"], 5);
    }
    Ok(())
}

/// Rotel, which takes OTLP and passes it on in this protocol.
async fn rotel(protocol: &str, to: SocketAddr) -> anyhow::Result<Server> {
    let program = "../lib/python3.11/site-packages/rotel/rotel-agent";
    let [port, grpc] = free_ports()?;
    let [http, grpc] = [port, grpc].map(|port| format!("127.0.0.1:{port}"));
    ServerCommand::new(&installed::python("otlp", program)?)?
        .args(&[
            "start",
            "--otlp-http-endpoint",
            &http,
            "--otlp-grpc-endpoint",
            &grpc,
        ])
        .args(&["--exporter", "otlp", "--otlp-exporter-protocol", protocol])
        .args(&[
            "--otlp-exporter-endpoint",
            &format!("http://{to}"),
            "--batch-timeout",
            "200ms",
        ])
        .start_without_page(port)
        .await
}

#[tokio::test]
async fn a_collector_in_front_of_the_host_passes_everything_on() -> anyhow::Result<()> {
    for protocol in ["http", "grpc"] {
        let setting = Setting::start().await?;
        let collector = rotel(protocol, setting.endpoint(protocol)?).await?;
        let sent = send(python("http/protobuf")?, &collector.url()).await?;
        poll("two spans, a log and two metrics", async || {
            Ok((setting.events()?.len() >= 5).then_some(()))
        })
        .await
        .with_context(|| format!("{protocol}: {}", collector.log()))?;
        setting.arrived().await?.assert_complete(&sent, "peer-py");
    }
    Ok(())
}
