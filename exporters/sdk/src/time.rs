//! Times as text: ISO 8601 in UTC from unix nanoseconds, as JavaScript's `toISOString` writes them. No clock is read.
//!
//! ```
//! use mastra_exporter_sdk::time;
//!
//! assert_eq!(time::iso(1_700_000_000_000_000_000).as_str(), "2023-11-14T22:13:20.000Z");
//! ```

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The longest text that [`iso`] gives: `2554-07-21T23:34:33.709551615Z`.
pub const MAX_LENGTH: usize = 30;

/// ISO 8601 text in a buffer of its own.
#[derive(Clone, Copy, Debug)]
pub struct IsoTime {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl IsoTime {
    /// ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}

/// `2026-03-04T05:06:07.000Z`: three digits of a second, nine when there is something below the millisecond.
#[must_use]
pub fn iso(unix_nanos: u64) -> IsoTime {
    let below_second = unix_nanos % SECOND;
    let milliseconds = below_second / 1_000_000;
    let has_rest = !below_second.is_multiple_of(1_000_000);
    let seconds = unix_nanos / SECOND;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let of_day = seconds % 86_400;
    let mut text = IsoTime {
        bytes: *b"0000-00-00T00:00:00.000000000Z",
        length: if has_rest { 30 } else { 24 },
    };
    let digits = &mut text.bytes;
    put(digits, 0, 4, year);
    put(digits, 5, 2, month);
    put(digits, 8, 2, day);
    put(digits, 11, 2, of_day / 3_600);
    put(digits, 14, 2, of_day / 60 % 60);
    put(digits, 17, 2, of_day % 60);
    if has_rest {
        put(digits, 20, 9, below_second);
    } else {
        put(digits, 20, 3, milliseconds);
        if let Some(end) = digits.get_mut(23) {
            *end = b'Z';
        }
    }
    text
}

fn put(bytes: &mut [u8], at: usize, width: usize, mut number: u64) {
    let Some(place) = bytes.get_mut(at..at + width) else {
        return;
    };
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-compatible low-level date algorithms", `civil_from_days`).
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_javascript_writes_them() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999_000_000, "2024-02-29T23:59:59.999Z"),
            (1_772_600_767_000_000_000, "2026-03-04T05:06:07.000Z"),
            (1_772_600_767_132_000_000, "2026-03-04T05:06:07.132Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"),
            (1_772_600_767_132_000_001, "2026-03-04T05:06:07.132000001Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(iso(nanos).as_str(), expected);
        }
    }
}
