//! Where a run hangs. LangSmith's ids are UUIDs, and `dotted_order` names every ancestor with its start.
//!
//! Ids are derived from the W3C ids, so that a score finds its run without having seen it: the root run's from the trace
//! id alone, any other's from trace and span id. A span whose ancestors are not all known (neither in the batch nor
//! among those that the host remembers) hangs directly below the root of its trace, whose id is always known.

use std::collections::HashMap;

use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::records::{Span, SpanBatch};

use super::own_project;
use crate::wire::step;

/// More ancestors than this are taken for a circle.
const MAX_DEPTH: usize = 256;

/// Id of the root run of a trace.
#[must_use]
pub fn root_run_id(trace_id: &str) -> String {
    ids::uuid("langsmith-root", trace_id)
}

/// Id of any other run.
#[must_use]
pub fn run_id(trace_id: &str, span_id: &str) -> String {
    ids::uuid("langsmith-run", &format!("{trace_id}/{span_id}"))
}

type Key<'a> = (&'a str, &'a str);

struct Node<'a> {
    parent: Option<&'a str>,
    start: u64,
    /// Place in the batch.
    span: Option<(usize, &'a Span)>,
}

/// The known spans of a batch and their ancestors.
pub struct Ancestry<'a> {
    nodes: HashMap<Key<'a>, Node<'a>>,
    /// The root of each trace: of several spans without a parent the one that starts first.
    roots: HashMap<&'a str, &'a str>,
}

/// Where a run hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// UUID.
    pub id: String,
    /// UUID of the root run.
    pub trace_id: String,
    /// UUID; none for the root.
    pub parent_id: Option<String>,
    /// Every ancestor and the run.
    pub dotted_order: String,
    /// Unix nanoseconds, not before the parent's.
    pub start: u64,
}

impl<'a> Ancestry<'a> {
    /// Reads the batch.
    #[must_use]
    pub fn of(batch: &'a SpanBatch) -> Self {
        let remembered = batch.ancestors.iter().map(|ancestor| {
            let key = (ancestor.trace_id.as_str(), ancestor.span_id.as_str());
            let node = Node {
                parent: ancestor.parent_span_id.as_deref(),
                start: ancestor.start_time,
                span: None,
            };
            (key, node)
        });
        let own = batch.spans.iter().enumerate().map(|(place, span)| {
            let key = (span.trace_id.as_str(), span.span_id.as_str());
            let node = Node {
                parent: span.parent_span_id.as_deref(),
                start: span.start_time,
                span: Some((place, span)),
            };
            (key, node)
        });
        let nodes: HashMap<Key<'a>, Node<'a>> = remembered.chain(own).collect();
        let mut roots: HashMap<&str, &str> = HashMap::new();
        for ((trace_id, span_id), node) in &nodes {
            if node.parent.is_some() {
                continue;
            }
            let root = roots.entry(trace_id).or_insert(span_id);
            let known = nodes
                .get(&(*trace_id, *root))
                .map(|node| (node.start, *root));
            if known.is_none_or(|known| (node.start, *span_id) < known) {
                *root = span_id;
            }
        }
        Self { nodes, roots }
    }

    /// Whether no later event of the batch is about the same span.
    #[must_use]
    pub fn is_last(&self, span: &Span, place: usize) -> bool {
        let known = self
            .nodes
            .get(&(span.trace_id.as_str(), span.span_id.as_str()));
        known
            .and_then(|node| node.span)
            .is_some_and(|(last, _)| last == place)
    }

    /// Where the run of a span hangs.
    #[must_use]
    pub fn place(&self, span: &'a Span) -> Place {
        let trace_id = span.trace_id.as_str();
        let root = root_run_id(trace_id);
        let chain = self.chain(span);
        let mut start = 0;
        let mut parent_id = None;
        let mut id = String::new();
        let mut steps = Vec::with_capacity(chain.len() + 1);
        let top_is_root = chain
            .first()
            .is_some_and(|(span_id, _)| self.roots.get(trace_id) == Some(span_id));
        if !top_is_root {
            start = chain.first().map_or(span.start_time, |(_, start)| *start);
            steps.push(step(start, &root));
            id.clone_from(&root);
        }
        for (place, (span_id, own_start)) in chain.iter().enumerate() {
            let is_root = top_is_root && place == 0;
            start = start.max(*own_start);
            parent_id = (!is_root).then(|| id.clone());
            id = if is_root {
                root.clone()
            } else {
                run_id(trace_id, span_id)
            };
            steps.push(step(start, &id));
        }
        Place {
            id,
            trace_id: root,
            parent_id,
            dotted_order: steps.join("."),
            start,
        }
    }

    /// The known ancestors of a span from the top down, and the span: ids and starts.
    fn chain(&self, span: &'a Span) -> Vec<(&'a str, u64)> {
        let mut chain = vec![(span.span_id.as_str(), span.start_time)];
        let mut parent = span.parent_span_id.as_deref();
        while let Some(span_id) = parent {
            let Some(node) = self.nodes.get(&(span.trace_id.as_str(), span_id)) else {
                break;
            };
            if chain.len() >= MAX_DEPTH || chain.iter().any(|(known, _)| *known == span_id) {
                break;
            }
            chain.push((span_id, node.start));
            parent = node.parent;
        }
        chain.reverse();
        chain
    }

    /// The project that the span names, or the nearest ancestor in the batch that names one.
    #[must_use]
    pub fn project(&self, span: &'a Span) -> Option<String> {
        own_project(span).or_else(|| {
            let chain = self.chain(span);
            chain.iter().rev().find_map(|(span_id, _)| {
                let node = self.nodes.get(&(span.trace_id.as_str(), *span_id))?;
                own_project(node.span?.1)
            })
        })
    }
}
