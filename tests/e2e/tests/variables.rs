//! Each component that we ship runs from its documented environment variables alone.

use anyhow::ensure;
use e2e::vendors::VENDORS;
use e2e::{accounts, lines, recorded_events};
use kit::backend::datadog::Datadog;
use kit::backend::langfuse::Langfuse;
use kit::backend::sentry::Sentry;
use kit::backend::{Behaviour, Which, prometheus, webhook};
use kit::components;
use kit::host::HostCommand;
use serde_json::Value;

type Variables = Vec<(&'static str, String)>;

/// What an operator sets, for a backend at this URL; as the exporters' README files have it.
fn documented(name: &str, url: &str) -> Variables {
    let at = |path: &str| format!("{url}{path}");
    let text = str::to_owned;
    match name {
        "arize" => vec![
            ("PHOENIX_ENDPOINT", at("")),
            ("PHOENIX_API_KEY", text("phx-key")),
        ],
        "braintrust" => vec![
            ("BRAINTRUST_API_KEY", text("sk-bt-test")),
            ("BRAINTRUST_API_URL", at("")),
        ],
        "cloud" => vec![
            ("MASTRA_PLATFORM_ACCESS_TOKEN", text("platform-token")),
            ("MASTRA_PROJECT_ID", text("proj_1-A")),
            ("CLOUD_BASE_URL", at("")),
        ],
        "datadog" => vec![
            ("DD_API_KEY", Datadog::default().api_key),
            ("DD_LLMOBS_ML_APP", text("support-bot")),
            ("DATADOG_BASE_URL", at("")),
        ],
        "grafana-cloud" => vec![
            ("GRAFANA_CLOUD_INSTANCE_ID", text("123456")),
            ("GRAFANA_CLOUD_TOKEN", text("glc_test")),
            ("GRAFANA_CLOUD_OTLP_ENDPOINT", at("/otlp")),
        ],
        "laminar" => vec![
            ("LMNR_PROJECT_API_KEY", text("lmnr-key")),
            ("LMNR_BASE_URL", at("")),
        ],
        "langfuse" => vec![
            ("LANGFUSE_PUBLIC_KEY", Langfuse::default().public_key),
            ("LANGFUSE_SECRET_KEY", Langfuse::default().secret_key),
            ("LANGFUSE_BASE_URL", at("")),
        ],
        "langsmith" => vec![
            ("LANGSMITH_API_KEY", text("lsv2_pt_test")),
            ("LANGSMITH_ENDPOINT", at("")),
        ],
        "otel" => vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", at("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", text("x-api-key=otel-key")),
        ],
        "posthog" => vec![
            ("POSTHOG_API_KEY", text("phc_test")),
            ("POSTHOG_HOST", at("")),
        ],
        "prometheus" => vec![
            ("PROMETHEUS_REMOTE_WRITE_URL", at(prometheus::WRITE)),
            ("PROMETHEUS_REMOTE_WRITE_TOKEN", text("prom-token")),
        ],
        "sentry" => vec![("SENTRY_DSN", Sentry::default().dsn(url))],
        "webhook" => vec![
            ("WEBHOOK_URL", at(webhook::EVENTS)),
            ("WEBHOOK_AUTHORIZATION", text("Bearer hook-token")),
        ],
        _ => Vec::new(),
    }
}

fn run(name: &str, variables: &Variables) -> anyhow::Result<HostCommand> {
    let command = HostCommand::new("run")?
        .plugin(name)?
        .args(["--input", "-", "--output", "json"])
        .stdin(recorded_events()?);
    let set = |command: HostCommand, (name, value): &(&str, String)| command.env(name, value);
    Ok(variables.iter().fold(command, set))
}

/// The variables that the component's schema declares.
async fn declared(name: &str) -> anyhow::Result<Vec<String>> {
    let inspected = HostCommand::new("inspect")?
        .arg(components::exporter(name)?)
        .args(["--output", "json"])
        .finish()
        .await?;
    inspected.expect_code(0)?;
    let found: Value = serde_json::from_str(&inspected.stdout)?;
    let settings = found.pointer("/settings/properties");
    let settings = settings.and_then(Value::as_object);
    let names = settings
        .into_iter()
        .flatten()
        .filter_map(|(_, setting)| setting.get("x-env")?.as_array());
    Ok(names
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

#[tokio::test]
async fn each_exporter_delivers_to_a_backend_on_this_machine_from_its_variables_alone()
-> anyhow::Result<()> {
    for vendor in VENDORS {
        let backend = vendor.start().await?;
        let variables = documented(vendor.name, &backend.url());
        let known = declared(vendor.name).await?;
        for (variable, _) in &variables {
            let is_declared = known.iter().any(|name| name == variable);
            ensure!(
                is_declared,
                "{}: {variable} is not in {known:?}",
                vendor.name
            );
        }
        let finished = run(vendor.name, &variables)?.finish().await?;
        finished.expect_code(0)?;
        let accounts = accounts(&finished)?;
        for signal in vendor.signals {
            let account = accounts.of(vendor.name, signal)?;
            ensure!(
                account.delivered > 0,
                "{} {signal}: {account:?}",
                vendor.name
            );
        }
    }
    Ok(())
}

/// The files are replaced by other means while a backlog waits: what ran before runs on, and delivers it.
#[tokio::test]
async fn an_upgrade_of_every_component_with_a_backlog_loses_nothing_and_stops_nothing()
-> anyhow::Result<()> {
    for vendor in VENDORS {
        let dir = tempfile::tempdir()?;
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        let file = plugins.join(format!("{}.wasm", vendor.name));
        std::fs::copy(components::exporter(vendor.name)?, &file)?;
        let backend = vendor.start().await?;
        let variables = documented(vendor.name, &backend.url());
        let start = async || {
            let command = HostCommand::new("run")?
                .env("HOME", &dir.path().display().to_string())
                .args(["--output", "json", "--plugins-dir"])
                .arg(&plugins)
                .arg("--data-dir")
                .arg(dir.path().join("data"));
            let set =
                |command: HostCommand, (name, value): &(&str, String)| command.env(name, value);
            variables.iter().fold(command, set).start().await
        };
        backend.on(Which::all(), Behaviour::status(503));
        let host = start().await?;
        let reply = host.send_events(recorded_events()?).await?;
        ensure!(reply.status == 200, "{}: {}", vendor.name, reply.text());
        let before = host.terminate().await?;
        before.expect_code(3)?;
        let queued = |report: &kit::accounts::Accounts| -> anyhow::Result<Vec<u64>> {
            let signals = vendor.signals.iter();
            signals
                .map(|signal| Ok(report.of(vendor.name, signal)?.queued))
                .collect()
        };
        let backlog = queued(&accounts(&before)?)?;
        ensure!(backlog.iter().sum::<u64>() > 0, "{}", vendor.name);

        let other = dir.path().join("other");
        components::ballast(&components::exporter(vendor.name)?, 0, &other)?;
        std::fs::rename(&other, &file)?;
        backend.heal();
        let host = start().await?;
        let report = accounts(&host.terminate().await?)?;
        for signal in vendor.signals {
            let account = report.of(vendor.name, signal)?;
            ensure!(
                account.delivered > 0 && account.dropped == 0,
                "{} {signal}: {account:?}",
                vendor.name
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_self_hosted_langfuse_needs_only_its_three() -> anyhow::Result<()> {
    let vendor = VENDORS.iter().find(|vendor| vendor.name == "langfuse");
    let backend = vendor.expect("langfuse is a vendor").start().await?;
    let variables = documented("langfuse", &backend.url());
    assert_eq!(variables.len(), 3);
    run("langfuse", &variables)?
        .finish()
        .await?
        .expect_code(0)?;
    assert!(!backend.requests().is_empty(), "{}", backend.summary());
    let mut without = variables;
    let (missing, _) = without.remove(1);
    let finished = run("langfuse", &without)?.finish().await?;
    finished.expect_code(2)?;
    assert!(finished.stderr.contains(missing), "{}", finished.stderr);
    Ok(())
}

#[tokio::test]
async fn the_exporters_without_a_backend_need_no_more_than_a_target() -> anyhow::Result<()> {
    run("default", &Vec::new())?
        .finish()
        .await?
        .expect_code(0)?;
    let command = run("json", &Vec::new())?;
    let file = command.dir().join("events.ndjson");
    let target = format!("file:{}", file.display());
    let finished = command.env("JSON_OUTPUT", &target).finish().await?;
    finished.expect_code(0)?;
    assert!(!lines(&file)?.is_empty());
    Ok(())
}
