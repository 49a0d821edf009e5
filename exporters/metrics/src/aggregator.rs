//! All series, bounded: what is taken, what is due, what is settled.
//!
//! Delta: a series holds what has come since its last delivered point; a point spans from the end of the one before to
//! the newest observation, so that late deliveries keep their times. Cumulative: a series holds everything since it was
//! made, which is its start time; a restart makes it anew, which readers know as a reset. Points of OTLP senders are
//! aggregated already and pass through.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mastra_exporter_sdk::records::{
    EventResource, EventScope, Exemplar, Instrument, ItemResult, Metric, MetricBatch, MetricNumber,
    MetricValue, OtelMetric, Temporality,
};

use crate::series::{Name, State, exemplar, labels};

/// The label of the series that takes what no series is left for
/// (<https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute>).
pub const OVERFLOW: &str = "otel.metric.overflow";

/// A cumulative series that nothing was added to for so long goes.
const MAX_IDLE: Duration = Duration::from_secs(3_600);

/// How much is aggregated, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the backend needs.
    pub is_cumulative: bool,
    /// Upper bounds of the buckets of histograms, rising.
    pub bounds: Rc<[f64]>,
    /// Series beyond are counted in the overflow series of their metric.
    pub max_series: usize,
    /// Whether points of OTLP senders stay until newer ones come, for a page that shows the present. Else they pass.
    pub keeps_points: bool,
}

/// Upper bounds that suit durations in milliseconds and counts of tokens.
pub const DEFAULT_BOUNDS: [f64; 18] = [
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    25_000.0,
    50_000.0,
    100_000.0,
    250_000.0,
    500_000.0,
    1_000_000.0,
];

/// Series that are held when nothing else is said.
pub const DEFAULT_MAX_SERIES: usize = 10_000;

type Labels = Vec<(String, String)>;

#[derive(Clone, Debug)]
struct Series {
    state: State,
    /// When the next point starts.
    start: u64,
    /// Newest observation.
    newest: u64,
    /// When something was last added, by the host's clock.
    touched: u64,
    /// Observations that the host holds for it.
    tokens: Vec<u64>,
    exemplar: Option<Exemplar>,
}

/// A point that is due, and what the host holds for it.
#[derive(Clone, Debug)]
pub struct Due {
    /// Aggregated.
    pub metric: Metric,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// Of this series.
    Series(Name, Labels),
    /// Passed through, by its token.
    Passing(u64),
    /// Kept.
    Kept(KeptKey),
}

/// Name, labels and resource.
type KeptKey = (String, Labels, Option<u32>);

#[derive(Debug)]
struct Kept {
    metric: Metric,
    touched: u64,
    tokens: Vec<u64>,
}

/// Why a measurement is not taken.
enum Refusal {
    /// The backend has no place for such points.
    NoPlace(&'static str),
    /// Nothing can be made of it, or there is too much.
    Bad(&'static str),
}

/// The series of one exporter.
#[derive(Debug)]
pub struct Aggregator {
    options: Options,
    series: BTreeMap<Name, BTreeMap<Labels, Series>>,
    count: usize,
    resources: Vec<EventResource>,
    scopes: Vec<EventScope>,
    /// Points of OTLP senders that wait, by token.
    passing: BTreeMap<u64, Metric>,
    /// Points of OTLP senders that stay.
    kept: BTreeMap<KeptKey, Kept>,
    /// Given back to the host though they are added up, and what became of them since.
    given_back: BTreeMap<u64, Option<ItemResult>>,
}

impl Aggregator {
    /// Nothing yet.
    #[must_use]
    pub const fn new(options: Options) -> Self {
        Self {
            options,
            series: BTreeMap::new(),
            count: 0,
            resources: Vec::new(),
            scopes: Vec::new(),
            passing: BTreeMap::new(),
            kept: BTreeMap::new(),
            given_back: BTreeMap::new(),
        }
    }

    /// Takes a batch; one fate an item: held, or rejected or skipped with the reason. What was given back is not added up again.
    pub fn take(&mut self, batch: &MetricBatch, now: u64) -> Vec<ItemResult> {
        let tokens = batch.tokens.iter().copied();
        batch
            .metrics
            .iter()
            .zip(tokens)
            .map(|(metric, token)| {
                if let Some(fate) = self.given_back.remove(&token) {
                    return fate.unwrap_or(ItemResult::Held);
                }
                match self.take_one(batch, metric, token, now) {
                    Ok(()) => ItemResult::Held,
                    Err(Refusal::NoPlace(reason)) => ItemResult::Skipped(reason.to_owned()),
                    Err(Refusal::Bad(reason)) => ItemResult::Rejected(reason.to_owned()),
                }
            })
            .collect()
    }

    fn take_one(
        &mut self,
        batch: &MetricBatch,
        metric: &Metric,
        token: u64,
        now: u64,
    ) -> Result<(), Refusal> {
        let most = self.options.max_series;
        let resource = metric.resource_index;
        let resource = known(&mut self.resources, &batch.resources, resource, most)?;
        let Some((value, instrument)) = self.addend(&metric.value) else {
            return self.pass(batch, metric, (token, now), resource);
        };
        if !value.is_finite() {
            return Err(Refusal::Bad("a value that is no finite number"));
        }
        let name = Name::of(metric, instrument, resource);
        if self.series.len() >= self.options.max_series && !self.series.contains_key(&name) {
            return Err(Refusal::Bad("there are too many metrics"));
        }
        let state = State::new(instrument, self.options.bounds.len());
        if matches!(state, State::Counter(_)) && value < 0.0 {
            return Err(Refusal::Bad("a counter cannot fall"));
        }
        let start = if self.options.is_cumulative {
            now.saturating_sub(1)
        } else {
            metric.time.saturating_sub(1)
        };
        let bounds = Rc::clone(&self.options.bounds);
        let series = self.series_of(name, labels(metric), || Series {
            state,
            start,
            newest: 0,
            touched: now,
            tokens: Vec::new(),
            exemplar: None,
        });
        series.newest = series.newest.max(metric.time);
        series.touched = now;
        series.tokens.push(token);
        if let Some(exemplar) = exemplar(metric, value) {
            series.exemplar = Some(exemplar);
        }
        series.state.add(value, metric.time, &bounds);
        Ok(())
    }

    /// What is added to a series; `None` for what is aggregated already.
    fn addend(&self, value: &MetricValue) -> Option<(f64, Instrument)> {
        match value {
            MetricValue::Single(one) => Some((one.value, one.instrument)),
            MetricValue::Sum(sum)
                if self.options.is_cumulative
                    && sum.is_monotonic
                    && sum.temporality == Temporality::Delta =>
            {
                let value = match sum.value {
                    MetricNumber::Integer(number) => number as f64,
                    MetricNumber::Floating(number) => number,
                };
                Some((value, Instrument::Counter))
            }
            _ => None,
        }
    }

    /// The series of these labels, or its metric's overflow when there are too many.
    fn series_of(
        &mut self,
        name: Name,
        labels: Labels,
        make: impl FnOnce() -> Series,
    ) -> &mut Series {
        let is_full = self.count >= self.options.max_series;
        let of_name = self.series.entry(name).or_default();
        let labels = if is_full && !of_name.contains_key(&labels) {
            vec![(OVERFLOW.to_owned(), "true".to_owned())]
        } else {
            labels
        };
        self.count += usize::from(!of_name.contains_key(&labels));
        of_name.entry(labels).or_insert_with(make)
    }

    /// Points that are aggregated already wait for the next flush as they are.
    fn pass(
        &mut self,
        batch: &MetricBatch,
        metric: &Metric,
        (token, now): (u64, u64),
        resource: Option<u32>,
    ) -> Result<(), Refusal> {
        let temporality = match &metric.value {
            MetricValue::Sum(sum) => sum.temporality,
            MetricValue::Histogram(point) => point.temporality,
            MetricValue::ExponentialHistogram(point) => point.temporality,
            _ => Temporality::Cumulative,
        };
        if self.options.is_cumulative && temporality != Temporality::Cumulative {
            return Err(Refusal::NoPlace(
                "a point that is no running total: this backend takes only those",
            ));
        }
        let mut metric = metric.clone();
        metric.resource_index = resource;
        if let Some(otel) = &mut metric.otel {
            let most = self.options.max_series;
            otel.scope_index = known(&mut self.scopes, &batch.scopes, otel.scope_index, most)?;
        }
        if self.options.keeps_points {
            self.keep(metric, token, now)
        } else {
            self.passing.insert(token, metric);
            Ok(())
        }
    }

    /// The newest point of its name, labels and resource stays.
    fn keep(&mut self, metric: Metric, token: u64, now: u64) -> Result<(), Refusal> {
        if matches!(metric.value, MetricValue::ExponentialHistogram(_)) {
            return Err(Refusal::NoPlace(
                "an exponential histogram: a page has fixed buckets only",
            ));
        }
        let mut sorted = metric.labels.clone();
        sorted.sort();
        let key = (metric.name.clone(), sorted, metric.resource_index);
        if self.kept.len() >= self.options.max_series && !self.kept.contains_key(&key) {
            return Err(Refusal::Bad("there are too many series"));
        }
        let kept = self.kept.entry(key).or_insert_with(|| Kept {
            metric: metric.clone(),
            touched: now,
            tokens: Vec::new(),
        });
        kept.touched = now;
        kept.tokens.push(token);
        if metric.time >= kept.metric.time {
            kept.metric = metric;
        }
        Ok(())
    }

    /// What came from where, for [`Due::metric`]'s indices.
    #[must_use]
    pub fn origins(&self) -> (&[EventResource], &[EventScope]) {
        (&self.resources, &self.scopes)
    }

    /// The points that are to be sent: of deltas those with something in them, of totals all, of kept points the new ones.
    pub fn due(&mut self, now: u64) -> Vec<Due> {
        self.points(now, |kept| !kept.tokens.is_empty())
    }

    /// The present, for a page.
    pub fn present(&mut self, now: u64) -> Vec<Due> {
        self.points(now, |_| true)
    }

    fn points(&mut self, now: u64, is_wanted: impl Fn(&Kept) -> bool) -> Vec<Due> {
        self.forget_idle(now);
        let temporality = if self.options.is_cumulative {
            Temporality::Cumulative
        } else {
            Temporality::Delta
        };
        let passing = self.passing.iter().map(|(token, metric)| Due {
            metric: metric.clone(),
            source: Source::Passing(*token),
        });
        let kept = self.kept.iter().filter(|(_, kept)| is_wanted(kept));
        let kept = kept.map(|(key, kept)| Due {
            metric: kept.metric.clone(),
            source: Source::Kept(key.clone()),
        });
        let mut due: Vec<Due> = passing.chain(kept).collect();
        for (name, of_name) in &self.series {
            for (labels, series) in of_name {
                if series.tokens.is_empty() && !self.options.is_cumulative {
                    continue;
                }
                let time = if self.options.is_cumulative {
                    now
                } else {
                    series.state.gauge_time().unwrap_or(series.newest)
                };
                due.push(Due {
                    metric: point(
                        (name, labels),
                        time.max(series.start + 1),
                        series,
                        series.state.value(&self.options.bounds, temporality),
                    ),
                    source: Source::Series(name.clone(), labels.clone()),
                });
            }
        }
        due
    }

    /// Everything that the host holds here, for it to give again. It stays added up.
    pub fn give_back(&mut self) -> Vec<u64> {
        let of_series = self.series.values().flat_map(BTreeMap::values);
        let of_series = of_series.flat_map(|series| &series.tokens);
        let of_kept = self.kept.values().flat_map(|kept| &kept.tokens);
        let held = self.passing.keys().chain(of_kept).chain(of_series);
        let held = held.filter(|token| !self.given_back.contains_key(token));
        let held: Vec<u64> = held.copied().collect();
        self.given_back
            .extend(held.iter().map(|token| (*token, None)));
        held
    }

    /// The backend has these points, or will never have them: deltas start anew. Returns what the host holds for them; it
    /// is told of what it was given back when it gives that again.
    pub fn settle(&mut self, points: &[Due], fate: &ItemResult) -> Vec<u64> {
        let mut settled = Vec::new();
        for point in points {
            match &point.source {
                Source::Passing(token) => {
                    self.passing.remove(token);
                    settled.push(*token);
                }
                Source::Kept(key) => {
                    if let Some(kept) = self.kept.get_mut(key) {
                        settled.append(&mut kept.tokens);
                    }
                }
                Source::Series(name, labels) => {
                    let of_name = self.series.get_mut(name);
                    if let Some(series) = of_name.and_then(|of_name| of_name.get_mut(labels)) {
                        settled.append(&mut series.tokens);
                        if !self.options.is_cumulative {
                            series.restart(point.metric.time, self.options.bounds.len());
                        }
                    }
                }
            }
        }
        settled.retain(|token| {
            let given_back = self.given_back.get_mut(token);
            given_back.map(|it| *it = Some(fate.clone())).is_none()
        });
        settled
    }

    /// Series without anything in them go after a while.
    fn forget_idle(&mut self, now: u64) {
        let horizon = now.saturating_sub(u64::try_from(MAX_IDLE.as_nanos()).unwrap_or(u64::MAX));
        for of_name in self.series.values_mut() {
            of_name.retain(|_, series| !series.tokens.is_empty() || series.touched >= horizon);
        }
        self.series.retain(|_, of_name| !of_name.is_empty());
        self.kept
            .retain(|_, kept| !kept.tokens.is_empty() || kept.touched >= horizon);
        self.count = self.series.values().map(BTreeMap::len).sum();
        if self.count == 0 && self.kept.is_empty() && self.passing.is_empty() {
            self.resources.clear();
            self.scopes.clear();
        }
    }
}

impl Series {
    /// Begins the next delta where this one ends.
    fn restart(&mut self, end: u64, bounds: usize) {
        let instrument = match self.state {
            State::Counter(_) => Instrument::Counter,
            State::Gauge(..) => Instrument::Gauge,
            State::Histogram(_) => Instrument::Histogram,
        };
        self.state = State::new(instrument, bounds);
        self.start = end;
        self.exemplar = None;
    }
}

fn point(
    (name, labels): (&Name, &Labels),
    time: u64,
    series: &Series,
    value: MetricValue,
) -> Metric {
    let is_gauge = matches!(value, MetricValue::Gauge(_));
    Metric {
        metric_id: String::new(),
        time,
        trace_id: None,
        span_id: None,
        name: name.name.clone(),
        value,
        unit: name.unit.clone(),
        labels: labels.clone(),
        correlation: None,
        cost: None,
        metadata: None,
        resource_index: name.resource,
        otel: Some(OtelMetric {
            description: None,
            start_time: (!is_gauge).then_some(series.start),
            exemplars: series.exemplar.iter().cloned().collect(),
            metadata: None,
            attributes: None,
            flags: 0,
            scope_index: None,
        }),
        extra: None,
    }
}

/// The index of a batch's value among ours; it is kept when it is new.
fn known<T: Clone + PartialEq>(
    ours: &mut Vec<T>,
    batch: &[T],
    index: Option<u32>,
    most: usize,
) -> Result<Option<u32>, Refusal> {
    let index = index.and_then(|index| usize::try_from(index).ok());
    let Some(value) = index.and_then(|index| batch.get(index)) else {
        return Ok(None);
    };
    let place = match ours.iter().position(|known| known == value) {
        Some(place) => place,
        None if ours.len() >= most => {
            return Err(Refusal::Bad("there are too many resources or scopes"));
        }
        None => {
            ours.push(value.clone());
            ours.len() - 1
        }
    };
    Ok(u32::try_from(place).ok())
}
