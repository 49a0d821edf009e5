//! How a raw Mastra metric is to be aggregated. Mastra emits single observations without a type; what they are is
//! decided here, once, by the metric's name, so that no exporter guesses for itself. Called by `decode`.

use super::records::Instrument;

/// What the operator says of one metric, instead of the name rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The metric's whole name.
    pub name: String,
    /// How it is aggregated.
    pub instrument: Instrument,
    /// UCUM unit, such as `ms`; `None` leaves the one of the name rule.
    pub unit: Option<String>,
}

/// Decides the instrument and unit of metrics by name.
///
/// | name ends in | instrument | unit |
/// |---|---|---|
/// | `_ms`, `_milliseconds` (so also `_duration_ms`) | histogram | `ms` |
/// | `_seconds`, `_duration_s` | histogram | `s` |
/// | `_tokens` | counter | `{token}` |
/// | `_total` | counter | |
/// | `_bytes` | histogram | `By` |
/// | `_ratio` | gauge | `1` |
/// | `_percent` | gauge | `%` |
/// | anything else | histogram | |
///
/// The last line is a histogram because an observation is one of many: a gauge would keep the last and lose the others,
/// a counter would claim that their sum means something; a histogram keeps count, sum and spread.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    overrides: Vec<Override>,
}

impl Instruments {
    /// The name rule with exceptions; of two for the same name the first counts.
    #[must_use]
    pub const fn new(overrides: Vec<Override>) -> Self {
        Self { overrides }
    }

    /// The instrument, and the unit where the name tells it.
    #[must_use]
    pub fn decide(&self, name: &str) -> (Instrument, Option<&str>) {
        let (instrument, unit) = by_name(name);
        match self.overrides.iter().find(|entry| entry.name == name) {
            Some(entry) => (entry.instrument, entry.unit.as_deref().or(unit)),
            None => (instrument, unit),
        }
    }
}

/// The name rule alone.
#[must_use]
pub fn by_name(name: &str) -> (Instrument, Option<&'static str>) {
    let last_word = name.rsplit('_').next().unwrap_or_default();
    match last_word {
        _ if last_word.len() == name.len() => (Instrument::Histogram, None),
        "ms" | "milliseconds" => (Instrument::Histogram, Some("ms")),
        "seconds" => (Instrument::Histogram, Some("s")),
        "s" if name.ends_with("_duration_s") => (Instrument::Histogram, Some("s")),
        "tokens" => (Instrument::Counter, Some("{token}")),
        "total" => (Instrument::Counter, None),
        "bytes" => (Instrument::Histogram, Some("By")),
        "ratio" => (Instrument::Gauge, Some("1")),
        "percent" => (Instrument::Gauge, Some("%")),
        _ => (Instrument::Histogram, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide() {
        for (name, instrument, unit) in [
            (
                "mastra_agent_duration_ms",
                Instrument::Histogram,
                Some("ms"),
            ),
            (
                "mastra_model_total_input_tokens",
                Instrument::Counter,
                Some("{token}"),
            ),
            (
                "mastra_model_input_cache_write_5m_tokens",
                Instrument::Counter,
                Some("{token}"),
            ),
            ("requests_total", Instrument::Counter, None),
            ("queue_depth", Instrument::Histogram, None),
            ("cache_hit_ratio", Instrument::Gauge, Some("1")),
            ("tokens", Instrument::Histogram, None),
            ("", Instrument::Histogram, None),
        ] {
            assert_eq!(by_name(name), (instrument, unit), "{name}");
        }
    }

    #[test]
    fn the_operator_overrides_the_name() {
        let instruments = Instruments::new(vec![
            Override {
                name: "a_ms".into(),
                instrument: Instrument::Gauge,
                unit: None,
            },
            Override {
                name: "b".into(),
                instrument: Instrument::Counter,
                unit: Some("{call}".into()),
            },
        ]);
        assert_eq!(instruments.decide("a_ms"), (Instrument::Gauge, Some("ms")));
        assert_eq!(
            instruments.decide("b"),
            (Instrument::Counter, Some("{call}"))
        );
        assert_eq!(
            instruments.decide("c_tokens"),
            (Instrument::Counter, Some("{token}"))
        );
    }
}
