//! URLs are derived as the official client was recorded to derive them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use cloud_exporter::config::{Config, Settings};
use kit::paths;
use mastra_exporter_sdk::records::Signal;
use serde_json::{Value, json};

/// Options and environment of the official client, as the host would hand them over.
fn settings(case: &Value) -> Settings {
    let (options, env) = (&case["config"], &case["env"]);
    let reads_env = options["resolveFromEnv"] != json!(false);
    let of_env = |name: &str| {
        env[name]
            .as_str()
            .filter(|_| reads_env)
            .filter(|text| !text.is_empty())
    };
    let option = |name: &str| options[name].as_str();
    let mut settings = json!({"access_token": "{secret:1}"});
    let traces = option("tracesEndpoint")
        .or_else(|| of_env("MASTRA_CLOUD_TRACES_ENDPOINT"))
        .or_else(|| of_env("MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT"));
    for (name, value) in [
        ("endpoint", option("endpoint")),
        ("traces_endpoint", traces),
        (
            "project_id",
            option("projectId").or_else(|| of_env("MASTRA_PROJECT_ID")),
        ),
        ("logs_endpoint", option("logsEndpoint")),
        ("metrics_endpoint", option("metricsEndpoint")),
        ("scores_endpoint", option("scoresEndpoint")),
        ("feedback_endpoint", option("feedbackEndpoint")),
    ] {
        if let Some(value) = value {
            settings[name] = value.into();
        }
    }
    serde_json::from_value(settings).unwrap()
}

#[test]
fn every_recorded_derivation_is_ours() {
    let text = std::fs::read_to_string(paths::corpus("protocol-platform.json")).unwrap();
    let recorded: Value = serde_json::from_str(&text).unwrap();
    let cases = recorded["urlDerivation"].as_array().unwrap();
    let mut count = 0;
    // The deprecated class reads fewer variables and ignores bad ones; the platform's is the one that we follow.
    for case in cases
        .iter()
        .filter(|case| case["class"] == "MastraPlatformExporter")
    {
        count += 1;
        let derived = settings(case).check();
        let expected = &case["result"];
        if expected["throws"].is_string() {
            assert!(derived.is_err(), "{case}");
            continue;
        }
        let derived: Config = derived.unwrap_or_else(|errors| panic!("{case}: {errors:?}"));
        for (name, signal) in [
            ("traces", Signal::Traces),
            ("logs", Signal::Logs),
            ("metrics", Signal::Metrics),
            ("scores", Signal::Scores),
            ("feedback", Signal::Feedback),
        ] {
            assert_eq!(expected[name], derived.url(signal), "{case}");
        }
    }
    assert_eq!(count, 25);
}

#[test]
fn every_bad_setting_is_named() {
    let bad = json!({"access_token": "t", "project_id": "a/b", "traces_endpoint": "https://a/x", "logs_endpoint": "ftp://a"});
    let errors = serde_json::from_value::<Settings>(bad)
        .unwrap()
        .check()
        .unwrap_err();
    let names: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
    assert_eq!(names, ["project_id", "traces_endpoint", "logs_endpoint"]);
}
