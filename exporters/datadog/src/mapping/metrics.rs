//! Measurements as counts, gauges and distributions: which second of which series they are in, and how values of one
//! second are put together.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{
    EventResource, Instrument, Metric, MetricNumber, MetricValue, SumPoint, Temporality,
};

use super::{Origins, some_text};
use crate::config::Config;
use crate::wire::{Distribution, Series, SeriesType, SeriesVersion};

const NANOS_A_SECOND: u64 = 1_000_000_000;

/// What a series holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the types of the API, by name")]
pub enum Kind {
    Count,
    Gauge,
    Distribution,
}

impl Kind {
    /// Whether it has a request of its own; counts and gauges share one.
    #[must_use]
    pub const fn is_distribution(self) -> bool {
        matches!(self, Self::Distribution)
    }
}

/// By what Datadog tells series apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// What it holds.
    pub kind: Kind,
    /// Of the metric.
    pub metric: String,
    /// `key:value`, sorted, each once.
    pub tags: Vec<String>,
}

/// What a series holds of one second.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// The sum.
    Count(f64),
    /// The last value.
    Gauge {
        /// Nanoseconds since 1970.
        at: u64,
        /// As measured then.
        value: f64,
    },
    /// Every value.
    Distribution(Vec<f64>),
}

impl Amount {
    /// Numbers in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Count(_) | Self::Gauge { .. } => 1,
            Self::Distribution(values) => values.len(),
        }
    }

    /// Whether there is no number in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what else there is of the second. An amount of another kind is of another series and changes nothing.
    pub fn add(&mut self, more: Self) {
        match (self, more) {
            (Self::Count(sum), Self::Count(more)) => *sum += more,
            (Self::Gauge { at, value }, Self::Gauge { at: time, value: v }) if time >= *at => {
                (*at, *value) = (time, v);
            }
            (Self::Distribution(values), Self::Distribution(more)) => values.extend(more),
            _ => {}
        }
    }
}

/// A measurement in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Of the series.
    pub name: Name,
    /// Datadog's name of the unit.
    pub unit: Option<String>,
    /// Unix second.
    pub second: u64,
    /// What it adds to the second.
    pub amount: Amount,
}

/// One second of one series, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    /// Of the series.
    pub name: Name,
    /// Datadog's name of the unit.
    pub unit: Option<String>,
    /// Unix second.
    pub second: u64,
    /// All of it.
    pub amount: Amount,
}

impl Second {
    /// About what it takes in a request.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let tags: usize = self.name.tags.iter().map(|tag| tag.len() + 3).sum();
        80 + self.name.metric.len() + tags + 20 * self.amount.len()
    }
}

/// The points that a measurement is, at least one.
///
/// # Errors
/// Why there is no place for it.
pub fn points(
    metric: &Metric,
    resources: &[EventResource],
    config: &Config,
) -> Result<Vec<Point>, &'static str> {
    let origins = Origins { config, resources };
    let mut points = Points {
        metric,
        origins: &origins,
        points: Vec::new(),
    };
    points.add()?;
    if points.points.is_empty() {
        return Err("a value that is no finite number");
    }
    Ok(points.points)
}

/// The body of a request of counts and gauges.
#[must_use]
pub fn series_request(seconds: &[Second], version: SeriesVersion) -> JsonText {
    request(seconds, |text, first, series| {
        let points = series.iter().filter_map(|one| match one.amount {
            Amount::Count(value) | Amount::Gauge { value, .. } => Some((one.second, value)),
            Amount::Distribution(_) => None,
        });
        let series = Series {
            metric: &first.name.metric,
            series_type: match first.name.kind {
                Kind::Count => SeriesType::Count,
                Kind::Gauge | Kind::Distribution => SeriesType::Gauge,
            },
            points: points.collect(),
            tags: &first.name.tags,
            unit: first.unit.as_deref(),
        };
        series.write(text, version);
    })
}

/// The body of a request of distributions.
#[must_use]
pub fn distributions_request(seconds: &[Second]) -> JsonText {
    request(seconds, |text, first, series| {
        let points = series.iter().filter_map(|one| match &one.amount {
            Amount::Distribution(values) => Some((one.second, values.as_slice())),
            Amount::Count(_) | Amount::Gauge { .. } => None,
        });
        let distribution = Distribution {
            metric: &first.name.metric,
            points: points.collect(),
            tags: &first.name.tags,
        };
        distribution.write(text);
    })
}

/// Seconds of a series are beside each other.
fn request(seconds: &[Second], write: impl Fn(&mut JsonText, &Second, &[Second])) -> JsonText {
    let series: Vec<&[Second]> = seconds.chunk_by(|a, b| a.name == b.name).collect();
    let mut text = JsonText::with_capacity(series.len() * 256);
    text.raw("{\"series\":");
    text.array(series, |text, series| {
        if let [first, ..] = series {
            write(text, first, series);
        }
    });
    text.raw("}");
    text
}

struct Points<'a> {
    metric: &'a Metric,
    origins: &'a Origins<'a>,
    points: Vec<Point>,
}

impl Points<'_> {
    fn add(&mut self) -> Result<(), &'static str> {
        match &self.metric.value {
            MetricValue::Single(one) => match one.instrument {
                Instrument::Counter => self.count("", one.value),
                Instrument::Gauge => self.gauge("", one.value, None),
                Instrument::Histogram => {
                    self.push("", one.value, None, Amount::Distribution(vec![one.value]));
                }
            },
            MetricValue::Gauge(number) => self.gauge("", float(*number), None),
            MetricValue::Sum(sum) => self.sum(*sum)?,
            MetricValue::Histogram(point) => {
                let facts = [point.min, point.max, point.sum];
                self.aggregate(point.temporality, point.count, facts)?;
            }
            MetricValue::ExponentialHistogram(point) => {
                let facts = [point.min, point.max, point.sum];
                self.aggregate(point.temporality, point.count, facts)?;
            }
            MetricValue::Summary(summary) => {
                for quantile in &summary.quantiles {
                    let tag = format!("quantile:{}", quantile.quantile);
                    self.gauge(".quantile", quantile.value, Some(tag));
                }
                self.gauge(".count", summary.count as f64, None);
                self.gauge(".sum", summary.sum, None);
            }
        }
        Ok(())
    }

    fn sum(&mut self, sum: SumPoint) -> Result<(), &'static str> {
        let value = float(sum.value);
        match (sum.temporality, sum.is_monotonic) {
            (Temporality::Delta, _) => self.count("", value),
            (_, true) => return Err(CUMULATIVE),
            (_, false) => self.gauge("", value, None),
        }
        Ok(())
    }

    /// Counted elsewhere: the values themselves are gone, what is left are how many, their sum and their ends.
    fn aggregate(
        &mut self,
        temporality: Temporality,
        count: u64,
        [min, max, sum]: [Option<f64>; 3],
    ) -> Result<(), &'static str> {
        if temporality != Temporality::Delta {
            return Err(CUMULATIVE);
        }
        for (suffix, end) in [(".min", min), (".max", max)] {
            if let Some(value) = end {
                self.gauge(suffix, value, None);
            }
        }
        if let Some(sum) = sum {
            self.count(".sum", sum);
        }
        self.count(".count", count as f64);
        Ok(())
    }

    fn count(&mut self, suffix: &str, value: f64) {
        self.push(suffix, value, None, Amount::Count(value));
    }

    fn gauge(&mut self, suffix: &str, value: f64, tag: Option<String>) {
        let at = self.metric.time;
        self.push(suffix, value, tag, Amount::Gauge { at, value });
    }

    fn push(&mut self, suffix: &str, value: f64, tag: Option<String>, amount: Amount) {
        if !value.is_finite() {
            return;
        }
        let kind = match amount {
            Amount::Count(_) => Kind::Count,
            Amount::Gauge { .. } => Kind::Gauge,
            Amount::Distribution(_) => Kind::Distribution,
        };
        let unit = self.metric.unit.as_deref().and_then(unit);
        self.points.push(Point {
            name: Name {
                kind,
                metric: format!("{}{suffix}", self.metric.name),
                tags: tags(self.metric, self.origins, tag),
            },
            unit: unit.filter(|_| !kind.is_distribution()).map(str::to_owned),
            second: self.metric.time / NANOS_A_SECOND,
            amount,
        });
    }
}

const CUMULATIVE: &str = "a running total: Datadog takes what came since the last point";

fn float(number: MetricNumber) -> f64 {
    match number {
        MetricNumber::Integer(number) => number as f64,
        MetricNumber::Floating(number) => number,
    }
}

/// Labels, where it came from, and what it is about by name. Ids of traces, users and runs stay out: each value of a tag
/// is a custom metric that Datadog bills. Sorted: Datadog takes them as a set.
fn tags(metric: &Metric, origins: &Origins<'_>, tag: Option<String>) -> Vec<String> {
    let mut tags: Vec<String> = metric
        .labels
        .iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    if let Some(context) = &metric.correlation {
        for (key, value) in [
            ("entity_type", &context.entity.entity_type),
            ("entity_name", &context.entity.entity_name),
            ("parent_entity_name", &context.parent_entity.entity_name),
            ("root_entity_name", &context.root_entity.entity_name),
        ] {
            tags.extend(some_text(value.as_ref()).map(|value| format!("{key}:{value}")));
        }
    }
    if let Some(cost) = &metric.cost {
        for (key, value) in [("provider", &cost.provider), ("model", &cost.model)] {
            tags.extend(some_text(value.as_ref()).map(|value| format!("{key}:{value}")));
        }
    }
    tags.extend(tag);
    tags.extend(origins.tags(metric.resource_index));
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Datadog's name of a UCUM unit (docs: metrics units, read 2026-11).
fn unit(ucum: &str) -> Option<&str> {
    Some(match ucum {
        "ns" => "nanosecond",
        "us" => "microsecond",
        "ms" => "millisecond",
        "s" => "second",
        "min" => "minute",
        "h" => "hour",
        "By" => "byte",
        "%" => "percent",
        other => return other.strip_prefix('{')?.strip_suffix('}'),
    })
}

#[cfg(test)]
mod tests;
