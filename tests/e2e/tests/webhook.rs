//! Recorded agent events are posted to a webhook: all of them, signed, in both forms.

use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::accounts::Account;
use kit::backend::webhook::{EVENTS, Webhook};
use kit::backend::{Backend, Behaviour, Which};
use kit::components;
use kit::host::HostCommand;

fn config(backend: &Backend, extra: &str) -> anyhow::Result<Config> {
    let settings = format!(
        "url: \"{}{EVENTS}\", authorization: \"Bearer hook-token\"{extra}",
        backend.url()
    );
    Ok(Config::new().exporter("webhook", &components::exporter("webhook")?, &settings))
}

const SIGNALS: [(&str, &str, u64); 5] = [
    ("traces", "span", 56),
    ("logs", "log", 6),
    ("metrics", "metric", 25),
    ("scores", "score", 4),
    ("feedback", "feedback", 3),
];

#[tokio::test]
async fn all_five_signals_are_posted_and_counted_exactly() -> anyhow::Result<()> {
    for format in ["json", "ndjson"] {
        let backend = Backend::start(Webhook::default()).await?;
        let config = config(&backend, &format!(", format: {format}"))?;
        let finished = run_with_input(&config, recorded_events()?)?
            .finish()
            .await?;
        finished.expect_code(0)?;
        let accounts = accounts(&finished)?;
        for (signal, kind, count) in SIGNALS {
            assert_eq!(
                accounts.of("webhook", signal)?,
                Account::delivered(count),
                "{format} {signal}"
            );
            assert_eq!(
                backend.stored(kind).len() as u64,
                count,
                "{format} {signal}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn bodies_are_signed_and_templates_filled_in_by_signal() -> anyhow::Result<()> {
    let backend = Backend::start(Webhook {
        signing_secret: Some("a signing key".to_owned()),
        ..Webhook::default()
    })
    .await?;
    let extra = ", gzip: true, signing_secret: \"a signing key\", headers: {x-batch: \"{{count}} of {{signal}}\"}";
    let config = config(&backend, extra)?
        .with("signals: [feedback]")
        .with("http: {compression: always}");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored("feedback").len(), 3);
    let request = backend.requests().remove(0).request;
    assert_eq!(request.header("x-batch"), Some("3 of feedback"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    Ok(())
}

#[tokio::test]
async fn an_event_that_the_receiver_cannot_take_harms_no_other() -> anyhow::Result<()> {
    let backend = Backend::start(Webhook::default()).await?;
    backend.on(
        Which::all().containing("workflow failed"),
        Behaviour::status(422),
    );
    let config = config(&backend, "")?.with("signals: [logs]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("webhook", "logs")?;
    assert_eq!((account.delivered, account.dead_lettered), (5, 1));
    Ok(())
}

#[tokio::test]
async fn a_url_alone_is_enough() -> anyhow::Result<()> {
    let backend = Backend::start(Webhook {
        authorization: None,
        ..Webhook::default()
    })
    .await?;
    let finished = HostCommand::new("run")?
        .plugin("webhook")?
        .args(["--output", "json", "--input", "-"])
        .env("WEBHOOK_URL", &format!("{}{EVENTS}", backend.url()))
        .stdin(recorded_events()?)
        .finish()
        .await?;
    finished.expect_code(0)?;
    assert_eq!(backend.stored("span").len(), 56);
    Ok(())
}
