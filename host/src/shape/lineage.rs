//! The parents of spans that an exporter does not get, so that their children can be given to the nearest kept ancestor.
//!
//! Bound: [`MAX_SPANS`], the oldest go first. Kept in memory: after a restart it is filled anew by what is not settled yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::head::Head;

/// Spans that are remembered for one exporter, in some 15 MiB.
const MAX_SPANS: usize = 100_000;

/// A span's parent among those that are kept; `None`: it is a root now.
pub(super) type NewParent = Option<Arc<str>>;

/// See the module. Spans are known by a hash of both ids.
#[derive(Debug)]
pub(super) struct Lineage {
    parents: HashMap<u128, Option<Arc<str>>>,
    order: VecDeque<u128>,
    max_spans: usize,
}

impl Default for Lineage {
    fn default() -> Self {
        Self::bounded(MAX_SPANS)
    }
}

impl Lineage {
    fn bounded(max_spans: usize) -> Self {
        Self {
            parents: HashMap::new(),
            order: VecDeque::new(),
            max_spans,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// Remembers a span that is left out.
    pub(super) fn leave_out(&mut self, head: &Head<'_>) {
        let (Some(trace_id), Some(id)) = (head.trace_id(), head.id()) else {
            return;
        };
        let key = key(trace_id, id);
        if self
            .parents
            .insert(key, head.parent().map(Arc::from))
            .is_none()
        {
            self.order.push_back(key);
        }
        while self.order.len() > self.max_spans {
            if let Some(oldest) = self.order.pop_front() {
                self.parents.remove(&oldest);
            }
        }
    }

    /// The nearest ancestor that is not left out, for a span whose parent is `parent`; outer `None`: the parent itself.
    pub(super) fn new_parent(&self, trace_id: &str, parent: &str) -> Option<NewParent> {
        let mut next = self.parents.get(&key(trace_id, parent))?;
        // Spans that are their own ancestors end after as many steps as there are spans.
        for _ in 0..self.parents.len() {
            let Some(ancestor) = next else {
                return Some(None);
            };
            match self.parents.get(&key(trace_id, ancestor)) {
                None => return Some(Some(Arc::clone(ancestor))),
                Some(further) => next = further,
            }
        }
        Some(None)
    }
}

fn key(trace_id: &str, span_id: &str) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(trace_id.as_bytes());
    hash.update(&[0]);
    hash.update(span_id.as_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave_out(lineage: &mut Lineage, id: &str, parent: Option<&str>) {
        let parent = parent.map_or_else(String::new, |it| format!(r#","parentSpanId":"{it}""#));
        let text = format!(r#"{{"traceId":"t","id":"{id}"{parent}}}"#);
        lineage.leave_out(&Head::read(text.as_bytes()).expect("a record"));
    }

    fn parent_of(lineage: &Lineage, parent: &str) -> Option<Option<String>> {
        let found = lineage.new_parent("t", parent)?;
        Some(found.map(|id| id.to_string()))
    }

    #[test]
    fn children_go_past_all_that_is_left_out() {
        let mut lineage = Lineage::default();
        leave_out(&mut lineage, "c", Some("b"));
        leave_out(&mut lineage, "b", Some("a"));
        leave_out(&mut lineage, "r", None);
        assert_eq!(parent_of(&lineage, "c"), Some(Some("a".to_owned())));
        assert_eq!(parent_of(&lineage, "r"), Some(None));
        assert_eq!(parent_of(&lineage, "a"), None, "it is kept");
        assert!(lineage.new_parent("u", "c").is_none(), "of another trace");
    }

    #[test]
    fn spans_that_are_their_own_ancestors_end_the_search() {
        let mut lineage = Lineage::default();
        leave_out(&mut lineage, "a", Some("b"));
        leave_out(&mut lineage, "b", Some("a"));
        assert_eq!(parent_of(&lineage, "a"), Some(None));
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_a_repeat_is_no_second_span() {
        let mut lineage = Lineage::bounded(2);
        for id in ["a", "b", "b", "c"] {
            leave_out(&mut lineage, id, Some("x"));
        }
        assert_eq!(parent_of(&lineage, "a"), None);
        assert_eq!(parent_of(&lineage, "b"), Some(Some("x".to_owned())));
        assert_eq!((lineage.parents.len(), lineage.order.len()), (2, 2));
    }
}
