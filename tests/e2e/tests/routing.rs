//! Several backends at once: each gets the signals that it takes and was asked to, and one that is down is alone with it.
//! Holds for every exporter that has a fake of its backend.

#![allow(
    clippy::indexing_slicing,
    reason = "a failed helper of a test is a failed test"
)]

use e2e::vendors::{VENDORS, Vendor};
use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::backend::{Backend, Behaviour, Which};
use kit::fixtures::{awkward, ndjson};
use kit::host::Finished;
use tokio::task::JoinSet;

/// One host with these exporters, a fake each.
struct Setting {
    vendors: Vec<(Vendor, Backend)>,
}

impl Setting {
    async fn of(vendors: &[Vendor]) -> anyhow::Result<Self> {
        let mut started = Vec::new();
        for vendor in vendors {
            started.push((*vendor, vendor.start().await?));
        }
        Ok(Self { vendors: started })
    }

    /// Delivers these events; the report comes after ten seconds where something is left.
    async fn deliver(&self, events: String, line: &str) -> anyhow::Result<Finished> {
        let mut config = Config::new();
        for (vendor, backend) in &self.vendors {
            config = vendor.add(config, backend)?.with(line);
        }
        let command = run_with_input(&config, events)?;
        command.args(["--timeout", "10s"]).finish().await
    }

    /// Every event is delivered, or filtered where the backend has no place for it, and no fake refused anything.
    fn assert_settled(&self, finished: &Finished, signals: &[&str]) -> anyhow::Result<()> {
        let accounts = accounts(finished)?;
        for (vendor, backend) in &self.vendors {
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
}

const SIGNALS: [&str; 5] = ["feedback", "logs", "metrics", "scores", "traces"];

#[tokio::test]
async fn every_backend_gets_the_signals_that_it_takes_and_no_others() -> anyhow::Result<()> {
    let setting = Setting::of(&VENDORS).await?;
    let finished = setting.deliver(recorded_events()?, "").await?;
    setting.assert_settled(&finished, &SIGNALS)?;
    finished.expect_code(0)
}

#[tokio::test]
async fn every_backend_gets_only_the_signal_that_was_asked_for() -> anyhow::Result<()> {
    for signal in SIGNALS {
        let takes = |vendor: &&Vendor| vendor.signals.contains(&signal);
        let vendors: Vec<_> = VENDORS.iter().filter(takes).copied().collect();
        let setting = Setting::of(&vendors).await?;
        let line = format!("signals: [{signal}]");
        let finished = setting.deliver(recorded_events()?, &line).await?;
        setting.assert_settled(&finished, &[signal])?;
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
    setting.assert_settled(&finished, &SIGNALS)?;
    finished.expect_code(0)
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
    setting.assert_settled(&finished, &SIGNALS)?;
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
