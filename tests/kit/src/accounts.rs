//! The host's own account of every event, as `run --input --output json` ends its output: read, and added up. Pure.
//!
//! Called by every test that must not lose an event.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// What became of the events of one signal for one exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Taken in for this exporter.
    pub received: u64,
    /// The backend has them.
    pub delivered: u64,
    /// The backend has no place for them, or the operator did not want them.
    pub filtered: u64,
    /// Kept aside with a reason.
    pub dead_lettered: u64,
    /// Gone, for all reasons together.
    pub dropped: u64,
    /// Still to be delivered.
    pub queued: u64,
}

impl Account {
    /// All received and all delivered.
    #[must_use]
    pub fn delivered(count: u64) -> Self {
        Self {
            received: count,
            delivered: count,
            ..Self::default()
        }
    }

    /// Whether every event is in exactly one place.
    #[must_use]
    pub const fn is_conserved(&self) -> bool {
        self.received
            == self.delivered + self.filtered + self.dead_lettered + self.dropped + self.queued
    }
}

/// The whole report: by exporter id, then by signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    exporters: BTreeMap<String, BTreeMap<String, Account>>,
}

impl Accounts {
    /// Reads the last line of the host's standard output.
    ///
    /// # Errors
    /// When it is not the report, or a counter is missing or not a whole number.
    pub fn read(stdout: &str) -> anyhow::Result<Self> {
        let line = stdout
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .context("no output")?;
        let report: Value = serde_json::from_str(line)
            .with_context(|| format!("the last line is not JSON: {line}"))?;
        let exporters = report
            .get("exporters")
            .and_then(Value::as_object)
            .with_context(|| format!("no exporters: {line}"))?;
        let mut accounts = Self::default();
        for (id, signals) in exporters {
            let signals = signals
                .as_object()
                .with_context(|| format!("{id} is not an object"))?;
            for (signal, counters) in signals {
                let account = account(counters).with_context(|| format!("{id} {signal}"))?;
                accounts
                    .exporters
                    .entry(id.clone())
                    .or_default()
                    .insert(signal.clone(), account);
            }
            accounts.exporters.entry(id.clone()).or_default();
        }
        Ok(accounts)
    }

    /// The account of one exporter and signal.
    ///
    /// # Errors
    /// When the report does not have it; the message says what it has.
    pub fn of(&self, exporter: &str, signal: &str) -> anyhow::Result<Account> {
        let account = self
            .exporters
            .get(exporter)
            .and_then(|signals| signals.get(signal));
        account
            .copied()
            .with_context(|| format!("no account of {exporter} {signal} in {self:?}"))
    }

    /// The signals that one exporter has an account of, in alphabetical order.
    #[must_use]
    pub fn signals(&self, exporter: &str) -> Vec<&str> {
        self.exporters
            .get(exporter)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
            .collect()
    }

    /// The ids of all exporters, in alphabetical order.
    #[must_use]
    pub fn exporters(&self) -> Vec<&str> {
        self.exporters.keys().map(String::as_str).collect()
    }

    /// Every event is in exactly one place.
    ///
    /// # Errors
    /// The accounts that do not add up; or that there are none.
    pub fn assert_conserved(&self) -> anyhow::Result<()> {
        ensure!(!self.exporters.is_empty(), "the report has no exporter");
        for (id, signals) in &self.exporters {
            for (signal, account) in signals {
                ensure!(
                    account.is_conserved(),
                    "{id} {signal} does not add up: {account:?}"
                );
            }
        }
        Ok(())
    }
}

fn account(counters: &Value) -> anyhow::Result<Account> {
    let number = |key: &str| {
        let value = counters
            .get(key)
            .with_context(|| format!("{key} is missing"))?;
        value
            .as_u64()
            .with_context(|| format!("{key} {value} is not a whole number"))
    };
    Ok(Account {
        received: number("received")?,
        delivered: number("delivered")?,
        filtered: number("filtered")?,
        dead_lettered: number("dead_lettered")?,
        dropped: dropped(counters)?,
        queued: number("queued")?,
    })
}

/// A number, or a number a reason.
fn dropped(counters: &Value) -> anyhow::Result<u64> {
    let value = counters.get("dropped").context("dropped is missing")?;
    match value.as_object() {
        None => value
            .as_u64()
            .with_context(|| format!("dropped {value} is not a whole number")),
        Some(reasons) => reasons
            .iter()
            .map(|(reason, count)| {
                count
                    .as_u64()
                    .with_context(|| format!("dropped {reason} {count} is not a whole number"))
            })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"received":9,"delivered":3,"filtered":2,"dead_lettered":1,"dropped":{"full":1,"purged":1},"queued":1}"#;

    fn report(account: &str) -> String {
        format!("human text\n{{\"exporters\":{{\"a/b\":{{\"logs\":{account}}}}}}}\n\n")
    }

    #[test]
    fn the_report_is_the_last_line() {
        let accounts = Accounts::read(&report(GOOD)).unwrap();
        accounts.assert_conserved().unwrap();
        assert_eq!(accounts.of("a/b", "logs").unwrap().dropped, 2);
        assert_eq!(
            (accounts.exporters(), accounts.signals("a/b")),
            (vec!["a/b"], vec!["logs"])
        );
        assert!(accounts.of("a/b", "traces").is_err());
    }

    #[test]
    fn a_lost_event_is_noticed() {
        let accounts =
            Accounts::read(&report(&GOOD.replace("\"queued\":1", "\"queued\":0"))).unwrap();
        assert!(
            accounts
                .assert_conserved()
                .unwrap_err()
                .to_string()
                .contains("a/b logs does not add up")
        );
    }

    #[test]
    fn a_report_without_a_counter_is_none() {
        for broken in ["", "{}", "no report"] {
            assert!(Accounts::read(broken).is_err(), "{broken:?}");
        }
        let error = Accounts::read(&report(&GOOD.replace("\"filtered\":2,", ""))).unwrap_err();
        assert!(
            format!("{error:#}").contains("filtered is missing"),
            "{error:#}"
        );
        assert!(
            Accounts::read(r#"{"exporters":{}}"#)
                .unwrap()
                .assert_conserved()
                .is_err()
        );
    }
}
