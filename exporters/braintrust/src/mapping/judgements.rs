//! Scores and feedback as Braintrust's feedback on rows. Feedback needs the id of a row. A span's row has the span's id;
//! what is about a whole trace gets a row of its own in that trace, since the id of the root's row is not known here.
//!
//! Braintrust's scores are numbers from 0 to 1. A judgement that is one becomes a score of its name. Any other is told in
//! the comment and kept in the feedback's metadata under `value`.

use mastra_exporter_sdk::feedback::thumb;
use mastra_exporter_sdk::ids;
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::{FeedbackItem, FeedbackValue, Score};
use mastra_llm::judgement::first_name;
use mastra_llm::merged::Merged;

use crate::wire::{self, Feedback, Row};

/// Feedback, and the row that it is about when that is no span's.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement<'a> {
    /// For what is about a whole trace.
    pub row: Option<Row<'a>>,
    /// On that row, or on the span's.
    pub feedback: Feedback<'a>,
}

/// `{"events": [...], "feedback": [...]}`
pub fn write(text: &mut JsonText, judgements: &[Judgement<'_>]) {
    let rows = judgements
        .iter()
        .filter_map(|judgement| judgement.row.as_ref());
    text.raw("{\"events\":").array(rows, |text, row| {
        row.write(text);
    });
    text.raw(",\"feedback\":")
        .array(judgements, |text, judgement| {
            judgement.feedback.write(text);
        });
    text.raw("}");
}

/// A score, or why Braintrust has no place for it.
///
/// # Errors
/// The reason.
pub fn score(score: &Score) -> Result<Judgement<'_>, &'static str> {
    let names = [score.scorer_name.as_deref(), Some(score.scorer_id.as_str())];
    let name = first_name(&names, "score");
    let mut metadata = Merged::default();
    metadata
        .text("scorerId", &score.scorer_id)
        .text_if("scoreSource", score.score_source.as_ref())
        .layer(score.metadata.as_ref());
    let value = Opinion::of_number(score.value);
    judgement(
        &Subject {
            trace_id: score.trace_id.as_deref().ok_or("a score without a trace")?,
            span_id: score.span_id.as_deref(),
            id: &score.score_id,
            time: score.time,
            name,
        },
        &value,
        score.reason.as_deref(),
        metadata,
    )
}

/// Feedback, or why Braintrust has no place for it.
///
/// # Errors
/// The reason.
pub fn feedback(item: &FeedbackItem) -> Result<Judgement<'_>, &'static str> {
    let mut metadata = Merged::default();
    metadata
        .layer(item.metadata.as_ref())
        .text("feedbackId", &item.feedback_id)
        .text("feedbackType", &item.feedback_type)
        .text_if("feedbackSource", item.feedback_source.as_ref())
        .text_if("feedbackUserId", item.feedback_user_id.as_ref())
        .text_if("sourceId", item.source_id.as_ref());
    let value = match (thumb(item), &item.value) {
        (Some(is_up), _) => Opinion::Share(f64::from(u8::from(is_up))),
        (None, FeedbackValue::Number(number)) => Opinion::of_number(*number),
        (None, FeedbackValue::Text(text)) => Opinion::Words(text),
    };
    judgement(
        &Subject {
            trace_id: item.trace_id.as_deref().ok_or("feedback without a trace")?,
            span_id: item.span_id.as_deref(),
            id: &item.feedback_id,
            time: item.time,
            name: first_name(&[Some(item.feedback_type.as_str())], "feedback"),
        },
        &value,
        item.comment.as_deref(),
        metadata,
    )
}

/// A value in Braintrust's sense.
enum Opinion<'a> {
    /// 0 to 1.
    Share(f64),
    /// Any other number.
    Number(f64),
    Words(&'a str),
}

impl Opinion<'_> {
    fn of_number(number: f64) -> Self {
        if (0.0..=1.0).contains(&number) {
            Self::Share(number)
        } else {
            Self::Number(number)
        }
    }
}

/// What a judgement is about.
struct Subject<'a> {
    trace_id: &'a str,
    span_id: Option<&'a str>,
    id: &'a str,
    time: u64,
    name: &'a str,
}

fn judgement<'a>(
    subject: &Subject<'a>,
    value: &Opinion<'_>,
    remark: Option<&str>,
    mut metadata: Merged<'a>,
) -> Result<Judgement<'a>, &'static str> {
    let mut lines = Vec::new();
    let mut json = JsonText::default();
    match value {
        Opinion::Share(_) => {}
        Opinion::Number(number) => {
            let number = json.float(*number).as_str();
            lines.push(format!("{}: {number}", subject.name));
            metadata.raw("value", number.to_owned());
        }
        Opinion::Words(words) => {
            lines.extend(Some((*words).to_owned()).filter(|words| !words.is_empty()));
            metadata.text("value", words);
        }
    }
    lines.extend(
        remark
            .filter(|remark| !remark.is_empty())
            .map(str::to_owned),
    );
    let score = match value {
        Opinion::Share(share) => Some((subject.name, *share)),
        Opinion::Number(_) | Opinion::Words(_) => None,
    };
    if score.is_none() && lines.is_empty() {
        return Err("feedback without a value");
    }
    metadata.without_nulls();
    let row = subject.span_id.is_none().then(|| row(subject));
    let own_id = row.as_ref().map(|row| row.id.clone());
    let feedback = Feedback {
        row_id: own_id.unwrap_or_else(|| subject.span_id.unwrap_or_default().to_owned()),
        score,
        comment: Some(lines.join("\n")).filter(|comment| !comment.is_empty()),
        metadata,
    };
    Ok(Judgement { row, feedback })
}

/// The row of what is about a whole trace. It is no second root: its parent is the trace itself.
fn row<'a>(subject: &Subject<'a>) -> Row<'a> {
    let mut metadata = Merged::default();
    metadata.text("mastra-trace-id", subject.trace_id);
    Row {
        id: ids::span_id("judgement", subject.id),
        root_span_id: subject.trace_id,
        parent: Some(subject.trace_id),
        created: subject.time,
        name: subject.name,
        row_type: Some(wire::SCORE),
        start: subject.time,
        end: Some(subject.time),
        metrics: Vec::new(),
        input: None,
        output: None,
        error: None,
        metadata,
        tags: &[],
    }
}
