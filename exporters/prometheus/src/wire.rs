//! Names of Prometheus: what a metric and a label may be called, and how versions of remote write are told
//! (<https://prometheus.io/docs/concepts/data_model/>, <https://prometheus.io/docs/specs/prw/remote_write_spec/>, read
//! 2026-11).

/// A version of remote write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`
    One,
    /// `io.prometheus.write.v2.Request`
    Two,
}

impl Version {
    /// `Content-Type` and `X-Prometheus-Remote-Write-Version`.
    #[must_use]
    pub const fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::One => ("application/x-protobuf", "0.1.0"),
            Self::Two => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "2.0.0",
            ),
        }
    }
}

/// A metric's name: letters, digits, `_` and `:`, no digit first.
#[must_use]
pub fn metric_name(name: &str) -> String {
    plain(name, |character| character == ':')
}

/// A label's name: letters, digits and `_`, no digit first; two underscores in front are Prometheus' own.
#[must_use]
pub fn label_name(name: &str) -> String {
    let plain = plain(name, |_| false);
    match plain.strip_prefix("__") {
        Some(rest) => format!("key_{rest}"),
        None => plain,
    }
}

fn plain(name: &str, is_also: impl Fn(char) -> bool) -> String {
    let mut plain = String::with_capacity(name.len() + 1);
    for character in name.chars() {
        let is_plain = character.is_ascii_alphanumeric() || character == '_' || is_also(character);
        if plain.is_empty() && character.is_ascii_digit() {
            plain.push('_');
        }
        plain.push(if is_plain { character } else { '_' });
    }
    if plain.is_empty() {
        plain.push('_');
    }
    plain
}

/// The suffix of a UCUM unit (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>).
#[must_use]
pub fn unit_suffix(ucum: &str) -> Option<String> {
    let word = match ucum {
        "" | "1" => return None,
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "%" => "percent",
        "USD" => "usd",
        other if other.starts_with('{') => return None,
        other => return Some(metric_name(other)),
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_alphabet() {
        for (name, metric, label) in [
            (
                "gen_ai.client.token.usage",
                "gen_ai_client_token_usage",
                "gen_ai_client_token_usage",
            ),
            ("a:b", "a:b", "a_b"),
            ("2xx", "_2xx", "_2xx"),
            ("größe", "gr__e", "gr__e"),
            ("", "_", "_"),
            ("__name__", "__name__", "key_name__"),
        ] {
            assert_eq!(
                (metric_name(name), label_name(name)),
                (metric.to_owned(), label.to_owned())
            );
        }
    }

    #[test]
    fn units_become_words() {
        for (unit, suffix) in [
            ("us", Some("microseconds")),
            ("{token}", None),
            ("1", None),
            ("By/s", Some("By_s")),
        ] {
            assert_eq!(unit_suffix(unit).as_deref(), suffix);
        }
    }
}
