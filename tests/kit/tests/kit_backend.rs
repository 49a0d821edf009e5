//! `kit-backend` as `make demo` and the benches use it: starts, serves, misbehaves as told, sums up.

use kit::client::Outgoing;
use kit::host::HostCommand;

const BINARY: &str = env!("CARGO_BIN_EXE_kit-backend");

fn kit_backend(fake: &str) -> anyhow::Result<HostCommand> {
    Ok(HostCommand::of(BINARY.as_ref(), "--fake")?.arg(fake))
}

#[tokio::test]
async fn a_demo_sees_each_request_and_a_summary() -> anyhow::Result<()> {
    let score = r#"{"id":"s-1","name":"tone","value":"calm","sessionId":"s"}"#;
    let backend = kit_backend("langfuse")?
        .args(["--behaviour", "first=1 status=429 retry-after=1"])
        .start_bare()
        .await?;
    let post = || {
        Outgoing::post("/api/public/scores", "application/json", score)
            .header("authorization", "Basic cGstbGYtdGVzdDpzay1sZi10ZXN0")
            .send(backend.address())
    };
    let limited = post().await?;
    assert_eq!(
        (limited.status, limited.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(post().await?.status, 200);
    let finished = backend.terminate().await?;
    finished.expect_code(0)?;
    let wanted = "/api/public/scores: 2 requests, 114 bytes, 1 x 200, 1 x 429, 1 scores";
    assert!(finished.stdout.contains(wanted), "{}", finished.stdout);
    Ok(())
}

#[tokio::test]
async fn a_sink_answers_any_path() -> anyhow::Result<()> {
    let backend = kit_backend("sink")?.args(["--quiet"]).start_bare().await?;
    assert_eq!(
        Outgoing::post("/any", "text/plain", "abc")
            .send(backend.address())
            .await?
            .status,
        200
    );
    let finished = backend.terminate().await?;
    assert!(
        finished
            .stdout
            .contains("/any: 1 requests, 3 bytes, 1 x 200"),
        "{}",
        finished.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_misspelt_behaviour_is_refused() -> anyhow::Result<()> {
    let finished = kit_backend("record")?
        .args(["--behaviour", "statsu=500"])
        .finish()
        .await?;
    assert_ne!(finished.code()?, 0);
    assert!(
        finished.stderr.contains("statsu=500"),
        "{}",
        finished.stderr
    );
    Ok(())
}
