//! Measurements as counts, gauges and distributions. Datadog keeps the last point that it gets for a metric, its tags
//! and a second, so that the points of a batch are put together by the second first.

use std::collections::BTreeMap;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{
    Instrument, Metric, MetricBatch, MetricNumber, MetricValue, SumPoint, Temporality,
};

use super::{Origins, some_text};
use crate::config::Config;
use crate::wire::{Distribution, Series, SeriesType};

const NANOS_A_SECOND: u64 = 1_000_000_000;

/// Which request a measurement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Counts and gauges.
    Series,
    /// Raw values.
    Distributions,
    /// None, for this reason.
    Nowhere(&'static str),
}

/// A metric, its tags and its unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    metric: String,
    tags: Vec<String>,
    unit: Option<String>,
}

/// Values by second.
type Seconds<T> = BTreeMap<u64, T>;

/// The points of a batch, put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    counts: BTreeMap<Key, Seconds<f64>>,
    gauges: BTreeMap<Key, Seconds<(u64, f64)>>,
    distributions: BTreeMap<Key, Seconds<Vec<f64>>>,
    places: Vec<Place>,
}

/// Puts the measurements of a batch together.
#[must_use]
pub fn points(batch: &MetricBatch, config: &Config) -> Points {
    let origins = Origins {
        config,
        resources: &batch.resources,
    };
    let mut points = Points::default();
    for metric in &batch.metrics {
        let place = points.add(metric, &origins);
        points.places.push(place);
    }
    points
}

impl Points {
    /// Where each measurement of the batch is, in order.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The body of the series request.
    #[must_use]
    pub fn series_request(&self) -> JsonText {
        let counts = self.counts.iter().map(|(key, seconds)| {
            let points = seconds.iter().map(|(second, sum)| (*second, *sum));
            (key, SeriesType::Count, points.collect())
        });
        let gauges = self.gauges.iter().map(|(key, seconds)| {
            let points = seconds.iter().map(|(second, (_, last))| (*second, *last));
            (key, SeriesType::Gauge, points.collect())
        });
        let all: Vec<_> = counts.chain(gauges).map(series).collect();
        request(&all, |text, series| series.write(text))
    }

    /// The body of the distribution request.
    #[must_use]
    pub fn distributions_request(&self) -> JsonText {
        let all: Vec<_> = self
            .distributions
            .iter()
            .map(|(key, seconds)| Distribution {
                metric: &key.metric,
                points: seconds
                    .iter()
                    .map(|(second, values)| (*second, values.as_slice()))
                    .collect(),
                tags: &key.tags,
            })
            .collect();
        request(&all, |text, distribution| distribution.write(text))
    }

    fn add(&mut self, metric: &Metric, origins: &Origins<'_>) -> Place {
        match &metric.value {
            MetricValue::Single(observation) if !observation.value.is_finite() => NOT_A_NUMBER,
            MetricValue::Single(observation) => match observation.instrument {
                Instrument::Counter => self.count(metric, "", observation.value, origins),
                Instrument::Gauge => self.gauge(metric, "", observation.value, origins, None),
                Instrument::Histogram => {
                    let key = key(metric, "", origins, None);
                    let seconds = self.distributions.entry(key).or_default();
                    seconds
                        .entry(metric.time / NANOS_A_SECOND)
                        .or_default()
                        .push(observation.value);
                    Place::Distributions
                }
            },
            MetricValue::Gauge(number) => self.gauge(metric, "", float(*number), origins, None),
            MetricValue::Sum(sum) => self.sum(metric, *sum, origins),
            MetricValue::Histogram(point) => {
                let facts = [point.min, point.max, point.sum];
                self.aggregate(metric, point.temporality, point.count, facts, origins)
            }
            MetricValue::ExponentialHistogram(point) => {
                let facts = [point.min, point.max, point.sum];
                self.aggregate(metric, point.temporality, point.count, facts, origins)
            }
            MetricValue::Summary(summary) => {
                for quantile in &summary.quantiles {
                    let tag = format!("quantile:{}", quantile.quantile);
                    self.gauge(metric, ".quantile", quantile.value, origins, Some(tag));
                }
                self.gauge(metric, ".count", summary.count as f64, origins, None);
                self.gauge(metric, ".sum", summary.sum, origins, None)
            }
        }
    }

    fn sum(&mut self, metric: &Metric, sum: SumPoint, origins: &Origins<'_>) -> Place {
        let value = float(sum.value);
        match (sum.temporality, sum.is_monotonic) {
            (Temporality::Delta, _) => self.count(metric, "", value, origins),
            (_, true) => CUMULATIVE,
            (_, false) => self.gauge(metric, "", value, origins, None),
        }
    }

    /// Counted elsewhere: the values themselves are gone, what is left are how many, their sum and their ends.
    fn aggregate(
        &mut self,
        metric: &Metric,
        temporality: Temporality,
        count: u64,
        [min, max, sum]: [Option<f64>; 3],
        origins: &Origins<'_>,
    ) -> Place {
        if temporality != Temporality::Delta {
            return CUMULATIVE;
        }
        for (suffix, end) in [(".min", min), (".max", max)] {
            if let Some(value) = end {
                self.gauge(metric, suffix, value, origins, None);
            }
        }
        if let Some(sum) = sum {
            self.count(metric, ".sum", sum, origins);
        }
        self.count(metric, ".count", count as f64, origins)
    }

    fn count(&mut self, metric: &Metric, suffix: &str, value: f64, origins: &Origins<'_>) -> Place {
        if !value.is_finite() {
            return NOT_A_NUMBER;
        }
        let seconds = self
            .counts
            .entry(key(metric, suffix, origins, None))
            .or_default();
        *seconds.entry(metric.time / NANOS_A_SECOND).or_default() += value;
        Place::Series
    }

    fn gauge(
        &mut self,
        metric: &Metric,
        suffix: &str,
        value: f64,
        origins: &Origins<'_>,
        tag: Option<String>,
    ) -> Place {
        if !value.is_finite() {
            return NOT_A_NUMBER;
        }
        let seconds = self
            .gauges
            .entry(key(metric, suffix, origins, tag))
            .or_default();
        let last = seconds
            .entry(metric.time / NANOS_A_SECOND)
            .or_insert((0, value));
        if metric.time >= last.0 {
            *last = (metric.time, value);
        }
        Place::Series
    }
}

const NOT_A_NUMBER: Place = Place::Nowhere("a value that is no finite number");
const CUMULATIVE: Place =
    Place::Nowhere("a running total: Datadog takes what came since the last point");

fn series((key, series_type, points): (&Key, SeriesType, Vec<(u64, f64)>)) -> Series<'_> {
    Series {
        metric: &key.metric,
        series_type,
        points,
        tags: &key.tags,
        unit: key.unit.as_deref(),
    }
}

fn request<T>(all: &[T], write: impl Fn(&mut JsonText, &T)) -> JsonText {
    let mut text = JsonText::with_capacity(all.len() * 256);
    text.raw("{\"series\":");
    text.array(all, |text, item| write(text, item)).raw("}");
    text
}

fn float(number: MetricNumber) -> f64 {
    match number {
        MetricNumber::Integer(number) => number as f64,
        MetricNumber::Floating(number) => number,
    }
}

/// Labels, where it came from, and what it is about by name. Ids of traces, users and runs stay out: each value of a tag
/// is a custom metric that Datadog bills.
fn key(metric: &Metric, suffix: &str, origins: &Origins<'_>, tag: Option<String>) -> Key {
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
    Key {
        metric: format!("{}{suffix}", metric.name),
        tags,
        unit: metric.unit.as_deref().and_then(unit).map(str::to_owned),
    }
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
