//! Unix times and lengths of time as seconds with a fraction, exact to the nanosecond.

use mastra_exporter_sdk::json::JsonText;

const NANOS: u64 = 1_000_000_000;

/// Writes nanoseconds as a JSON number of seconds, without needless zeros: `1772600767.003`, `0.125`, `2`.
pub fn write(text: &mut JsonText, nanos: u64) {
    text.unsigned(nanos / NANOS);
    let below = nanos % NANOS;
    if below > 0 {
        let digits = format!("{below:09}");
        text.raw(".").raw(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_the_digits_they_need() {
        for (nanos, expected) in [
            (0, "0"),
            (1, "0.000000001"),
            (125_000_000, "0.125"),
            (1_772_600_767_003_000_000, "1772600767.003"),
            (1_772_600_767_000_000_000, "1772600767"),
        ] {
            let mut text = JsonText::default();
            write(&mut text, nanos);
            assert_eq!(text.as_str(), expected);
        }
    }
}
