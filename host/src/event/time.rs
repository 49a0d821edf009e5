//! Times of events: ISO-8601 text to unix nanoseconds and back. Mastra writes `2026-03-04T05:06:07.000Z`; UTC at any
//! precision up to nanoseconds has a fast path, any offset is read too. Refuses times before 1970 and after
//! 2554 (what a `u64` holds), and times without a zone. Called by `fields`.

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Unix nanoseconds of an ISO-8601 time; `None` when it is not one, has no zone, or does not fit.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    parse_utc(text.as_bytes()).or_else(|| {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_nanosecond()).ok()
    })
}

/// `YYYY-MM-DDTHH:MM:SSZ` with up to nine digits of a second: what `Date.prototype.toISOString` and our own receiver of
/// OTLP write for these years.
fn parse_utc(text: &[u8]) -> Option<u64> {
    let (
        &[
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T',
            h0,
            h1,
            b':',
            n0,
            n1,
            b':',
            s0,
            s1,
        ],
        rest,
    ) = text.split_first_chunk()?
    else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
    if !(1970..=2553).contains(&year)
        || !(1..=12).contains(&month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * NANOS_PER_SECOND + fraction(rest.strip_suffix(b"Z")?)?)
}

/// Nanoseconds of what stands between the seconds and the zone: nothing, or a point and one to nine digits.
fn fraction(text: &[u8]) -> Option<u64> {
    let digits = match text {
        [] => return Some(0),
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    let mut nanos = 0;
    let mut unit = NANOS_PER_SECOND;
    for byte in digits {
        unit /= 10;
        nanos += u64::from(digit(*byte)?) * unit;
    }
    Some(nanos)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn two(tens: u8, ones: u8) -> Option<u64> {
    Some(u64::from(digit(tens)?) * 10 + u64::from(digit(ones)?))
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, years counted from March so that the leap day comes last
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
const fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_read() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2026-03-04T05:06:07.089Z", Some(1_772_600_767_089_000_000)),
            ("2024-02-29T00:00:00.000Z", Some(1_709_164_800_000_000_000)),
            ("2026-03-04T05:06:07Z", Some(1_772_600_767_000_000_000)),
            (
                "2026-03-04T05:06:07.123456789Z",
                Some(1_772_600_767_123_456_789),
            ),
            (
                "2026-03-04T07:06:07.000+02:00",
                Some(1_772_600_767_000_000_000),
            ),
            ("2554-07-21T23:34:33.709551615Z", Some(u64::MAX)),
            ("2554-07-21T23:34:33.709551616Z", None),
            ("9999-12-31T23:59:59.999Z", None),
            ("1969-12-31T23:59:59.999Z", None),
            ("2023-02-29T00:00:00.000Z", None),
            ("2026-13-01T00:00:00.000Z", None),
            ("2026-00-01T00:00:00.000Z", None),
            ("2026-01-00T00:00:00.000Z", None),
            ("2026-01-01T24:00:00.000Z", None),
            ("2026-03-04T05:06:07.000", None),
            ("2026-03-04", None),
            ("1772600767", None),
            ("", None),
            (
                "+002026-03-04T05:06:07.000Z",
                Some(1_772_600_767_000_000_000),
            ),
        ] {
            assert_eq!(parse(text), nanos, "{text}");
        }
    }

    proptest! {
        #[test]
        fn fast_path_agrees_with_the_slow_one(nanos in 0_i128..18_400_000_000_000_000_000, digits in 0_usize..10) {
            let time = jiff::Timestamp::from_nanosecond(nanos).unwrap();
            let text = format!("{time:.digits$}");
            let slow: jiff::Timestamp = text.parse().unwrap();
            prop_assert_eq!(parse_utc(text.as_bytes()), Some(u64::try_from(slow.as_nanosecond()).unwrap()), "{}", text);
        }

        #[test]
        fn fast_path_refuses_what_the_slow_one_refuses(text in "2026-03-04T05:06:07[.,]?[0-9]{0,11}[Zz]?") {
            if let Some(nanos) = parse_utc(text.as_bytes()) {
                let slow: jiff::Timestamp = text.parse().unwrap();
                prop_assert_eq!(i128::from(nanos), slow.as_nanosecond());
            }
        }
    }
}
