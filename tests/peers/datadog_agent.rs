//! Datadog's own test agent takes evaluations and feedback from the exporter. It stands in for an agent that forwards
//! (`/evp_proxy/v2`), and captures bodies without a look at them: they are read back and checked with the strict fake.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::accounts::Account;
use kit::backend::datadog::{Datadog, EVALUATION, EVALUATIONS, FEEDBACK};
use kit::backend::{Fake as _, Request};
use kit::components;
use peers::installed;
use peers::server::{Server, ServerCommand, free_ports};
use serde_json::Value;

/// What an agent puts before the paths that it forwards.
const PROXY: &str = "/evp_proxy/v2";

async fn agent() -> anyhow::Result<Server> {
    let command = ServerCommand::new(&installed::python("datadog", "ddapm-test-agent")?)?;
    let [port, otlp_http, otlp_grpc] = free_ports()?;
    let snapshots = command.dir().display().to_string();
    command
        .args(&["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(&["--otlp-http-port", &otlp_http.to_string()])
        .args(&["--otlp-grpc-port", &otlp_grpc.to_string()])
        .args(&["--snapshot-dir", &snapshots])
        .args(&["--disable-llmobs-data-forwarding"])
        .start(port, "/info")
        .await
}

/// The requests that the agent took, as the fake of Datadog's intake sees them.
async fn captured(agent: &Server) -> anyhow::Result<Vec<Request>> {
    let captured = agent.get("/test/session/requests").await?.json()?;
    let request = |one: &Value| {
        let url = one["url"].as_str().unwrap();
        let (_, path) = url.split_once(PROXY).unwrap();
        let headers = one["headers"].as_object().unwrap().iter();
        Request {
            method: one["method"].as_str().unwrap().to_owned(),
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: STANDARD
                .decode(one["body"].as_str().unwrap())
                .unwrap()
                .into(),
            ..Request::default()
        }
    };
    Ok(captured.as_array().unwrap().iter().map(request).collect())
}

#[tokio::test]
async fn an_agent_takes_evaluations_and_feedback_as_the_intake_wants_them() -> anyhow::Result<()> {
    let agent = agent().await?;
    let intake = Datadog::default();
    let settings = format!(
        "base_url: \"{}{PROXY}\", api_key: \"{}\", ml_app: support-bot",
        agent.url(),
        intake.api_key
    );
    let config = Config::new()
        .exporter("datadog", &components::exporter("datadog")?, &settings)
        .with("signals: [scores, feedback]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("datadog", "scores")?, Account::delivered(4));
    assert_eq!(accounts.of("datadog", "feedback")?, Account::delivered(3));

    let mut kinds = Vec::new();
    for request in captured(&agent).await? {
        assert_eq!(request.path, EVALUATIONS);
        let answer = intake.answer(&request);
        assert_eq!(answer.refused, None);
        kinds.extend(answer.stored.into_iter().map(|stored| stored.kind));
    }
    kinds.sort_unstable();
    let expected = [vec![EVALUATION; 4], vec![FEEDBACK; 3]].concat();
    assert_eq!(kinds, expected);
    Ok(())
}

#[tokio::test]
async fn what_an_agent_does_not_forward_is_a_dead_letter_with_its_status() -> anyhow::Result<()> {
    let agent = agent().await?;
    let settings = format!(
        "base_url: \"{}{PROXY}\", api_key: key, ml_app: support-bot",
        agent.url()
    );
    let config = Config::new()
        .exporter("datadog", &components::exporter("datadog")?, &settings)
        .with("signals: [traces]");
    let finished = run_with_input(&config, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(3)?;
    let account = accounts(&finished)?.of("datadog", "traces")?;
    assert_eq!((account.delivered, account.dead_lettered), (0, 28));
    assert!(finished.stderr.contains("404"), "{}", finished.stderr);
    Ok(())
}
