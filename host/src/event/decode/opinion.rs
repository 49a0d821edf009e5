//! Scores and feedback: what scorers and people said of a trace.

use super::Draft;
use super::context::{correlation, resource};
use super::scan::Fields;
use crate::event::EventKind;
use crate::event::fields::{
    Extra, FieldError, as_number, as_text, name_id, number, object, present, span_id, text, time,
    trace_id,
};
use crate::event::records::{
    Correlation, FeedbackItem, FeedbackValue, Json, Resource, Score, Text,
};

/// A deprecated name: used where the new one is missing, kept in `extra` where both came.
fn or_deprecated<'a>(
    field: Option<Text<'a>>,
    deprecated: Option<&'a str>,
    name: &str,
    extra: &mut Extra,
) -> Result<Option<Text<'a>>, FieldError> {
    match (field, deprecated.and_then(present)) {
        (None, Some(raw)) => text(name, raw),
        (Some(field), Some(raw)) => {
            extra.push(name, raw);
            Ok(Some(field))
        }
        (field, None) => Ok(field),
    }
}

#[derive(Default)]
pub(super) struct ScoreFields<'a> {
    score_id: Option<Text<'a>>,
    time: Option<u64>,
    trace_id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    scorer_id: Option<Text<'a>>,
    scorer_name: Option<Text<'a>>,
    scorer_version: Option<Text<'a>>,
    score_source: Option<Text<'a>>,
    source: Option<&'a str>,
    value: Option<f64>,
    reason: Option<Text<'a>>,
    experiment_id: Option<Text<'a>>,
    score_trace_id: Option<Text<'a>>,
    target_entity_type: Option<Text<'a>>,
    correlation: Option<Correlation<'a>>,
    metadata: Option<Json<'a>>,
    resource: Option<Resource<'a>>,
    extra: Extra,
}

impl<'a> Fields<'a> for ScoreFields<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "scoreId" => self.score_id = name_id(&key, raw)?,
            "timestamp" => self.time = time(&key, raw)?,
            "traceId" => self.trace_id = trace_id(&key, raw)?,
            "spanId" => self.span_id = span_id(&key, raw)?,
            "scorerId" => self.scorer_id = name_id(&key, raw)?,
            "scorerName" => self.scorer_name = text(&key, raw)?,
            "scorerVersion" => self.scorer_version = text(&key, raw)?,
            "scoreSource" => self.score_source = text(&key, raw)?,
            "source" => self.source = Some(raw),
            "score" => self.value = number(&key, raw)?,
            "reason" => self.reason = text(&key, raw)?,
            "experimentId" => self.experiment_id = text(&key, raw)?,
            "scoreTraceId" => self.score_trace_id = trace_id(&key, raw)?,
            "targetEntityType" => self.target_entity_type = text(&key, raw)?,
            "correlationContext" => self.correlation = correlation(&key, raw)?,
            "metadata" => self.metadata = Some(object(&key, raw)?),
            "resource" => self.resource = resource(&key, raw)?,
            _ => self.extra.push(&key, raw),
        }
        Ok(())
    }
}

impl<'a> Draft<'a> for ScoreFields<'a> {
    type Record = Score<'a>;

    fn finish(mut self, _kind: EventKind) -> Result<Score<'a>, FieldError> {
        let missing = FieldError::missing;
        let score_source =
            or_deprecated(self.score_source, self.source, "source", &mut self.extra)?;
        Ok(Score {
            score_id: self.score_id.ok_or_else(|| missing("scoreId"))?,
            time: self.time.ok_or_else(|| missing("timestamp"))?,
            trace_id: self.trace_id,
            span_id: self.span_id,
            scorer_id: self.scorer_id.ok_or_else(|| missing("scorerId"))?,
            scorer_name: self.scorer_name,
            scorer_version: self.scorer_version,
            score_source,
            value: self.value.ok_or_else(|| missing("score"))?,
            reason: self.reason,
            experiment_id: self.experiment_id,
            score_trace_id: self.score_trace_id,
            target_entity_type: self.target_entity_type,
            correlation: self.correlation,
            metadata: self.metadata,
            resource: self.resource,
            extra: self.extra.finish(),
        })
    }
}

#[derive(Default)]
pub(super) struct FeedbackFields<'a> {
    feedback_id: Option<Text<'a>>,
    time: Option<u64>,
    trace_id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    feedback_source: Option<Text<'a>>,
    source: Option<&'a str>,
    feedback_type: Option<Text<'a>>,
    value: Option<FeedbackValue<'a>>,
    feedback_user_id: Option<Text<'a>>,
    user_id: Option<&'a str>,
    comment: Option<Text<'a>>,
    source_id: Option<Text<'a>>,
    experiment_id: Option<Text<'a>>,
    correlation: Option<Correlation<'a>>,
    metadata: Option<Json<'a>>,
    resource: Option<Resource<'a>>,
    extra: Extra,
}

impl<'a> Fields<'a> for FeedbackFields<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "feedbackId" => self.feedback_id = name_id(&key, raw)?,
            "timestamp" => self.time = time(&key, raw)?,
            "traceId" => self.trace_id = trace_id(&key, raw)?,
            "spanId" => self.span_id = span_id(&key, raw)?,
            "feedbackSource" => self.feedback_source = text(&key, raw)?,
            "source" => self.source = Some(raw),
            "feedbackType" => self.feedback_type = text(&key, raw)?,
            "value" => self.value = feedback_value(&key, raw)?,
            "feedbackUserId" => self.feedback_user_id = text(&key, raw)?,
            "userId" => self.user_id = Some(raw),
            "comment" => self.comment = text(&key, raw)?,
            "sourceId" => self.source_id = text(&key, raw)?,
            "experimentId" => self.experiment_id = text(&key, raw)?,
            "correlationContext" => self.correlation = correlation(&key, raw)?,
            "metadata" => self.metadata = Some(object(&key, raw)?),
            "resource" => self.resource = resource(&key, raw)?,
            _ => self.extra.push(&key, raw),
        }
        Ok(())
    }
}

fn feedback_value<'a>(field: &str, raw: &'a str) -> Result<Option<FeedbackValue<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    as_text(raw)
        .map(FeedbackValue::Text)
        .or_else(|| as_number(raw).map(FeedbackValue::Number))
        .map(Some)
        .ok_or_else(|| FieldError::new(field, raw, "must be a finite number or a string"))
}

impl<'a> Draft<'a> for FeedbackFields<'a> {
    type Record = FeedbackItem<'a>;

    fn finish(mut self, _kind: EventKind) -> Result<FeedbackItem<'a>, FieldError> {
        let missing = FieldError::missing;
        let feedback_source =
            or_deprecated(self.feedback_source, self.source, "source", &mut self.extra)?;
        let feedback_user_id = or_deprecated(
            self.feedback_user_id,
            self.user_id,
            "userId",
            &mut self.extra,
        )?;
        Ok(FeedbackItem {
            feedback_id: self.feedback_id.ok_or_else(|| missing("feedbackId"))?,
            time: self.time.ok_or_else(|| missing("timestamp"))?,
            trace_id: self.trace_id,
            span_id: self.span_id,
            feedback_source,
            feedback_type: self.feedback_type.ok_or_else(|| missing("feedbackType"))?,
            value: self.value.ok_or_else(|| missing("value"))?,
            feedback_user_id,
            comment: self.comment,
            source_id: self.source_id,
            experiment_id: self.experiment_id,
            correlation: self.correlation,
            metadata: self.metadata,
            resource: self.resource,
            extra: self.extra.finish(),
        })
    }
}
