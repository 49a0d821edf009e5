//! A dozen kills of the host; `make chaos` does a thousand.

use e2e::chaos::{Plan, conserve};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kills() -> anyhow::Result<()> {
    let tally = conserve(
        Plan {
            kills: 12,
            seed: 11,
        },
        |_| {},
    )
    .await?;
    anyhow::ensure!(tally.acknowledged > 100, "{tally:?}");
    anyhow::ensure!(
        tally.kills.len() >= 5 && tally.troubles.len() >= 4,
        "{tally:?}"
    );
    Ok(())
}
