//! One series: what it is known by, and what it holds.

use mastra_exporter_sdk::records::{
    Exemplar, HistogramPoint, Instrument, Metric, MetricNumber, MetricValue, SumPoint, Temporality,
};

/// What a series is known by, beside its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The metric's name.
    pub name: String,
    /// UCUM.
    pub unit: Option<String>,
    /// Which of the three, as a number that sorts.
    kind: u8,
    /// Index into the aggregator's own resources.
    pub resource: Option<u32>,
}

impl Name {
    pub(crate) fn of(metric: &Metric, instrument: Instrument, resource: Option<u32>) -> Self {
        Self {
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            kind: match instrument {
                Instrument::Counter => 0,
                Instrument::Gauge => 1,
                Instrument::Histogram => 2,
            },
            resource,
        }
    }
}

/// The labels of a measurement, sorted: its own, and those few of its context that name a bounded number of things.
#[must_use]
pub fn labels(metric: &Metric) -> Vec<(String, String)> {
    let mut labels = metric.labels.clone();
    let mut add = |key: &str, value: Option<&String>| {
        if let Some(value) = value.filter(|value| !value.is_empty())
            && !labels.iter().any(|(known, _)| known == key)
        {
            labels.push((key.to_owned(), value.clone()));
        }
    };
    if let Some(context) = &metric.correlation {
        add("mastra.entity.type", context.entity.entity_type.as_ref());
        add("mastra.entity.name", context.entity.entity_name.as_ref());
    }
    if let Some(cost) = &metric.cost {
        add("gen_ai.provider.name", cost.provider.as_ref());
        add("gen_ai.request.model", cost.model.as_ref());
    }
    labels.sort();
    labels
}

/// What a series holds.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// A sum that only rises.
    Counter(f64),
    /// The newest value, and when it was.
    Gauge(f64, u64),
    /// Values in buckets.
    Histogram(Buckets),
}

/// Values in buckets, with their extremes.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    counts: Vec<u64>,
}

impl Buckets {
    fn new(bounds: usize) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            counts: vec![0; bounds + 1],
        }
    }

    fn add(&mut self, value: f64, bounds: &[f64]) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // A bound belongs to the bucket below it.
        let place = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    fn point(&self, bounds: &[f64], temporality: Temporality) -> HistogramPoint {
        HistogramPoint {
            count: self.count,
            sum: Some(self.sum),
            min: Some(self.min),
            max: Some(self.max),
            bucket_counts: self.counts.clone(),
            bounds: bounds.to_vec(),
            temporality,
        }
    }
}

impl State {
    pub(crate) fn new(instrument: Instrument, bounds: usize) -> Self {
        match instrument {
            Instrument::Counter => Self::Counter(0.0),
            Instrument::Gauge => Self::Gauge(0.0, 0),
            Instrument::Histogram => Self::Histogram(Buckets::new(bounds)),
        }
    }

    pub(crate) fn add(&mut self, value: f64, time: u64, bounds: &[f64]) {
        match self {
            Self::Counter(sum) => *sum += value,
            Self::Gauge(newest, at) if time >= *at => {
                *newest = value;
                *at = time;
            }
            Self::Gauge(..) => {}
            Self::Histogram(buckets) => buckets.add(value, bounds),
        }
    }

    /// Gauges have no temporality and name the time of their value.
    pub(crate) const fn gauge_time(&self) -> Option<u64> {
        match self {
            Self::Gauge(_, at) => Some(*at),
            _ => None,
        }
    }

    pub(crate) fn value(&self, bounds: &[f64], temporality: Temporality) -> MetricValue {
        match self {
            Self::Counter(sum) => MetricValue::Sum(SumPoint {
                value: number(*sum),
                temporality,
                is_monotonic: true,
            }),
            Self::Gauge(value, _) => MetricValue::Gauge(number(*value)),
            Self::Histogram(buckets) => MetricValue::Histogram(buckets.point(bounds, temporality)),
        }
    }
}

/// Whole numbers that a double holds exactly are integers.
fn number(value: f64) -> MetricNumber {
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    if value.fract() == 0.0 && value.abs() <= MAX_SAFE_INTEGER {
        MetricNumber::Integer(value as i64)
    } else {
        MetricNumber::Floating(value)
    }
}

/// The measurement as an example of its series: how one gets from a metric to a trace.
pub(crate) fn exemplar(metric: &Metric, value: f64) -> Option<Exemplar> {
    metric.trace_id.as_ref().map(|trace_id| Exemplar {
        time: metric.time,
        value: number(value),
        trace_id: Some(trace_id.clone()),
        span_id: metric.span_id.clone(),
        filtered_attributes: None,
    })
}
