//! `make chaos`: kills the host a thousand times while clients send and backends misbehave, and adds up.

use clap::Parser;
use e2e::chaos::{Plan, conserve};

/// Kills the host again and again and checks that nothing acknowledged is lost.
#[derive(Parser)]
struct Arguments {
    /// How often.
    #[arg(long, default_value_t = 1_000)]
    kills: u64,
    /// Chooses points and trouble; printed when something is wrong.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is what it is for")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let kills = arguments.kills;
    println!("{kills} kills, seed {seed}");
    let began = std::time::Instant::now();
    let tally = conserve(Plan { kills, seed }, |kill| {
        if kill.is_multiple_of(50) {
            println!("{kill} kills after {} s", began.elapsed().as_secs());
        }
    })
    .await?;
    for (point, kills) in &tally.kills {
        println!("{kills:>9} kills {point}");
    }
    for (trouble, lives) in &tally.troubles {
        println!("{lives:>9} lives with a backend in trouble: {trouble}");
    }
    for (status, answers) in &tally.statuses {
        println!("{answers:>9} answers {status} of that backend");
    }
    println!("{:>9} requests refused, the queue was full", tally.refusals);
    println!(
        "{:>9} events acknowledged, all delivered to both backends",
        tally.acknowledged
    );
    println!("{:>9} events taken in, each counted once", tally.received);
    for (backend, repeats) in [("steady", &tally.steady), ("troubled", &tally.troubled)] {
        for (times, events) in repeats {
            println!("{events:>9} events came {times} times to the {backend} backend");
        }
    }
    Ok(())
}
