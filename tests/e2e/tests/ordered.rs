//! A component that asks for order gets the spans of a trace as they were accepted, whatever the backend does; a trace that
//! waits for another try holds up no other.

use e2e::{Config, accounts, run};
use kit::accounts::Account;
use kit::backend::{Backend, Behaviour, RecordEverything, Recorded, Which};
use kit::components;
use kit::fixtures::{ndjson, span, with};

const TRACES: u64 = 5;
const SPANS: u64 = 20;

fn sequencer(backend: &Backend) -> anyhow::Result<Config> {
    let component = components::package("sequencer-guest", "sequencer")?;
    let settings = format!("endpoint: \"{}/names\"", backend.url());
    Ok(Config::new().exporter("sequencer", &component, &settings))
}

/// The names that the backend has taken, in its order.
fn taken(requests: &[Recorded]) -> Vec<String> {
    let taken = requests
        .iter()
        .filter(|recorded| recorded.status == Some(200));
    taken
        .flat_map(|recorded| {
            recorded
                .request
                .text()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// All traces take turns; the names tell the trace and the place in it.
fn events() -> Vec<serde_json::Value> {
    let numbers = 0..TRACES * SPANS;
    numbers
        .map(|n| {
            let (trace, place) = (n % TRACES, n / TRACES);
            let event = span(trace, n + 1, None, "agent_run");
            with(event, "name", format!("t{trace} {place:02}.").into())
        })
        .collect()
}

#[tokio::test]
async fn spans_of_a_trace_come_in_order_although_calls_fail_and_go_side_by_side()
-> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    for number in [2, 3, 5, 8, 13, 21] {
        backend.on(Which::all().nth(number), Behaviour::status(503));
    }
    let host = run(&sequencer(&backend)?)?.start().await?;
    for events in events().chunks(7) {
        assert_eq!(host.send_events(ndjson(events)).await?.status, 200);
    }
    let all = usize::try_from(TRACES * SPANS)?;
    backend
        .wait_until(|requests| taken(requests).len() >= all)
        .await?;
    let finished = host.terminate().await?;
    finished.expect_code(0)?;
    let account = accounts(&finished)?.of("sequencer", "traces")?;
    assert_eq!(account, Account::delivered(TRACES * SPANS));
    let taken = taken(&backend.requests());
    for trace in 0..TRACES {
        let of_trace = format!("t{trace} ");
        let names: Vec<&String> = taken
            .iter()
            .filter(|name| name.contains(&of_trace))
            .collect();
        assert_eq!(names.len() as u64, SPANS, "each once");
        assert!(names.is_sorted(), "{names:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_trace_that_waits_for_another_try_holds_up_no_other() -> anyhow::Result<()> {
    let backend = Backend::start(RecordEverything).await?;
    backend.on(Which::all().containing("t0 "), Behaviour::status(503));
    // Events that fail together wait together: one a call.
    let config = sequencer(&backend)?.with("batch: {max_items: 1, timeout: 10ms}");
    let yaml = config
        .yaml()
        .replacen("    batch: {timeout: 10ms}\n", "", 1);
    let host = kit::host::HostCommand::new("run")?
        .config(&yaml)?
        .args(["--output", "json"])
        .start()
        .await?;
    host.send_events(ndjson(&events())).await?;
    let others = usize::try_from((TRACES - 1) * SPANS)?;
    backend
        .wait_until(|requests| taken(requests).len() >= others)
        .await?;
    assert!(
        taken(&backend.requests())
            .iter()
            .all(|name| !name.contains("t0 "))
    );
    backend.heal();
    let all = usize::try_from(TRACES * SPANS)?;
    backend
        .wait_until(|requests| taken(requests).len() >= all)
        .await?;
    host.terminate().await?.expect_code(0)?;
    let taken = taken(&backend.requests());
    let late: Vec<&String> = taken.iter().filter(|name| name.contains("t0 ")).collect();
    assert!(late.len() as u64 == SPANS && late.is_sorted(), "{late:?}");
    Ok(())
}
