//! Where a span is in its trace: names and ids from the root down. Laminar wants both or neither, so a span whose
//! ancestors are not all known has none.

use std::collections::HashMap;

use mastra_exporter_sdk::records::{Span, SpanBatch};

use crate::wire::span_uuid;

/// More ancestors than this are taken for a circle.
const MAX_DEPTH: usize = 256;

#[derive(Clone, Copy)]
struct Node<'a> {
    parent: Option<&'a str>,
    name: &'a str,
}

/// The known spans of a batch and their ancestors.
pub(super) struct Paths<'a> {
    nodes: HashMap<(&'a str, &'a str), Node<'a>>,
}

impl<'a> Paths<'a> {
    pub(super) fn of(batch: &'a SpanBatch) -> Self {
        let remembered = batch.ancestors.iter().map(|ancestor| {
            let node = Node {
                parent: ancestor.parent_span_id.as_deref(),
                name: &ancestor.name,
            };
            (
                (ancestor.trace_id.as_str(), ancestor.span_id.as_str()),
                node,
            )
        });
        let own = batch.spans.iter().map(|span| {
            let node = Node {
                parent: span.parent_span_id.as_deref(),
                name: &span.name,
            };
            ((span.trace_id.as_str(), span.span_id.as_str()), node)
        });
        Self {
            nodes: remembered.chain(own).collect(),
        }
    }

    /// Names and ids from the root to the span.
    pub(super) fn to(&self, span: &Span) -> Option<(Vec<&'a str>, Vec<String>)> {
        let (mut names, mut ids) = (Vec::new(), Vec::new());
        let mut next = Some(span.span_id.as_str());
        while let Some(span_id) = next {
            let node = self.nodes.get(&(span.trace_id.as_str(), span_id))?;
            if names.len() >= MAX_DEPTH {
                return None;
            }
            names.push(node.name);
            ids.push(span_uuid(span_id));
            next = node.parent;
        }
        names.reverse();
        ids.reverse();
        Some((names, ids))
    }
}
