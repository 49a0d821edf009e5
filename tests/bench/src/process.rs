//! What Linux says about a process: CPU time and resident memory. Reads `/proc` only.

use std::time::Duration;

use anyhow::{Context, Result};

/// `USER_HZ`, the unit of the times in `/proc/PID/stat`: 100 on every Linux that this project builds for.
const TICKS_A_SECOND: u64 = 100;

/// User and system time of all threads so far, with a resolution of 10 ms.
///
/// # Errors
/// The process has ended.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    cpu_time_in(&stat).with_context(|| format!("{path} has no times"))
}

/// Resident memory now, in KiB (`VmRSS`).
///
/// # Errors
/// The process has ended.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS")
}

/// The most resident memory so far, in KiB (`VmHWM`).
///
/// # Errors
/// The process has ended.
pub(crate) fn peak_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM")
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no {name}"))
}

/// Fields 14 and 15 of proc_pid_stat(5). The second field, the program's name, may hold blanks and brackets.
fn cpu_time_in(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * (1_000 / TICKS_A_SECOND),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_blanks_and_brackets() {
        let stat =
            "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 4 0 100 1000 200";
        assert_eq!(cpu_time_in(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn our_own_process_has_time_and_memory() {
        let pid = std::process::id();
        cpu_time(pid).unwrap();
        assert!(peak_kib(pid).unwrap() >= resident_kib(pid).unwrap() / 2);
        assert!(resident_kib(pid).unwrap() > 100);
    }
}
