//! Several backends at once: each gets the signals that it takes and was asked to, and one that is down is alone with it.
//! Holds for every exporter that has a fake of its backend.

#![allow(
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use e2e::vendors::{Setting, VENDORS, Vendor};
use e2e::{accounts, ready_page, recorded_events, run};
use kit::backend::{Behaviour, Which};
use kit::fixtures::{awkward, ndjson};
use kit::host::Finished;
use serde_json::Value;
use tokio::task::JoinSet;

/// Every event is delivered, or filtered where the backend has no place for it, and no fake refused anything.
fn assert_settled(setting: &Setting, finished: &Finished, signals: &[&str]) -> anyhow::Result<()> {
    let accounts = accounts(finished)?;
    for (vendor, backend) in &setting.vendors {
        let name = vendor.name;
        let requests = backend.requests();
        let refused = requests.iter().filter_map(|it| it.refused.as_ref());
        let refused: Vec<_> = refused.collect();
        assert!(refused.is_empty(), "{name}: {refused:?}");
        let wanted = vendor.signals.iter().copied();
        let wanted: Vec<_> = wanted.filter(|signal| signals.contains(signal)).collect();
        assert_eq!(accounts.signals(name), wanted, "{name}");
        for signal in wanted {
            let account = accounts.of(name, signal)?;
            let settled = account.delivered + account.filtered;
            assert_eq!(
                account.received, settled,
                "{name} {signal}: {}",
                finished.stderr
            );
            assert!(account.delivered > 0, "{name} {signal}");
        }
    }
    Ok(())
}
/// Those that have a place for this signal.
fn taking(signal: &str) -> Vec<Vendor> {
    let takes = |vendor: &&Vendor| vendor.signals.contains(&signal);
    VENDORS.iter().filter(takes).copied().collect()
}

const SIGNALS: [&str; 5] = ["feedback", "logs", "metrics", "scores", "traces"];

#[tokio::test]
async fn every_backend_gets_the_signals_that_it_takes_and_no_others() -> anyhow::Result<()> {
    let setting = Setting::of(&VENDORS).await?;
    let finished = setting.deliver(recorded_events()?, "").await?;
    assert_settled(&setting, &finished, &SIGNALS)?;
    finished.expect_code(0)
}

#[tokio::test]
async fn every_backend_gets_only_the_signal_that_was_asked_for() -> anyhow::Result<()> {
    for signal in SIGNALS {
        let setting = Setting::of(&taking(signal)).await?;
        let line = format!("signals: [{signal}]");
        let finished = setting.deliver(recorded_events()?, &line).await?;
        assert_settled(&setting, &finished, &[signal])?;
        finished.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test]
async fn awkward_events_are_taken_or_filtered_by_every_backend() -> anyhow::Result<()> {
    let setting = Setting::of(&VENDORS).await?;
    let good = awkward().into_iter().filter(|case| !case.is_refused);
    let events: Vec<_> = good.map(|case| case.event).collect();
    let finished = setting.deliver(ndjson(&events), "").await?;
    assert_settled(&setting, &finished, &SIGNALS)?;
    finished.expect_code(0)
}

/// With a refused key every exporter of this signal pauses.
async fn pauses(signal: &'static str) -> anyhow::Result<()> {
    let setting = Setting::of(&taking(signal)).await?;
    for (_, backend) in &setting.vendors {
        backend.on(Which::all(), Behaviour::status(401));
    }
    let config = setting.config(&format!("signals: [{signal}]"))?;
    let host = run(&config)?.start().await?;
    host.send_events(recorded_events()?).await?;
    for (_, backend) in &setting.vendors {
        // Those that hold metrics send nothing before their first flush.
        backend.wait_for_requests(1).await?;
    }
    let is_paused = |page: &Value, vendor: &Vendor| {
        let reason = page["reasons"][vendor.name].as_str();
        reason.is_some_and(|reason| reason.starts_with("paused: "))
    };
    let all_are = |_, page: &Value| {
        let mut vendors = setting.vendors.iter();
        vendors.all(|(vendor, _)| is_paused(page, vendor))
    };
    ready_page(&host, all_are).await?;
    let finished = host.terminate().await?;
    let accounts = accounts(&finished)?;
    for (vendor, _) in &setting.vendors {
        let account = accounts.of(vendor.name, signal)?;
        let left = account.queued + account.filtered;
        assert_eq!(account.received, left, "{} {signal}", vendor.name);
        assert!(account.queued > 0, "{} {signal}", vendor.name);
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_key_pauses_every_exporter_whatever_the_signal_and_loses_nothing()
-> anyhow::Result<()> {
    let mut runs: JoinSet<_> = SIGNALS.into_iter().map(pauses).collect();
    while let Some(ended) = runs.join_next().await {
        ended??;
    }
    Ok(())
}

/// Three exporters at once, of which the first is down: the others do not notice.
async fn one_of_three_is_down(first: usize) -> anyhow::Result<()> {
    let three = VENDORS.iter().cycle().skip(first).take(3);
    let three: Vec<_> = three.copied().collect();
    let mut setting = Setting::of(&three).await?;
    let (_, down) = &setting.vendors[0];
    down.on(Which::all(), Behaviour::status(503));
    let finished = setting.deliver(recorded_events()?, "").await?;
    finished.expect_code(3)?;
    let (down, backend) = setting.vendors.remove(0);
    assert_settled(&setting, &finished, &SIGNALS)?;
    let accounts = accounts(&finished)?;
    for signal in down.signals {
        let account = accounts.of(down.name, signal)?;
        assert_eq!(account.delivered, 0, "{} {signal}", down.name);
        let left = account.queued + account.filtered;
        assert_eq!(
            account.received, left,
            "{} {signal}: nothing is lost",
            down.name
        );
    }
    assert!(!backend.requests().is_empty(), "{} was tried", down.name);
    Ok(())
}

#[tokio::test]
async fn a_backend_that_is_down_is_alone_with_it() -> anyhow::Result<()> {
    // Four at a time: each waits ten seconds for the one that is down.
    let mut places = 0..VENDORS.len();
    let mut runs = JoinSet::new();
    for place in places.by_ref().take(4) {
        runs.spawn(one_of_three_is_down(place));
    }
    while let Some(ended) = runs.join_next().await {
        ended??;
        if let Some(place) = places.next() {
            runs.spawn(one_of_three_is_down(place));
        }
    }
    Ok(())
}
