//! A configuration is right, or every mistake in it is told at once with its line, and nothing starts.

use e2e::Config;
use kit::host::{Finished, HostCommand};

/// Six mistakes, and the line and a word of what must be said of each.
const BROKEN: &str = "\
receivers:
  http:
    endpoint: nowhere
    max_conections: 3
exporters:
  langfuse:
    component: langfuse
    batch:
      timeout: soon
    retry_on_failure:
      on_unknown_outcome: pray
    signals: [traces, smells]
    sending_queue: {on_full: explode}
";
const MISTAKES: [(usize, &str); 6] = [
    (3, "nowhere"),
    (4, "max_connections"),
    (9, "soon"),
    (11, "pray"),
    (12, "smells"),
    (13, "explode"),
];

async fn with_config(subcommand: &str, yaml: &str) -> anyhow::Result<Finished> {
    HostCommand::new(subcommand)?.config(yaml)?.finish().await
}

#[tokio::test]
async fn every_mistake_is_told_with_its_line() -> anyhow::Result<()> {
    for subcommand in ["validate", "run"] {
        let finished = with_config(subcommand, BROKEN).await?;
        finished.expect_code(2)?;
        let told = format!("{}{}", finished.stdout, finished.stderr);
        for (line, word) in MISTAKES {
            let is_told = told
                .lines()
                .any(|text| text.contains(&format!("{line}:")) && text.contains(word));
            assert!(
                is_told,
                "{subcommand}: line {line}, {word:?} is not told in:\n{told}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_is_told_with_the_nearest_known_one() -> anyhow::Result<()> {
    for (key, nearest) in [
        ("exporter", "exporters"),
        ("recievers", "receivers"),
        ("sending_que", "sending_queue"),
    ] {
        let finished = with_config("validate", &format!("{key}: {{}}\n")).await?;
        finished.expect_code(2)?;
        let told = format!("{}{}", finished.stdout, finished.stderr);
        assert!(
            told.contains(key) && told.contains(nearest),
            "{key}: {told}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_told() -> anyhow::Result<()> {
    let yaml = "receivers: {http: {endpoint: \"${env:NOT_SET_ANYWHERE}\"}}\n";
    let finished = with_config("validate", yaml).await?;
    finished.expect_code(2)?;
    let told = format!("{}{}", finished.stdout, finished.stderr);
    assert!(told.contains("NOT_SET_ANYWHERE"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_setting_that_the_component_does_not_have_is_told() -> anyhow::Result<()> {
    let config = Config::new().exporter(
        "langfuse",
        &kit::components::exporter("langfuse")?,
        "public_key: \"pk\", secret_key: \"do-not-print-me\", colour: blue",
    );
    let finished = with_config("validate", &config.yaml()).await?;
    finished.expect_code(2)?;
    let told = format!("{}{}", finished.stdout, finished.stderr);
    assert!(told.contains("colour"), "{told}");
    assert!(!told.contains("do-not-print-me"), "a secret was printed");
    Ok(())
}

#[tokio::test]
async fn a_right_configuration_is_fine_and_says_so() -> anyhow::Result<()> {
    let config = Config::new().langfuse("langfuse/eu", "https://langfuse.invalid")?;
    with_config("validate", &config.yaml())
        .await?
        .expect_code(0)
}

#[tokio::test]
async fn a_configuration_that_is_not_there_ends_with_2() -> anyhow::Result<()> {
    let finished = HostCommand::new("run")?
        .args(["--config", "missing.yaml"])
        .finish()
        .await?;
    finished.expect_code(2)?;
    assert!(
        finished.stderr.contains("missing.yaml"),
        "{}",
        finished.stderr
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_flag_ends_with_2() -> anyhow::Result<()> {
    HostCommand::new("run")?
        .args(["--frobnicate"])
        .finish()
        .await?
        .expect_code(2)
}
