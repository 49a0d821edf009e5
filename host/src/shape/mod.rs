//! How one exporter gets its events: which span types and log levels, which share of the traces, without credentials,
//! without endless texts. Stands between `route` and `deliver`, which asks it through [`Shaping`].
//!
//! Pure: no I/O, no clock. What is queued, and what a dead letter keeps, is the event as it came.
//!
//! - *Sampling* decides by the trace's id ([`sample`]): spans, logs, scores and feedback of a trace share its fate, so that
//!   no backend gets a score of a trace that it does not have. What names no trace is kept. Metrics are never sampled:
//!   sums over a sample are wrong.
//! - *Span types*: children of a dropped span get the nearest kept ancestor for a parent, as far as it is known. Senders
//!   give children before their parents, so exporters with such a filter get whole traces (`deliver::groups`), unless the
//!   operator wants no waiting; then a parent is known from the same batch or an earlier one. [`lineage`] has the bound.
//!   A child whose dropped parent is not known keeps that parent's id.
//! - *Redaction* and *truncation* change texts of free form, never ids.

mod edit;
mod head;
mod lineage;
mod parent;
mod redact;
mod sample;
#[cfg(test)]
mod tests;
mod truncate;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::shape::{NameFilter, Shape};
use crate::deliver::shaping::{ShapeCounts, Shaping, Verdict};
use crate::event::decode::utf8;
use crate::event::{Event, EventKind, Signal};
use crate::plugin::guest::{BatchItem, SpanAncestor};

use head::Head;
use lineage::{Lineage, NewParent};
pub use redact::Redactor;
use sample::Sampler;

/// Shapes the events of one exporter.
pub struct Shaper {
    span_types: Option<NameFilter>,
    log_levels: Option<NameFilter>,
    sampler: Sampler,
    redactor: Redactor,
    max_string_bytes: Option<usize>,
    lineage: Lineage,
    counts: ShapeCounts,
}

impl Shaper {
    /// As the operator configured it.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        Self {
            span_types: shape.span_types.clone(),
            log_levels: shape.log_levels.clone(),
            sampler: Sampler::new(shape.sampling_percentage),
            redactor: Redactor::new(&shape.redaction),
            max_string_bytes: shape
                .max_string_bytes
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            lineage: Lineage::default(),
            counts: ShapeCounts::default(),
        }
    }

    /// Whether events of this kind have to be looked into before it is known whether they are kept.
    fn may_filter(&self, kind: EventKind) -> bool {
        match kind.signal() {
            Signal::Traces => self.span_types.is_some() || self.sampler.drops_any(),
            Signal::Logs => self.log_levels.is_some() || self.sampler.drops_any(),
            Signal::Scores | Signal::Feedback => self.sampler.drops_any(),
            Signal::Metrics => false,
        }
    }

    fn verdict(&mut self, event: &Event) -> Verdict {
        if !self.may_filter(event.kind) {
            return Verdict::Keep;
        }
        // The engine rejects what cannot be read.
        let Some(head) = Head::read(&event.payload) else {
            return Verdict::Keep;
        };
        if !head.trace_id().is_none_or(|id| self.sampler.keeps(id)) {
            self.counts.not_sampled += 1;
            return Verdict::Filter;
        }
        let is_dropped = |filter: &Option<NameFilter>, name: Option<&str>| {
            let name = name.unwrap_or_default();
            filter.as_ref().is_some_and(|filter| !filter.keeps(name))
        };
        match event.kind.signal() {
            Signal::Traces if is_dropped(&self.span_types, head.span_type()) => {
                self.counts.span_type += 1;
                self.lineage.leave_out(&head);
                Verdict::LeaveOut
            }
            Signal::Logs if is_dropped(&self.log_levels, head.level.as_deref()) => {
                self.counts.log_level += 1;
                Verdict::Filter
            }
            _ => Verdict::Keep,
        }
    }

    /// The text with the parent that the span has without the spans left out; `None` if it is the same.
    fn adopted(&self, kind: EventKind, text: &str) -> Option<String> {
        if kind.signal() != Signal::Traces || self.lineage.is_empty() {
            return None;
        }
        let head = Head::read(text.as_bytes())?;
        let new_parent = self.lineage.new_parent(head.trace_id()?, head.parent()?)?;
        parent::replace(text, new_parent.as_deref())
    }
}

impl Shaping for Shaper {
    fn judge(&mut self, items: &[BatchItem]) -> Vec<Verdict> {
        items.iter().map(|item| self.verdict(&item.event)).collect()
    }

    fn shape(&mut self, event: &Arc<Event>) -> Arc<Event> {
        let Ok(text) = utf8(&event.payload) else {
            return Arc::clone(event);
        };
        let mut changed: Option<String> = None;
        if let Some(adopted) = self.adopted(event.kind, text) {
            self.counts.adopted += 1;
            changed = Some(adopted);
        }
        if let Some(redacted) = self.redactor.redact(changed.as_deref().unwrap_or(text)) {
            self.counts.redacted += 1;
            changed = Some(redacted);
        }
        if let Some(max_bytes) = self.max_string_bytes
            && let Some(cut) = truncate::truncate(changed.as_deref().unwrap_or(text), max_bytes)
        {
            self.counts.truncated += 1;
            changed = Some(cut);
        }
        match changed {
            None => Arc::clone(event),
            Some(text) => Arc::new(Event {
                payload: Bytes::from(text),
                ..Event::clone(event)
            }),
        }
    }

    fn adopt(&self, span: &mut SpanAncestor) {
        let parent = span.parent_span_id.as_deref();
        let new_parent: Option<NewParent> =
            parent.and_then(|parent| self.lineage.new_parent(&span.trace_id, parent));
        if let Some(new_parent) = new_parent {
            span.parent_span_id = new_parent;
        }
    }

    fn counts(&self) -> ShapeCounts {
        self.counts
    }
}

/// Members of a record that name spans and traces: never redacted, never cut.
fn is_identity(key: &str) -> bool {
    const IDENTITY: [&str; 6] = [
        "id",
        "spanId",
        "traceId",
        "parentSpanId",
        "externalParentSpanId",
        "correlationContext",
    ];
    IDENTITY.contains(&key)
}

impl NameFilter {
    /// Whether what has this name is kept.
    fn keeps(&self, name: &str) -> bool {
        let has = |names: &BTreeSet<String>| names.contains(name);
        match self {
            Self::Keep(names) => has(names),
            Self::Drop(names) => !has(names),
        }
    }
}
