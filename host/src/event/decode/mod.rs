//! A record's JSON text to the typed record of [`super::records`]. One pass over the text; everything is borrowed.
//! Called by `receive` (through [`super::keys`], which only checks), by `deliver` and by `plugin` when they make a batch.
//!
//! # Absent, null, wrong
//! - A required field that is missing or null is an error; so is any typed field of another type. Errors name the
//!   field's path, its value and what it should be.
//! - For optional typed fields (ids, text, times, numbers, tags, errors, contexts) `null` counts as absent:
//!   `JSON.stringify` of the platform's aliases gives it. For free-form JSON (`input`, `output`, `attributes`,
//!   `metadata`, `requestContext`, `data`, `details`, `costMetadata`) `null` stays `Some("null")`; apart from `input` and
//!   `output`, which may be anything, they must be objects otherwise.
//! - `isEvent` and `isRootSpan` may be missing: a span is then no event, and a root when it has no parent.
//! - Of a key that comes twice the last counts, as in JavaScript.
//! - The typed views of `attributes` ([`Span::model`]) and `metadata` (service name and environment of the resource)
//!   are never in error: what does not fit is left out of the view, the JSON stays whole.
//! - Keys that the records do not know go to `extra`, in their order; unknown members of `costContext` too, as
//!   `extra.costContext`.
//!
//! # Names beside Mastra's
//! The platform's client adds copies to spans. They are taken where the original is missing, and never reach `extra`:
//! `spanId` = `id`, `spanType` = `type`, `startedAt` = `startTime`, `endedAt` = `endTime`, `error` = `errorInfo`;
//! `createdAt` and `updatedAt` (its own clock) are dropped. Deprecated: `source` of a score and of feedback, `userId` of
//! feedback are taken where `scoreSource`, `feedbackSource`, `feedbackUserId` are missing, else they stay in `extra`.
//!
//! What OTLP has and Mastra lacks is spelled so in our event JSON (times are ISO-8601 text, up to nanoseconds). In
//! these objects an unknown key is a spelling mistake and refused, except where the record has an `extra` for it:
//!
//! ```text
//! any record  resource: {serviceName, serviceVersion, environment, projectId, attributes, schemaUrl,
//!                        droppedAttributesCount, ...extra}
//! span        entityVersionId
//!             otel: {kind: unspecified|internal|server|client|producer|consumer,
//!                    status: {code: unset|ok|error, message}, traceState, flags,
//!                    links: [{traceId, spanId, traceState, attributes, droppedAttributesCount, flags}],
//!                    events: [{time, name, attributes, droppedAttributesCount}],
//!                    droppedAttributesCount, droppedEventsCount, droppedLinksCount, scope}
//! log         otel: {severityNumber, severityText, body, eventName, observedTime, flags, attributes,
//!                    droppedAttributesCount, scope}
//! metric      unit
//!             value: a number, or {type: sum, value, temporality, isMonotonic}, {type: gauge, value},
//!                    {type: histogram, count, sum, min, max, bucketCounts, bounds, temporality},
//!                    {type: exponentialHistogram, count, sum, min, max, scale, zeroCount, zeroThreshold,
//!                     positive: {offset, counts}, negative: {offset, counts}, temporality},
//!                    {type: summary, count, sum, quantiles: [{quantile, value}]}
//!             otel: {description, startTime, exemplars: [{time, value, traceId, spanId, filteredAttributes}],
//!                    metadata, attributes, flags, scope}
//! scope       {name, version, attributes, schemaUrl, droppedAttributesCount, ...extra}
//! temporality unspecified|delta|cumulative
//! ```
//!
//! Numbers of metric points may also be the texts `"NaN"`, `"Infinity"` and `"-Infinity"`, which JSON numbers cannot
//! say; a number written without fraction and exponent is an integer, any other floating.
//!
//! # Limits
//! A record nests at most [`super::fields::MAX_DEPTH`] levels. Its length is the receiver's concern.

mod context;
mod conventions;
mod flattened;
mod log;
mod metric;
mod opinion;
mod otel;
mod point;
pub(crate) mod scan;
mod span;
mod view;

use std::borrow::Cow;

use self::scan::{Fields, front, whole};
use super::fields::{FieldError, present};
use super::instrument::Instruments;
use super::keys::{self, Keys};
use super::records::{FeedbackItem, Log, Metric, Record, Resource, Score, Span, SpanPhase};
use super::{Event, EventKind, Source};

/// Fields that are complete but for the required ones.
trait Draft<'a>: Fields<'a> {
    type Record;

    /// The record, without its views.
    fn finish(self, kind: EventKind) -> Result<Self::Record, FieldError>;
}

/// Decodes an event, with the resource's project id from where the event came in.
///
/// # Errors
/// [`FieldError`]; never for an event whose payload came through [`Event::from_json`].
pub fn record(event: &Event) -> Result<Record<'_>, FieldError> {
    record_with(event, &Instruments::default())
}

/// [`record`], with the operator's say on how metrics are aggregated.
///
/// # Errors
/// As [`record`].
pub fn record_with<'a>(
    event: &'a Event,
    instruments: &Instruments,
) -> Result<Record<'a>, FieldError> {
    let text = utf8(&event.payload)?;
    let mut decoded = match event.kind {
        EventKind::SpanStarted | EventKind::SpanUpdated | EventKind::SpanEnded => {
            Record::Span(Box::new(span(event.kind, text)?))
        }
        EventKind::Log => Record::Log(Box::new(log(text)?)),
        EventKind::Metric => Record::Metric(Box::new(metric(text, instruments)?)),
        EventKind::Score => Record::Score(Box::new(score(text)?)),
        EventKind::Feedback => Record::Feedback(Box::new(feedback(text)?)),
    };
    if let Some(project_id) = &event.source.project_id {
        let resource = match &mut decoded {
            Record::Span(record) => &mut record.resource,
            Record::Log(record) => &mut record.resource,
            Record::Metric(record) => &mut record.resource,
            Record::Score(record) => &mut record.resource,
            Record::Feedback(record) => &mut record.resource,
        };
        let resource = resource.get_or_insert_with(Resource::default);
        resource.project_id.get_or_insert(Cow::Borrowed(project_id));
    }
    Ok(decoded)
}

/// Decodes a span. A kind that is no span's counts as `span_ended`.
///
/// # Errors
/// See the module's page.
pub fn span(kind: EventKind, text: &str) -> Result<Span<'_>, FieldError> {
    let mut span = whole::<span::SpanFields<'_>>(text)?.finish(kind)?;
    complete(&mut span);
    context::complete_resource(&mut span.resource, span.metadata.as_ref(), None);
    Ok(span)
}

/// Fills the typed views of the attributes in one pass over them. Conventions are looked for in spans of OpenTelemetry
/// senders alone.
fn complete(span: &mut Span<'_>) {
    let mut model = view::Model::default();
    let mut conventions = span.otel.as_ref().map(|_| conventions::Found::default());
    if let Some(Cow::Borrowed(raw)) = span.attributes {
        // The syntax has been checked and the closure returns no error; attributes that are null have no members.
        let _ = scan::members("attributes", raw, |key, value| {
            if let Some(value) = present(value) {
                model.take(&key, value);
                if let Some(found) = &mut conventions {
                    found.take(&key, value);
                }
            }
            Ok(())
        });
    }
    span.model = model.found();
    if let Some(found) = conventions {
        found.fill(span);
    }
}

/// Decodes a log record.
///
/// # Errors
/// See the module's page.
pub fn log(text: &str) -> Result<Log<'_>, FieldError> {
    let mut log = whole::<log::LogFields<'_>>(text)?.finish(EventKind::Log)?;
    context::complete_resource(
        &mut log.resource,
        log.metadata.as_ref(),
        log.correlation.as_ref(),
    );
    Ok(log)
}

/// Decodes a metric. `instruments` decides what a single observation is.
///
/// # Errors
/// See the module's page.
pub fn metric<'a>(text: &'a str, instruments: &Instruments) -> Result<Metric<'a>, FieldError> {
    let mut metric = whole::<metric::MetricFields<'_>>(text)?.finish(EventKind::Metric)?;
    metric::decide_instrument(&mut metric, instruments);
    context::complete_resource(
        &mut metric.resource,
        metric.metadata.as_ref(),
        metric.correlation.as_ref(),
    );
    Ok(metric)
}

/// Decodes a score.
///
/// # Errors
/// See the module's page.
pub fn score(text: &str) -> Result<Score<'_>, FieldError> {
    let mut score = whole::<opinion::ScoreFields<'_>>(text)?.finish(EventKind::Score)?;
    context::complete_resource(
        &mut score.resource,
        score.metadata.as_ref(),
        score.correlation.as_ref(),
    );
    Ok(score)
}

/// Decodes feedback.
///
/// # Errors
/// See the module's page.
pub fn feedback(text: &str) -> Result<FeedbackItem<'_>, FieldError> {
    let mut item = whole::<opinion::FeedbackFields<'_>>(text)?.finish(EventKind::Feedback)?;
    context::complete_resource(
        &mut item.resource,
        item.metadata.as_ref(),
        item.correlation.as_ref(),
    );
    Ok(item)
}

/// Checks the record at the front of `text` as the functions above would, without making the views, and says how many
/// bytes it takes.
///
/// # Errors
/// Outer: the text is no JSON object up to its end, so where the record ends is unknown. Inner: a field is wrong.
pub(super) fn check_front(
    kind: EventKind,
    text: &str,
    source: &Source,
) -> Result<(Result<Keys, FieldError>, usize), FieldError> {
    macro_rules! check {
        ($fields:ty, $keys:expr) => {{
            let (fields, length) = front::<$fields>(text)?;
            let own_text = text.get(..length).unwrap_or(text);
            Ok((
                fields
                    .and_then(|fields| fields.finish(kind))
                    .map(|record| $keys(&record, own_text)),
                length,
            ))
        }};
    }
    match kind {
        EventKind::SpanStarted | EventKind::SpanUpdated | EventKind::SpanEnded => {
            check!(span::SpanFields<'_>, |record: &Span<'_>, own: &str| {
                keys::of_span(kind, record, own, source)
            })
        }
        EventKind::Log => check!(log::LogFields<'_>, |record: &Log<'_>, _| keys::of_log(
            record, source
        )),
        EventKind::Metric => {
            check!(metric::MetricFields<'_>, |record: &Metric<'_>, _| {
                keys::of_metric(record, source)
            })
        }
        EventKind::Score => check!(opinion::ScoreFields<'_>, |record: &Score<'_>, _| {
            keys::of_score(record, source)
        }),
        EventKind::Feedback => {
            check!(
                opinion::FeedbackFields<'_>,
                |record: &FeedbackItem<'_>, _| keys::of_feedback(record, source)
            )
        }
    }
}

/// The payload as text.
pub(crate) fn utf8(payload: &[u8]) -> Result<&str, FieldError> {
    simdutf8::compat::from_utf8(payload).map_err(|error| not_utf8(payload, error.valid_up_to()))
}

fn not_utf8(bytes: &[u8], valid_up_to: usize) -> FieldError {
    let readable = bytes
        .get(..valid_up_to)
        .and_then(|head| std::str::from_utf8(head).ok())
        .unwrap_or_default();
    FieldError::new(
        "",
        readable,
        format!("must be UTF-8, byte {valid_up_to} of the record is not"),
    )
}

const fn phase(kind: EventKind) -> SpanPhase {
    match kind {
        EventKind::SpanStarted => SpanPhase::Started,
        EventKind::SpanUpdated => SpanPhase::Updated,
        _ => SpanPhase::Ended,
    }
}
