//! What is remembered of spans that were given to a component, so that late ones come with the chain of their ancestors.
//! Pure bookkeeping.
//!
//! Bounds: [`MAX_SPANS`] spans and [`MAX_BYTES`] of their texts. Beyond them the trace that was touched longest ago is
//! forgotten, whole. Nothing of it is kept on disk: after a restart late spans come without ancestors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::plugin::guest::SpanAncestor;

/// Spans that are remembered for one exporter: the last hours of an ordinary application, in some 20 MiB.
pub(crate) const MAX_SPANS: usize = 100_000;

/// Bytes of ids and names that are remembered for one exporter.
pub(crate) const MAX_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
struct Trace {
    spans: HashMap<Arc<str>, Arc<SpanAncestor>>,
    bytes: usize,
    /// Whether its root has ended and was given.
    is_complete: bool,
    touched: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ancestors {
    traces: HashMap<Arc<str>, Trace>,
    /// By when they were touched.
    order: BTreeMap<u64, Arc<str>>,
    spans: usize,
    bytes: usize,
    max_spans: usize,
    max_bytes: usize,
    clock: u64,
}

impl Default for Ancestors {
    fn default() -> Self {
        Self::bounded(MAX_SPANS, MAX_BYTES)
    }
}

impl Ancestors {
    fn bounded(max_spans: usize, max_bytes: usize) -> Self {
        Self {
            traces: HashMap::new(),
            order: BTreeMap::new(),
            spans: 0,
            bytes: 0,
            max_spans,
            max_bytes,
            clock: 0,
        }
    }

    /// Whether the trace's root has ended and was given, as far as is remembered.
    pub(crate) fn is_complete(&self, trace_id: &str) -> bool {
        self.traces
            .get(trace_id)
            .is_some_and(|trace| trace.is_complete)
    }

    /// Remembers spans of one trace.
    pub(crate) fn remember<'a>(
        &mut self,
        trace_id: &Arc<str>,
        spans: impl Iterator<Item = &'a Arc<SpanAncestor>>,
        is_complete: bool,
    ) {
        self.clock += 1;
        let trace = self.traces.entry(Arc::clone(trace_id)).or_default();
        self.order.remove(&trace.touched);
        self.order.insert(self.clock, Arc::clone(trace_id));
        trace.touched = self.clock;
        trace.is_complete |= is_complete;
        for span in spans {
            let bytes = size_of(span);
            let id = Arc::clone(&span.span_id);
            if let Some(before) = trace.spans.insert(id, Arc::clone(span)) {
                self.spans -= 1;
                self.bytes -= size_of(&before);
                trace.bytes -= size_of(&before);
            }
            self.spans += 1;
            self.bytes += bytes;
            trace.bytes += bytes;
        }
        while self.spans > self.max_spans || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.order.pop_first() else {
                return;
            };
            if let Some(trace) = self.traces.remove(&oldest) {
                self.spans -= trace.spans.len();
                self.bytes -= trace.bytes;
            }
        }
    }

    /// The known ancestors of spans that go together, without the spans themselves; each chain from the top down.
    pub(crate) fn of(&self, spans: &[&Arc<SpanAncestor>]) -> Vec<SpanAncestor> {
        let mut known: HashSet<(&str, &str)> = spans
            .iter()
            .map(|span| (&*span.trace_id, &*span.span_id))
            .collect();
        let mut ancestors = Vec::new();
        for span in spans {
            let Some(trace) = self.traces.get(&span.trace_id) else {
                continue;
            };
            let mut chain = Vec::new();
            let mut next = span.parent_span_id.as_ref();
            while let Some(parent) = next.and_then(|id| trace.spans.get(id)) {
                if !known.insert((&parent.trace_id, &parent.span_id)) {
                    break;
                }
                chain.push(SpanAncestor::clone(parent));
                next = parent.parent_span_id.as_ref();
            }
            ancestors.extend(chain.into_iter().rev());
        }
        ancestors
    }
}

/// Texts that the span alone has; its trace's id is shared.
fn size_of(span: &SpanAncestor) -> usize {
    span.span_id.len() + span.name.len() + span.parent_span_id.as_ref().map_or(0, |id| id.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: &str, id: &str, parent: Option<&str>) -> Arc<SpanAncestor> {
        Arc::new(SpanAncestor {
            trace_id: trace.into(),
            span_id: id.into(),
            parent_span_id: parent.map(Into::into),
            name: "n".into(),
            start_time: 0,
        })
    }

    fn ids(ancestors: &[SpanAncestor]) -> Vec<&str> {
        ancestors.iter().map(|span| &*span.span_id).collect()
    }

    #[test]
    fn late_spans_get_the_chain_from_the_root_down_and_each_ancestor_once() {
        let mut ancestors = Ancestors::default();
        let known = [
            span("t", "root", None),
            span("t", "a", Some("root")),
            span("t", "b", Some("a")),
            span("t", "other", Some("root")),
        ];
        ancestors.remember(&"t".into(), known.iter(), true);
        assert!(ancestors.is_complete("t") && !ancestors.is_complete("u"));
        let late = [
            span("t", "x", Some("b")),
            span("t", "y", Some("x")),
            span("t", "z", Some("other")),
            span("u", "q", Some("b")),
        ];
        let late: Vec<_> = late.iter().collect();
        assert_eq!(ids(&ancestors.of(&late)), ["root", "a", "b", "other"]);
        assert!(ancestors.of(&late[3..]).is_empty(), "of another trace");
        assert!(ancestors.of(&[&known[0]]).is_empty());
    }

    #[test]
    fn spans_that_are_their_own_ancestors_end_the_chain() {
        let mut ancestors = Ancestors::default();
        let circle = [span("t", "a", Some("b")), span("t", "b", Some("a"))];
        ancestors.remember(&"t".into(), circle.iter(), false);
        let late = span("t", "x", Some("a"));
        assert_eq!(ids(&ancestors.of(&[&late])), ["b", "a"]);
    }

    #[test]
    fn trace_that_was_touched_longest_ago_is_forgotten_first() {
        for (max_spans, max_bytes) in [(4, usize::MAX), (usize::MAX, 12)] {
            let mut ancestors = Ancestors::bounded(max_spans, max_bytes);
            for trace in ["t", "u"] {
                let spans = [span(trace, "a", None), span(trace, "b", None)];
                ancestors.remember(&trace.into(), spans.iter(), true);
            }
            ancestors.remember(&"t".into(), [span("t", "a", None)].iter(), false);
            ancestors.remember(&"v".into(), [span("v", "abcde", None)].iter(), false);
            assert!(ancestors.is_complete("t"), "touched since");
            assert!(!ancestors.is_complete("u"));
            let late = span("t", "x", Some("b"));
            assert_eq!(ids(&ancestors.of(&[&late])), ["b"]);
        }
    }
}
