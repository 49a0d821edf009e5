//! The official Mastra packages as a real client of the running host: an agent that knows nothing of us but what its
//! environment says. Fails, not skips, where the packages, the host or the components are missing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use kit::backend::Backend;
use kit::backend::langfuse::{self, Langfuse};
use kit::certificates::Authority;
use kit::components;
use kit::host::{HostCommand, RunningHost};
use peers::installed;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// What the library handed to its exporters, by its own account: ids.
#[derive(Debug)]
struct Published {
    trace_id: String,
    spans: BTreeSet<String>,
    logs: BTreeSet<String>,
    metrics: BTreeSet<String>,
    scores: BTreeSet<String>,
    feedback: BTreeSet<String>,
}

impl Published {
    fn parse(stdout: &str) -> Result<Self> {
        let last = stdout
            .lines()
            .last()
            .context("the application said nothing")?;
        let said: Value =
            serde_json::from_str(last).with_context(|| format!("not JSON: {last}"))?;
        let ids = |name: &str| -> BTreeSet<String> {
            let items = said.get(name).and_then(Value::as_array);
            items
                .into_iter()
                .flatten()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect()
        };
        let spans = said.get("spans").and_then(Value::as_array);
        Ok(Self {
            trace_id: text(&said, "traceId").context("no trace id")?.to_owned(),
            // The platform exporter leaves these out.
            spans: spans
                .into_iter()
                .flatten()
                .filter(|span| text(span, "type") != Some("model_chunk"))
                .filter_map(|span| text(span, "id").map(str::to_owned))
                .collect(),
            logs: ids("logs"),
            metrics: ids("metrics"),
            scores: ids("scores"),
            feedback: ids("feedback"),
        })
    }

    fn all(&self) -> Vec<&String> {
        [
            &self.spans,
            &self.logs,
            &self.metrics,
            &self.scores,
            &self.feedback,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// Runs the application with these variables and none of ours beside them.
async fn publish(variables: &[(&str, &str)]) -> Result<Published> {
    installed::npm("", "@mastra/observability")?;
    let output = Command::new(installed::node())
        .arg("publish.mjs")
        .current_dir(installed::folder())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("MASTRA_TELEMETRY_DISABLED", "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("start node")?;
    ensure!(
        output.status.success(),
        "the application ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Published::parse(&String::from_utf8_lossy(&output.stdout))
}

/// A host with both exporters.
fn command(receivers: &str, langfuse: &Backend, lines: &TempDir) -> Result<HostCommand> {
    let config = format!(
        "{receivers}exporters:\n  langfuse:\n    component: {}\n  json:\n    component: {}\n    settings:\n      \
         output: \"dir:{}\"\n",
        components::exporter("langfuse")?.display(),
        components::exporter("json")?.display(),
        lines.path().display(),
    );
    Ok(HostCommand::new("run")?
        .config(&config)?
        .env("LANGFUSE_BASE_URL", &langfuse.url())
        .env("LANGFUSE_PUBLIC_KEY", "pk-lf-test")
        .env("LANGFUSE_SECRET_KEY", "sk-lf-test"))
}

/// A host with both exporters, the fake that it delivers to, and the directory that `json` writes lines to: `json` gets
/// everything, so that signals that Langfuse lacks can be counted.
struct Setting {
    langfuse: Backend,
    lines: TempDir,
    host: RunningHost,
}

impl Setting {
    /// `receivers` is the config's section of that name, or empty.
    async fn start(receivers: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let langfuse = Backend::start(Langfuse::default()).await?;
        let lines = tempfile::tempdir()?;
        let mut command = command(receivers, &langfuse, &lines)?;
        for (name, value) in variables {
            command = command.env(name, value);
        }
        let host = command.start().await?;
        Ok(Self {
            langfuse,
            lines,
            host,
        })
    }

    /// The same, where plain HTTP does not tell whether the host is ready.
    async fn start_bare(receivers: &str) -> Result<Self> {
        let langfuse = Backend::start(Langfuse::default()).await?;
        let lines = tempfile::tempdir()?;
        let command = command(receivers, &langfuse, &lines)?;
        let host = command.on_free_ports().start_bare().await?;
        Ok(Self {
            langfuse,
            lines,
            host,
        })
    }

    /// What an application needs to find this host.
    fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// Waits for Langfuse, stops the host, and compares what both exporters got with what was published. The lines.
    async fn assert_arrived(self, published: &Published) -> Result<Vec<String>> {
        // A log is a span of its own there, feedback a score.
        let (spans, scores) = (
            published.spans.len() + published.logs.len(),
            published.scores.len() + published.feedback.len(),
        );
        self.langfuse.wait_for_stored(langfuse::SPAN, spans).await?;
        self.langfuse
            .wait_for_stored(langfuse::SCORE, scores)
            .await?;
        // Ends well only when everything was delivered.
        self.host.terminate().await?.expect_code(0)?;

        let stored = self.langfuse.stored(langfuse::SPAN);
        assert_eq!(stored.len(), spans, "no span twice, none too many");
        for id in &published.spans {
            let span = stored.iter().find(|span| span.id == *id);
            let span = span.with_context(|| format!("span {id} is not in Langfuse"))?;
            assert_eq!(
                text(&span.value, "traceId"),
                Some(published.trace_id.as_str())
            );
        }
        let stored = self.langfuse.stored(langfuse::SCORE);
        assert_eq!(stored.len(), scores, "no score twice, none too many");
        let ids: BTreeSet<String> = stored.into_iter().map(|score| score.id).collect();
        assert_eq!(
            ids,
            published
                .scores
                .union(&published.feedback)
                .cloned()
                .collect()
        );

        let lines = written(self.lines.path())?;
        assert_eq!(lines.len(), published.all().len(), "a line an event");
        for id in published.all() {
            assert!(
                lines.iter().any(|line| line.contains(&format!("\"{id}\""))),
                "{id} is in no line"
            );
        }
        Ok(lines)
    }
}

/// Every line of every file that `json` wrote.
fn written(lines: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(lines)? {
        let text = std::fs::read_to_string(entry?.path())?;
        all.extend(text.lines().map(str::to_owned));
    }
    Ok(all)
}

fn assert_complete(published: &Published) {
    // An agent run, a generation, two steps with an inference each, a tool call.
    assert_eq!(published.spans.len(), 7, "{published:?}");
    assert_eq!(published.logs.len(), 1);
    assert!(
        published.metrics.len() >= 2,
        "the library's own and the application's"
    );
    assert_eq!(published.scores.len(), 1);
    assert_eq!(published.feedback.len(), 1);
}

#[tokio::test]
async fn everything_that_the_official_client_publishes_arrives() -> Result<()> {
    let setting = Setting::start("", &[]).await?;
    let published = publish(&[
        (
            "MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT",
            &setting.endpoint(),
        ),
        ("MASTRA_PLATFORM_ACCESS_TOKEN", "anything"),
    ])
    .await?;
    assert_complete(&published);
    setting.assert_arrived(&published).await?;
    Ok(())
}

#[tokio::test]
async fn only_the_holder_of_a_token_is_heard() -> Result<()> {
    let receivers = "receivers:\n  http:\n    auth:\n      tokens:\n        - label: weather\n          token: \
                     ${env:WEATHER_TOKEN}\n";
    let setting = Setting::start(receivers, &[("WEATHER_TOKEN", "right")]).await?;
    // The client drops what is refused with 401 and says nothing to the application.
    let unheard = publish(&[
        (
            "MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT",
            &setting.endpoint(),
        ),
        ("MASTRA_PLATFORM_ACCESS_TOKEN", "wrong"),
    ])
    .await?;
    assert_complete(&unheard);
    let heard = publish(&[
        (
            "MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT",
            &setting.endpoint(),
        ),
        ("MASTRA_PLATFORM_ACCESS_TOKEN", "right"),
    ])
    .await?;
    assert_complete(&heard);
    setting.assert_arrived(&heard).await?;
    Ok(())
}

#[tokio::test]
async fn over_tls_a_token_writes_to_its_project_and_to_no_other() -> Result<()> {
    let authority = Authority::new()?;
    let pair = authority.sign("server", &["localhost"])?;
    let receivers = format!(
        "receivers:\n  http:\n    tls: {{cert_file: \"{}\", key_file: \"{}\"}}\n    auth:\n      tokens:\n        - \
         {{label: weather, token: right, projects: [weather-project]}}\n",
        pair.certificate.display(),
        pair.key.display()
    );
    let setting = Setting::start_bare(&receivers).await?;
    let endpoint = format!("https://localhost:{}", setting.host.address().port());
    let ca_file = authority.ca_file().display().to_string();
    let as_project = async |project: &str| {
        publish(&[
            ("MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT", &endpoint),
            ("MASTRA_PLATFORM_ACCESS_TOKEN", "right"),
            ("NODE_EXTRA_CA_CERTS", &ca_file),
            ("MASTRA_PROJECT_ID", project),
        ])
        .await
    };
    // The client drops what is refused with 403 and says nothing to the application.
    assert_complete(&as_project("foreign-project").await?);
    let heard = as_project("weather-project").await?;
    assert_complete(&heard);
    setting.assert_arrived(&heard).await?;
    Ok(())
}

#[tokio::test]
async fn the_project_of_the_path_travels_with_the_events() -> Result<()> {
    let setting = Setting::start("", &[]).await?;
    let published = publish(&[
        (
            "MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT",
            &setting.endpoint(),
        ),
        ("MASTRA_PLATFORM_ACCESS_TOKEN", "anything"),
        ("MASTRA_PROJECT_ID", "weather-project"),
    ])
    .await?;
    assert_complete(&published);
    for line in setting.assert_arrived(&published).await? {
        assert!(line.contains("\"weather-project\""), "{line}");
    }
    Ok(())
}
