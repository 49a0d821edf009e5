//! Durations (`500ms`, `10s`, `1h30m`) and sizes (`64MiB`, `10MB`, plain bytes), read and written. Pure.

use std::time::Duration;

/// What to write for a duration.
pub const DURATION_FIX: &str = "write a number with a unit, such as `500ms`, `10s`, `5m` or `1h`";
/// What to write for a size.
pub const SIZE_FIX: &str = "write a number with a unit, such as `512KiB`, `64MiB` or `1GB`";

const DURATION_UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
const SIZE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// Longer than any sensible setting, short enough that adding it to a clock never overflows: 10 years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Reads a duration: numbers with units, the larger unit first. `0` needs no unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    let mut previous = f64::INFINITY;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let seconds = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if seconds >= previous {
            return None;
        }
        previous = seconds;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (total <= LONGEST).then_some(total)
}

/// Reads a size in bytes: one number with a unit, or plain bytes.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim_start();
    let bytes_per_unit = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    #[expect(
        clippy::cast_precision_loss,
        reason = "units are powers that an f64 holds exactly"
    )]
    let bytes = number * bytes_per_unit as f64;
    // 2^53: beyond it an f64 is no longer exact, and no machine has as much.
    if !(0.0..=9_007_199_254_740_992.0).contains(&bytes) || bytes.fract() != 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in range"
    )]
    let bytes = bytes as u64;
    Some(bytes)
}

/// A non-negative decimal number at the start, and what follows it.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('.') {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

/// Writes a size in the largest binary unit that keeps it short: `64 MiB`, `1.5 kB` never appears.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    for (unit_bytes, name) in UNITS {
        if bytes >= unit_bytes {
            let tenths = bytes.saturating_mul(10) / unit_bytes;
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                tenth => format!("{}.{tenth} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

/// Writes a duration as [`parse_duration`] reads it: `1h30m`, `500ms`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let total_seconds = duration.as_secs();
    let parts = [
        (total_seconds / 3600, "h"),
        (total_seconds / 60 % 60, "m"),
        (total_seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        let cases = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("1.5s", Some(1_500)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("1h30m", Some(5_400_000)),
            ("10", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("10 s", None),
            ("10sec", None),
            ("1d", None),
            ("30m1h", None),
            ("1.s", None),
            ("99999999h", None),
        ];
        for (text, millis) in cases {
            assert_eq!(
                parse_duration(text),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        let cases = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("1B", Some(1)),
            ("1KiB", Some(1 << 10)),
            ("1MiB", Some(1 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("64MB", Some(64_000_000)),
            ("64kB", Some(64_000)),
            ("0.5B", None),
            ("64mb", None),
            ("-1", None),
            ("lots", None),
            ("99999999TiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 500, 1_000, 90_000, 5_400_000, 86_400_000, 3_661_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_size(0), "0 B");
        assert_eq!(show_size(1 << 20), "1 MiB");
        assert_eq!(show_size(3 << 19), "1.5 MiB");
        assert_eq!(show_size(1_000), "1000 B");
    }
}
