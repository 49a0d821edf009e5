//! Turns the queue's accounts into what is printed. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Signal;
use crate::print::report::{Counts, InputCounts, RunReport};
use crate::queue::QueueReport;
use crate::queue::accounts::{Account, ExporterAccounts};

/// The report of a run that is over.
pub(super) fn of_run(queue: &QueueReport, input: InputCounts, elapsed: Duration) -> RunReport {
    let exporters = queue
        .cursors
        .iter()
        .map(|(id, cursor)| (id.clone(), of_exporter(&cursor.accounts)))
        .collect();
    RunReport {
        exporters,
        input,
        elapsed,
    }
}

/// One exporter's counts by signal.
pub(super) fn of_exporter(accounts: &ExporterAccounts) -> BTreeMap<Signal, Counts> {
    accounts
        .iter()
        .map(|(signal, account)| (*signal, counts(account)))
        .collect()
}

/// Events that reached an end, and events that wait, over all exporters.
pub(super) fn progress(queue: &QueueReport) -> (u64, u64) {
    let accounts = queue
        .cursors
        .values()
        .flat_map(|cursor| cursor.accounts.values());
    accounts.fold((0, 0), |(done, waiting), account| {
        (
            done + account.received - account.queued,
            waiting + account.queued,
        )
    })
}

fn counts(account: &Account) -> Counts {
    Counts {
        received: account.received,
        delivered: account.delivered,
        filtered: account.filtered,
        dead_lettered: account.dead_lettered,
        dropped: account
            .dropped
            .iter()
            .map(|(reason, events)| (reason.name().to_owned(), events))
            .collect(),
        queued: account.queued,
    }
}
