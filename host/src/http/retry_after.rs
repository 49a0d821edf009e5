//! `retry-after`: seconds or an HTTP date (RFC 9110 10.2.3). Pure: the caller passes the time.

use std::time::{Duration, SystemTime};

/// A server that asks for more is waited for this long, then asked again. Quotas renew daily at most; a longer wait is
/// more often a wrong clock than a wish.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that a header value asks for: whole seconds (a fraction, against the RFC, is rounded up) or a date. A date in
/// the past is no wait. At most [`MAX_RETRY_AFTER`]. Nothing if the value is neither.
#[must_use]
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.starts_with(|first: char| first.is_ascii_digit()) {
        seconds(value)?
    } else {
        httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    // More digits than fit is a number over the cap.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    let round_up = fraction.bytes().any(|byte| byte != b'0');
    Some(Duration::from_secs(
        whole.saturating_add(u64::from(round_up)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(parse("120", at(0)), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 ", at(0)), Some(Duration::ZERO));
        assert_eq!(parse("1.2", at(0)), Some(Duration::from_secs(2)));
        assert_eq!(parse("1.0", at(0)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn dates_are_read_against_the_given_clock() {
        // 784111777 is the RFC's own example.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            parse(date, at(784_111_777 - 30)),
            Some(Duration::from_secs(30))
        );
        assert_eq!(parse(date, at(784_111_777 + 30)), Some(Duration::ZERO));
        assert_eq!(
            parse("Sunday, 06-Nov-94 08:49:37 GMT", at(784_111_767)),
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn absurd_values_are_capped() {
        assert_eq!(
            parse("99999999999999999999999999", at(0)),
            Some(MAX_RETRY_AFTER)
        );
        assert_eq!(parse("86401", at(0)), Some(MAX_RETRY_AFTER));
        assert_eq!(
            parse("Fri, 31 Dec 9999 23:59:59 GMT", at(0)),
            Some(MAX_RETRY_AFTER)
        );
    }

    #[test]
    fn anything_else_is_no_wait() {
        for value in ["", "soon", "-1", "1h", "1.x", "0x10", "1,2"] {
            assert_eq!(parse(value, at(0)), None, "{value}");
        }
    }
}
