//! Traces that are put together for a component that wants them whole: which spans wait for which root, and what may go.
//! Pure bookkeeping; the events themselves stay in the queue, taken.
//!
//! A trace may go when its root has ended, when it has waited as long as the component allows, or when it has as many
//! spans as the component allows or [`MAX_TRACE_BYTES`]. It goes at once, or waits for company as long as any small batch
//! does; complete traces share a batch as long as they fit, and none is cut that fits one. One that fits none goes in
//! parts, parents before children; what comes later, comes with its ancestors ([`Ancestors`]).
//!
//! Bounds: [`MAX_SPANS`] spans and [`MAX_BYTES`] of events; beyond them the trace that is due next goes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ancestors::Ancestors;
use super::batch::BatchLimits;
use super::shaping::Shaping;
use super::source::Tokens;
use crate::event::{EventKind, decode};
use crate::plugin::guest::{BatchItem, SpanAncestor};

/// Spans that wait for their roots, in all traces of an exporter; some 300 bytes of memory each.
const MAX_SPANS: usize = 100_000;

/// Bytes of the events that wait so. They stay in the log: a sixteenth of its bound by default.
const MAX_BYTES: usize = 128 << 20;

/// Bytes of events with which an unfinished trace goes. More than a batch, since a trace that goes before its root has
/// its spans in the wrong places at some backends, and waiting costs little.
const MAX_TRACE_BYTES: usize = 32 << 20;

/// The skeletons of a batch's spans, by token.
pub(crate) type Shape = HashMap<u64, Arc<SpanAncestor>>;

/// Spans that are to go together, parents first.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) tokens: Vec<u64>,
    /// Spans of their traces that the component does not get.
    pub(crate) left_out: Vec<u64>,
    pub(crate) shape: Shape,
}

impl Group {
    fn len(&self) -> usize {
        self.tokens.len() + self.left_out.len()
    }
}

#[derive(Debug)]
struct Part {
    token: u64,
    bytes: usize,
    span: Arc<SpanAncestor>,
    is_end_of_root: bool,
    is_left_out: bool,
}

#[derive(Debug)]
struct Trace {
    parts: Vec<Part>,
    bytes: usize,
    is_complete: bool,
    /// Its place in the order of going.
    due: (Instant, u64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Groups {
    max_wait: Duration,
    /// Of one trace.
    max_spans: usize,
    /// Of one trace.
    max_bytes: usize,
    limits: BatchLimits,
    traces: HashMap<Arc<str>, Trace>,
    order: BTreeMap<(Instant, u64), Arc<str>>,
    spans: usize,
    bytes: usize,
    /// Of complete traces.
    complete: (usize, usize),
    ancestors: Ancestors,
    next_number: u64,
}

impl Groups {
    pub(crate) fn new(max_wait: Duration, max_spans: usize, limits: BatchLimits) -> Self {
        Self {
            max_wait,
            max_spans: max_spans.max(1),
            max_bytes: MAX_TRACE_BYTES,
            limits,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            spans: 0,
            bytes: 0,
            complete: (0, 0),
            ancestors: Ancestors::default(),
            next_number: 0,
        }
    }

    /// Whether nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Whether a trace waits that need not wait for more of its spans.
    pub(crate) const fn has_complete(&self) -> bool {
        self.complete.0 > 0
    }

    /// Whether no more may be added now.
    pub(crate) const fn is_full(&self) -> bool {
        self.spans >= MAX_SPANS || self.bytes >= MAX_BYTES
    }

    /// Adds an event fresh from the queue; `is_left_out`: the component does not get it, but the trace has it.
    pub(crate) fn add(&mut self, item: &BatchItem, is_left_out: bool, now: Instant) {
        let part = part(item, is_left_out);
        let trace_id = Arc::clone(&part.span.trace_id);
        // What nobody can read waits for nothing.
        let is_end =
            part.is_end_of_root || trace_id.is_empty() || self.ancestors.is_complete(&trace_id);
        self.next_number += 1;
        let number = self.next_number;
        let trace = self.traces.entry(Arc::clone(&trace_id)).or_insert_with(|| {
            let due = (now + self.max_wait, number);
            self.order.insert(due, trace_id);
            Trace {
                parts: Vec::new(),
                bytes: 0,
                is_complete: false,
                due,
            }
        });
        trace.bytes += part.bytes;
        self.spans += 1;
        self.bytes += part.bytes;
        if trace.is_complete {
            self.complete.0 += 1;
            self.complete.1 += part.bytes;
        }
        trace.parts.push(part);
        let is_over = trace.parts.len() >= self.max_spans || trace.bytes >= self.max_bytes;
        if (is_end || is_over) && !trace.is_complete {
            trace.is_complete = true;
            self.complete.0 += trace.parts.len();
            self.complete.1 += trace.bytes;
            let wait = if is_over {
                Duration::ZERO
            } else {
                self.limits.max_age
            };
            let due = (trace.due.0.min(now + wait), trace.due.1);
            if let Some(trace_id) = self.order.remove(&trace.due) {
                self.order.insert(due, trace_id);
            }
            trace.due = due;
        }
    }

    /// When the next traces are to go; `None` while nothing waits. `is_end`: no more spans will come.
    pub(crate) fn due(&self, is_end: bool, now: Instant) -> Option<Instant> {
        let (first, _) = *self.order.first_key_value()?.0;
        let has_batch =
            self.complete.0 >= self.limits.max_items || self.complete.1 >= self.limits.max_bytes;
        Some(if is_end || has_batch || self.is_full() {
            now.min(first)
        } else {
            first
        })
    }

    /// The traces that go next, up to a full batch: the one that is due first, and what else is complete or due.
    /// `shaping` finds parents for the children of spans that are left out.
    pub(crate) fn take(&mut self, is_end: bool, shaping: &dyn Shaping, now: Instant) -> Group {
        let mut group = Group::default();
        let mut bytes = 0;
        let all = is_end || self.is_full();
        while let Some(trace_id) = self.next(all, now) {
            let Some(trace) = self.traces.get(&trace_id) else {
                break;
            };
            let fits = group.len() + trace.parts.len() <= self.limits.max_items
                && bytes + trace.bytes <= self.limits.max_bytes;
            if !fits && group.len() > 0 {
                break;
            }
            bytes += self.go(&trace_id, shaping, &mut group);
        }
        group
    }

    /// The trace that goes next.
    fn next(&self, all: bool, now: Instant) -> Option<Arc<str>> {
        let may_go = |(due, trace_id): &(&(Instant, u64), &Arc<str>)| {
            let trace = || self.traces.get(*trace_id);
            all || due.0 <= now || trace().is_some_and(|trace| trace.is_complete)
        };
        let next = self.order.iter().find(may_go);
        next.map(|(_, trace_id)| Arc::clone(trace_id))
    }

    /// Moves a trace to the batch, or as much of it as one may have. Returns its bytes.
    fn go(&mut self, trace_id: &Arc<str>, shaping: &dyn Shaping, group: &mut Group) -> usize {
        let Some(mut trace) = self.traces.remove(trace_id) else {
            return 0;
        };
        self.order.remove(&trace.due);
        parents_first(&mut trace.parts);
        let mut bytes = 0;
        let mut fits = |(position, part): (usize, &Part)| {
            bytes += part.bytes;
            position == 0 || (position < self.limits.max_items && bytes <= self.limits.max_bytes)
        };
        let count = trace
            .parts
            .iter()
            .enumerate()
            .take_while(|it| fits(*it))
            .count();
        let rest = trace.parts.split_off(count);
        let gone: usize = trace.parts.iter().map(|part| part.bytes).sum();
        self.spans -= count;
        self.bytes -= gone;
        if trace.is_complete {
            self.complete.0 -= count;
            self.complete.1 -= gone;
        }
        let is_complete = trace.parts.iter().any(|part| part.is_end_of_root);
        let (left_out, mut kept): (Vec<Part>, Vec<Part>) =
            trace.parts.into_iter().partition(|part| part.is_left_out);
        for part in &mut kept {
            shaping.adopt(Arc::make_mut(&mut part.span));
        }
        let spans = kept.iter().map(|part| &part.span);
        self.ancestors.remember(trace_id, spans, is_complete);
        group
            .left_out
            .extend(left_out.iter().map(|part| part.token));
        for part in kept {
            group.tokens.push(part.token);
            group.shape.insert(part.token, part.span);
        }
        if !rest.is_empty() {
            self.order.insert(trace.due, Arc::clone(trace_id));
            let trace = Trace {
                parts: rest,
                bytes: trace.bytes - gone,
                ..trace
            };
            self.traces.insert(Arc::clone(trace_id), trace);
        }
        gone
    }

    /// The known ancestors of the spans of a batch that are not in it.
    pub(crate) fn ancestors(&self, items: &[BatchItem], shape: &Shape) -> Vec<SpanAncestor> {
        let spans: Vec<_> = items
            .iter()
            .filter_map(|item| shape.get(&item.token))
            .collect();
        self.ancestors.of(&spans)
    }

    /// Lets go of everything.
    pub(crate) fn drain(&mut self) -> Vec<Tokens> {
        self.order.clear();
        (self.spans, self.bytes, self.complete) = (0, 0, (0, 0));
        let traces = self.traces.drain();
        let mut tokens: Vec<u64> = traces
            .flat_map(|(_, trace)| trace.parts)
            .map(|part| part.token)
            .collect();
        tokens.sort_unstable();
        Tokens::runs(tokens)
    }
}

fn part(item: &BatchItem, is_left_out: bool) -> Part {
    let event = &item.event;
    let text = decode::utf8(&event.payload).unwrap_or_default();
    let (span, is_end_of_root) = match decode::span(event.kind, text) {
        Ok(span) => (
            SpanAncestor {
                trace_id: (&*span.trace_id).into(),
                span_id: (&*span.span_id).into(),
                parent_span_id: span.parent_span_id.as_deref().map(Into::into),
                name: (&*span.name).into(),
                start_time: span.start_time,
            },
            span.is_root && event.kind == EventKind::SpanEnded,
        ),
        // Receivers have decoded it before. The engine rejects it in its place.
        Err(_) => (SpanAncestor::default(), true),
    };
    Part {
        token: item.token,
        bytes: event.size_bytes(),
        span: Arc::new(span),
        is_end_of_root,
        is_left_out,
    }
}

/// By depth, then by start, then as received; what is its own ancestor counts as a root.
fn parents_first(parts: &mut [Part]) {
    let parents: HashMap<&str, Option<&str>> = parts
        .iter()
        .map(|part| (&*part.span.span_id, part.span.parent_span_id.as_deref()))
        .collect();
    let mut depths: HashMap<&str, usize> = HashMap::with_capacity(parents.len());
    for &span in parents.keys() {
        let mut path = vec![span];
        let mut known = None;
        while let Some(parent) = path
            .last()
            .and_then(|last| parents.get(last).copied().flatten())
        {
            known = depths.get(parent).copied();
            if known.is_some() || !parents.contains_key(parent) || path.len() > parents.len() {
                break;
            }
            path.push(parent);
        }
        let top = known.map_or(0, |depth| depth + 1);
        for (depth, span) in (top..).zip(path.into_iter().rev()) {
            depths.entry(span).or_insert(depth);
        }
    }
    let mut keys: HashMap<u64, (usize, u64, u64)> = HashMap::with_capacity(parts.len());
    for part in parts.iter() {
        let depth = depths.get(&*part.span.span_id).copied().unwrap_or(0);
        keys.insert(part.token, (depth, part.span.start_time, part.token));
    }
    parts.sort_unstable_by_key(|part| keys.get(&part.token).copied());
}

#[cfg(test)]
mod tests;
