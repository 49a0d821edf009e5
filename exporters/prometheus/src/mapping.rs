//! Aggregated points as families of samples: what both the page and remote write are made of. Pure: records in, text and
//! bytes out.

pub mod remote;
pub mod text;

use std::collections::BTreeMap;

use mastra_exporter_sdk::raw::{member, text as json_text};
use mastra_exporter_sdk::records::{
    EventResource, Exemplar, Metric, MetricBatch, MetricNumber, MetricValue,
};

use crate::config::DEFAULT_SERVICE_NAME;
use crate::wire::{label_name, metric_name, unit_suffix};

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Rises, and falls to zero at a restart.
    Counter,
    /// Any value.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    /// In a `# TYPE` line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// Label name and value.
pub type Label = (String, String);

/// One number.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// Behind the family's name.
    pub suffix: &'static str,
    /// `le` or `quantile`.
    pub own_label: Option<(&'static str, String)>,
    /// The number.
    pub value: f64,
    /// How one gets to a trace.
    pub exemplar: Option<&'a Exemplar>,
}

/// The samples of one set of labels.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Unix nanoseconds.
    pub time: u64,
    /// Unix nanoseconds; 0 is unknown.
    pub start: u64,
    /// What exemplars are divided by, as samples are already.
    pub divisor: f64,
    /// In the order of the format.
    pub samples: Vec<Sample<'a>>,
}

/// All series of a name.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// Without `_total`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// By labels.
    pub series: BTreeMap<Vec<Label>, Series<'a>>,
}

/// Points by name and kind. Two kinds of one name get their kind behind it; of two series with the same labels the newer
/// stays.
#[must_use]
pub fn families(batch: &MetricBatch) -> Vec<Family<'_>> {
    let mut families: BTreeMap<(String, Kind), Family<'_>> = BTreeMap::new();
    for metric in &batch.metrics {
        let divisor = divisor(metric);
        let Some((kind, samples)) = samples(metric, divisor) else {
            continue;
        };
        let name = name(metric);
        let index = metric
            .resource_index
            .and_then(|index| usize::try_from(index).ok());
        let resource = index.and_then(|index| batch.resources.get(index));
        let series = Series {
            labels: labels(metric, resource),
            time: metric.time,
            start: metric
                .otel
                .as_ref()
                .and_then(|otel| otel.start_time)
                .unwrap_or_default(),
            divisor,
            samples,
        };
        let family = families
            .entry((name.clone(), kind))
            .or_insert_with(|| Family {
                name,
                kind,
                series: BTreeMap::new(),
            });
        let newer = family
            .series
            .get(&series.labels)
            .is_none_or(|known| known.time <= series.time);
        if newer {
            family.series.insert(series.labels.clone(), series);
        }
    }
    let mut families: Vec<Family<'_>> = families.into_values().collect();
    let names: Vec<String> = families.iter().map(|family| family.name.clone()).collect();
    for family in &mut families {
        if names.iter().filter(|name| **name == family.name).count() > 1 {
            family.name = format!("{}_{}", family.name, family.kind.word());
        }
    }
    families
}

/// Milliseconds become seconds, which is Prometheus' unit of time.
fn divisor(metric: &Metric) -> f64 {
    let is_millis = metric.unit.as_deref() == Some("ms")
        || (metric.unit.is_none() && metric.name.ends_with("_ms"));
    if is_millis { 1_000.0 } else { 1.0 }
}

/// With the unit behind it, without `_total`, which is for samples of counters.
fn name(metric: &Metric) -> String {
    let plain = metric_name(&metric.name);
    let mut base = plain.strip_suffix("_total").unwrap_or(&plain);
    let unit = if divisor(metric) > 1.0 {
        base = base.strip_suffix("_ms").unwrap_or(base);
        Some("seconds".to_owned())
    } else {
        metric.unit.as_deref().and_then(unit_suffix)
    };
    match unit {
        Some(unit) if !base.ends_with(&format!("_{unit}")) => format!("{base}_{unit}"),
        _ => base.to_owned(),
    }
}

/// The point's labels, `job` and `instance`. Values of labels that come to the same name are joined.
fn labels(metric: &Metric, resource: Option<&EventResource>) -> Vec<Label> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in metric.labels.iter().filter(|(_, value)| !value.is_empty()) {
        labels
            .entry(label_name(name))
            .and_modify(|known| {
                known.push(';');
                known.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    let service = resource.and_then(|resource| resource.service_name.as_deref());
    labels
        .entry("job".to_owned())
        .or_insert_with(|| service.unwrap_or(DEFAULT_SERVICE_NAME).to_owned());
    let instance = resource
        .and_then(|resource| resource.attributes.as_deref())
        .and_then(|attributes| member(attributes, "service.instance.id"))
        .and_then(json_text);
    if let Some(instance) = instance {
        labels
            .entry("instance".to_owned())
            .or_insert_with(|| instance.into_owned());
    }
    labels.into_iter().collect()
}

pub(crate) const fn number(number: MetricNumber) -> f64 {
    match number {
        MetricNumber::Integer(number) => number as f64,
        MetricNumber::Floating(number) => number,
    }
}

const fn plain(suffix: &'static str, value: f64) -> Sample<'static> {
    Sample {
        suffix,
        own_label: None,
        value,
        exemplar: None,
    }
}

fn samples(metric: &Metric, divisor: f64) -> Option<(Kind, Vec<Sample<'_>>)> {
    let exemplar = metric.otel.as_ref().and_then(|otel| otel.exemplars.first());
    Some(match &metric.value {
        MetricValue::Sum(sum) if sum.is_monotonic => {
            let total = Sample {
                exemplar,
                ..plain("_total", number(sum.value) / divisor)
            };
            (Kind::Counter, vec![total])
        }
        MetricValue::Sum(sum) => (Kind::Gauge, vec![plain("", number(sum.value) / divisor)]),
        MetricValue::Gauge(value) => (Kind::Gauge, vec![plain("", number(*value) / divisor)]),
        MetricValue::Histogram(point) => {
            let mut below = 0_u64;
            let mut exemplar = exemplar;
            let bounds = point.bounds.iter();
            let bounds = bounds.map(|bound| ((bound / divisor).to_string(), *bound));
            let bounds = bounds.chain([("+Inf".to_owned(), f64::INFINITY)]);
            let without_buckets = [point.count];
            let counts = if point.bucket_counts.is_empty() {
                &without_buckets[..]
            } else {
                &point.bucket_counts
            };
            let mut samples: Vec<Sample<'_>> = bounds
                .zip(counts)
                .map(|((le, bound), count)| {
                    below = below.saturating_add(*count);
                    let is_here = exemplar.is_some_and(|found| number(found.value) <= bound);
                    Sample {
                        suffix: "_bucket",
                        own_label: Some(("le", le)),
                        value: below as f64,
                        exemplar: if is_here { exemplar.take() } else { None },
                    }
                })
                .collect();
            samples.push(plain("_sum", point.sum.unwrap_or(f64::NAN) / divisor));
            samples.push(plain("_count", point.count as f64));
            (Kind::Histogram, samples)
        }
        MetricValue::Summary(point) => {
            let quantiles = point.quantiles.iter().map(|value| Sample {
                own_label: Some(("quantile", value.quantile.to_string())),
                ..plain("", value.value / divisor)
            });
            let mut samples: Vec<Sample<'_>> = quantiles.collect();
            samples.push(plain("_sum", point.sum / divisor));
            samples.push(plain("_count", point.count as f64));
            (Kind::Summary, samples)
        }
        MetricValue::Single(_) | MetricValue::ExponentialHistogram(_) => return None,
    })
}
