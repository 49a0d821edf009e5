//! The Mastra platform's protocol: `POST {any prefix}/{spans,logs,metrics,scores,feedback}/publish` with
//! `{"spans":[...]}`. Records are bare; spans are ended ones, since the client sends no others. The project id comes
//! from `/projects/{id}/` in the path. An empty array is the client's probe and is accepted. Called by `routes`.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::split::{Cutter, Piece, without_mark};
use crate::event::fields::FieldError;
use crate::event::{Event, EventKind, Source, is_project_id, keys};

/// What a path says of the records sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: EventKind,
    /// The path's segment, which is also the body's key.
    pub(super) segment: &'static str,
    pub(super) project_id: Option<String>,
}

const SEGMENTS: [(&str, EventKind); 5] = [
    ("spans", EventKind::SpanEnded),
    ("logs", EventKind::Log),
    ("metrics", EventKind::Metric),
    ("scores", EventKind::Score),
    ("feedback", EventKind::Feedback),
];

/// Reads the path; `None` when it is none of this protocol.
pub(super) fn target(path: &str) -> Option<Target> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (prefix, segment) = path.strip_suffix("/publish")?.rsplit_once('/')?;
    let (segment, kind) = SEGMENTS.into_iter().find(|(name, _)| *name == segment)?;
    Some(Target {
        kind,
        segment,
        project_id: project_id(prefix),
    })
}

/// The client takes only such ids: anything else after `projects` is a path of the operator's own.
fn project_id(prefix: &str) -> Option<String> {
    let mut parts = prefix.rsplit('/').peekable();
    while let Some(part) = parts.next() {
        if is_project_id(part) && parts.peek() == Some(&"projects") {
            return Some(part.to_owned());
        }
    }
    None
}

/// How many records are read before other tasks get their turn: about a millisecond's work.
pub(super) const RECORDS_A_TURN: usize = 256;

/// Reads the records of a body.
///
/// # Errors
/// Nothing could be read: malformed from the start, or another shape.
pub(super) async fn read(
    body: &Bytes,
    target: &Target,
    received_at: u64,
    source: &Arc<Source>,
) -> Result<Batch, FieldError> {
    let text = without_mark(body);
    let mut cutter = Cutter::of_member(text, target.segment)?;
    let mut batch = Batch::default();
    let mut index = 0;
    loop {
        let piece = cutter.next(|text| keys::front(target.kind, text, source));
        match piece {
            None => break,
            Some(Piece::Good(text, keys)) => {
                let payload = body.slice_ref(text.as_bytes());
                batch.events.push(Event::from_checked(
                    target.kind,
                    payload,
                    keys,
                    received_at,
                    Arc::clone(source),
                ));
            }
            Some(Piece::Bad(bytes, error)) => batch.refuse(index, Some(target.kind), error, bytes),
            Some(Piece::Rest(_, error)) if index == 0 => return Err(error),
            Some(Piece::Rest(bytes, error)) => batch.refuse(index, Some(target.kind), error, bytes),
        }
        index += 1;
        if index.is_multiple_of(RECORDS_A_TURN as u64) {
            tokio::task::yield_now().await;
        }
    }
    batch.let_go_of(body.len());
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_signal_and_project() {
        let found = |path: &str| target(path).map(|target| (target.segment, target.project_id));
        let project = |id: &str| Some(id.to_owned());
        assert_eq!(found("/ai/spans/publish"), Some(("spans", None)));
        assert_eq!(found("/spans/publish"), Some(("spans", None)));
        assert_eq!(found("/ai/feedback/publish/"), Some(("feedback", None)));
        assert_eq!(
            found("/projects/p_1-x/ai/logs/publish"),
            Some(("logs", project("p_1-x")))
        );
        assert_eq!(
            found("/a/projects/p1/b/c/scores/publish"),
            Some(("scores", project("p1")))
        );
        assert_eq!(
            found("/projects/p1/metrics/publish"),
            Some(("metrics", project("p1")))
        );
        assert_eq!(
            found("/projects/a%20b/ai/metrics/publish"),
            Some(("metrics", None))
        );
        assert_eq!(
            found("/projects//ai/metrics/publish"),
            Some(("metrics", None))
        );
        for other in [
            "/ai/spans",
            "/ai/traces/publish",
            "/publish",
            "/",
            "",
            "/ai/spans/publish/x",
            "spans/publish",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
