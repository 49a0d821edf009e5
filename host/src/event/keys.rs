//! What the receiver computes of an event beside its text: the key by which repeats are known, and the lane in which
//! order holds. Checking and keys are one pass over the text. Called by `receive`.
//!
//! A repeat is an event of the same kind, project, trace and id from the same sender: the platform's client sends whole
//! batches again, and two receivers may get the same event. The sender is the label of its token, so that nobody can make
//! the events of another look like repeats by sending their ids first; senders without a token are one sender. A span is
//! updated many times under one id, so for updates the content counts
//! too. (A started or ended span has no content in its key: its one snapshot may come again with other volatile fields,
//! such as the platform's `createdAt`.)

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::decode::scan::nothing_after;
use super::decode::{check_front, utf8};
use super::fields::FieldError;
use super::records::{FeedbackItem, Log, Metric, Score, Span};
use super::{Event, EventKind, Source};

/// The bits of a lane.
pub(crate) const LANE_MASK: u64 = u32::MAX as u64;

/// Repeat key and lane of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// See [`Event::repeat_key`].
    pub repeat_key: u128,
    /// See [`Event::lane`].
    pub lane: u64,
}

impl Event {
    /// Checks a record's JSON text and makes the event of it.
    ///
    /// # Errors
    /// [`FieldError`] when [`super::decode::record`] could not decode it, or when more follows the record.
    pub fn from_json(
        kind: EventKind,
        payload: Bytes,
        received_at: u64,
        source: Arc<Source>,
    ) -> Result<Self, FieldError> {
        let keys = check(kind, utf8(&payload)?, &source)?;
        Ok(Self::from_checked(kind, payload, keys, received_at, source))
    }

    /// Makes an event of a text that [`check`] or [`front`] has passed.
    #[must_use]
    pub(crate) const fn from_checked(
        kind: EventKind,
        payload: Bytes,
        keys: Keys,
        received_at: u64,
        source: Arc<Source>,
    ) -> Self {
        Self {
            kind,
            payload,
            received_at,
            source,
            repeat_key: keys.repeat_key,
            lane: keys.lane,
        }
    }
}

/// Checks the record that is the whole of `text`.
///
/// # Errors
/// As [`Event::from_json`].
pub(crate) fn check(kind: EventKind, text: &str, source: &Source) -> Result<Keys, FieldError> {
    let (keys, length) = front(kind, text, source)?;
    nothing_after(text, length)?;
    keys
}

/// Checks the record at the front of `text` and says how many bytes it takes, leading white space included. What
/// follows it is not looked at.
///
/// # Errors
/// Outer: the text is no JSON object up to its end, so where the record ends is unknown. Inner: a field is wrong, the
/// record's end is known.
pub(crate) fn front(
    kind: EventKind,
    text: &str,
    source: &Source,
) -> Result<(Result<Keys, FieldError>, usize), FieldError> {
    check_front(kind, text, source)
}

pub(super) fn of_span(kind: EventKind, span: &Span<'_>, text: &str, source: &Source) -> Keys {
    let content = match kind {
        EventKind::SpanUpdated => xxh3_64(text.trim_ascii().as_bytes()),
        _ => 0,
    };
    span_keys(kind, &span.trace_id, &span.span_id, source, content)
}

/// Of a span that ended, by its ids in lower-case hex.
pub(crate) fn of_ended_span(trace_id: &str, span_id: &str, source: &Source) -> Keys {
    span_keys(EventKind::SpanEnded, trace_id, span_id, source, 0)
}

fn span_keys(
    kind: EventKind,
    trace_id: &str,
    span_id: &str,
    source: &Source,
    content: u64,
) -> Keys {
    Keys {
        repeat_key: repeat_key(kind, source, Some(trace_id), span_id, content),
        lane: lane(trace_id.as_bytes()),
    }
}

pub(super) fn of_log(log: &Log<'_>, source: &Source) -> Keys {
    of_record(EventKind::Log, source, log.trace_id.as_deref(), &log.log_id)
}

pub(super) fn of_score(score: &Score<'_>, source: &Source) -> Keys {
    of_record(
        EventKind::Score,
        source,
        score.trace_id.as_deref(),
        &score.score_id,
    )
}

pub(super) fn of_feedback(item: &FeedbackItem<'_>, source: &Source) -> Keys {
    of_record(
        EventKind::Feedback,
        source,
        item.trace_id.as_deref(),
        &item.feedback_id,
    )
}

pub(super) fn of_metric(metric: &Metric<'_>, source: &Source) -> Keys {
    let mut labels: Vec<(&str, &str)> = metric
        .labels
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    labels.sort_unstable();
    let mut series = Vec::with_capacity(128);
    push_part(&mut series, &metric.name);
    for (key, value) in labels {
        push_part(&mut series, key);
        push_part(&mut series, value);
    }
    let trace_id = metric.trace_id.as_deref();
    Keys {
        repeat_key: repeat_key(EventKind::Metric, source, trace_id, &metric.metric_id, 0),
        lane: lane(&series),
    }
}

/// 32 bits, because the queue keeps the lane of each waiting event in memory. Two traces that share a lane by chance only
/// wait for each other.
fn lane(of: &[u8]) -> u64 {
    xxh3_64(of) & LANE_MASK
}

/// Everything of a trace is in the trace's lane; what has no trace is in a lane of its own.
fn of_record(kind: EventKind, source: &Source, trace_id: Option<&str>, id: &str) -> Keys {
    Keys {
        repeat_key: repeat_key(kind, source, trace_id, id, 0),
        lane: lane(trace_id.unwrap_or(id).as_bytes()),
    }
}

fn repeat_key(
    kind: EventKind,
    source: &Source,
    trace_id: Option<&str>,
    id: &str,
    content: u64,
) -> u128 {
    let mut key = Vec::with_capacity(128);
    push_part(&mut key, kind.type_name());
    push_part(&mut key, source.project_id.as_deref().unwrap_or_default());
    push_part(&mut key, trace_id.unwrap_or_default());
    push_part(&mut key, id);
    key.extend_from_slice(&content.to_le_bytes());
    if let Some(label) = &source.token_label {
        push_part(&mut key, label);
    }
    xxh3_128(&key)
}

/// With its length, so that no two lists of parts give the same bytes.
fn push_part(key: &mut Vec<u8>, part: &str) {
    key.extend_from_slice(&(part.len() as u64).to_le_bytes());
    key.extend_from_slice(part.as_bytes());
}
