//! Event envelopes, `{"type":"span_ended","exportedSpan":{...}}`: `POST /v1/events`, and the lines of a file for
//! `input`. All seven types. A body is NDJSON, or a JSON array, or a single envelope on several lines.
//!
//! Mastra's `drop` meta-event (an exporter of the application gave events up) is no event of the five signals and goes
//! to no exporter. It is accepted and counted by signal, so that the host's metrics show what was lost before it; one
//! whose signal or count makes no sense is refused.
//!
//! A bad line costs only itself. Members of an envelope other than its type and payload are not looked at.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::platform::RECORDS_A_TURN;
use super::split::{Cutter, Front, Piece, without_mark};
use crate::event::decode::scan::{Fields, front, whole};
use crate::event::decode::utf8;
use crate::event::fields::{FieldError, as_count, as_text, present, text};
use crate::event::records::Text;
use crate::event::{Event, EventKind, Signal, Source};

/// What an envelope holds.
#[derive(Debug)]
pub(super) enum Envelope {
    Event(Event),
    /// The application dropped so many events of the signal.
    DropReport(Signal, u64),
}

#[derive(Default)]
struct EnvelopeFields<'a> {
    kind: Option<Text<'a>>,
    exported_span: Option<&'a str>,
    log: Option<&'a str>,
    metric: Option<&'a str>,
    score: Option<&'a str>,
    feedback: Option<&'a str>,
    signal: Option<&'a str>,
    count: Option<&'a str>,
}

impl<'a> Fields<'a> for EnvelopeFields<'a> {
    /// The record inside has its own limit.
    const MAX_VALUE_DEPTH: u32 = u32::MAX;

    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        match &*key {
            "type" => self.kind = text(&key, raw)?,
            "exportedSpan" => self.exported_span = present(raw),
            "log" => self.log = present(raw),
            "metric" => self.metric = present(raw),
            "score" => self.score = present(raw),
            "feedback" => self.feedback = present(raw),
            "signal" => self.signal = present(raw),
            "count" => self.count = present(raw),
            _ => {}
        }
        Ok(())
    }
}

impl EnvelopeFields<'_> {
    /// `body` is what the fields borrow from.
    fn open(
        &self,
        body: &Bytes,
        received_at: u64,
        source: &Arc<Source>,
    ) -> Result<Envelope, FieldError> {
        let name = self
            .kind
            .as_deref()
            .ok_or_else(|| FieldError::missing("type"))?;
        if name == "drop" {
            return self.drop_report();
        }
        let kind = EventKind::ALL
            .into_iter()
            .find(|kind| kind.type_name() == name)
            .ok_or_else(|| {
                let known = EventKind::ALL.map(EventKind::type_name).join(", ");
                FieldError::new("type", name, format!("must be one of {known}, drop"))
            })?;
        let raw = match kind {
            EventKind::SpanStarted | EventKind::SpanUpdated | EventKind::SpanEnded => {
                self.exported_span
            }
            EventKind::Log => self.log,
            EventKind::Metric => self.metric,
            EventKind::Score => self.score,
            EventKind::Feedback => self.feedback,
        };
        let raw = raw.ok_or_else(|| FieldError::missing(kind.payload_key()))?;
        Event::from_json(
            kind,
            body.slice_ref(raw.as_bytes()),
            received_at,
            Arc::clone(source),
        )
        .map(Envelope::Event)
        .map_err(|error| error.within(kind.payload_key()))
    }

    fn drop_report(&self) -> Result<Envelope, FieldError> {
        let raw = self.signal.ok_or_else(|| FieldError::missing("signal"))?;
        let signal = match as_text(raw).as_deref() {
            Some("tracing") => Signal::Traces,
            Some("log") => Signal::Logs,
            Some("metric") => Signal::Metrics,
            Some("score") => Signal::Scores,
            Some("feedback") => Signal::Feedback,
            _ => {
                return Err(FieldError::new(
                    "signal",
                    raw,
                    "must be one of tracing, log, metric, score, feedback",
                ));
            }
        };
        let raw = self.count.ok_or_else(|| FieldError::missing("count"))?;
        let count =
            as_count(raw).ok_or_else(|| FieldError::new("count", raw, "must be a whole number"))?;
        Ok(Envelope::DropReport(signal, count))
    }
}

impl Batch {
    pub(super) fn add(&mut self, envelope: Envelope) {
        match envelope {
            Envelope::Event(event) => self.events.push(event),
            Envelope::DropReport(signal, count) => self.drop_reports.push((signal, count)),
        }
    }
}

/// Reads one event from its envelope, as it stands in a file or in the local store.
///
/// # Errors
/// It is no event: malformed, or a drop report.
pub fn read_event(line: &Bytes) -> Result<Event, FieldError> {
    match read_line(line, 0, &Arc::default())? {
        Envelope::Event(event) => Ok(event),
        Envelope::DropReport(..) => Err(FieldError::new("type", "drop", "must be an event")),
    }
}

/// Reads the envelope that is the whole of `line`.
pub(super) fn read_line(
    line: &Bytes,
    received_at: u64,
    source: &Arc<Source>,
) -> Result<Envelope, FieldError> {
    whole::<EnvelopeFields<'_>>(utf8(line)?)?.open(line, received_at, source)
}

/// Reads the envelopes of a body.
///
/// # Errors
/// Nothing could be read: an array that is malformed from the start, or a body in which no line is JSON.
pub(super) async fn read(
    body: &Bytes,
    received_at: u64,
    source: &Arc<Source>,
) -> Result<Batch, FieldError> {
    let text = without_mark(body);
    let mut batch = match text.trim_ascii_start().first() {
        Some(b'[') => read_array(body, text, received_at, source).await?,
        _ => read_lines(&body.slice_ref(text), received_at, source).await?,
    };
    batch.let_go_of(body.len());
    Ok(batch)
}

async fn read_array(
    body: &Bytes,
    text: &[u8],
    received_at: u64,
    source: &Arc<Source>,
) -> Result<Batch, FieldError> {
    let mut cutter = Cutter::of_array(text)?;
    let mut batch = Batch::default();
    let mut index = 0;
    loop {
        let read = |text| -> Front<Envelope> {
            let (fields, length) = front::<EnvelopeFields<'_>>(text)?;
            Ok((
                fields.and_then(|fields| fields.open(body, received_at, source)),
                length,
            ))
        };
        match cutter.next(read) {
            None => return Ok(batch),
            Some(Piece::Good(_, envelope)) => batch.add(envelope),
            Some(Piece::Bad(bytes, error)) => batch.refuse(index, None, error, bytes),
            Some(Piece::Rest(_, error)) if index == 0 => return Err(error),
            Some(Piece::Rest(bytes, error)) => batch.refuse(index, None, error, bytes),
        }
        index += 1;
        if index.is_multiple_of(RECORDS_A_TURN as u64) {
            tokio::task::yield_now().await;
        }
    }
}

async fn read_lines(
    body: &Bytes,
    received_at: u64,
    source: &Arc<Source>,
) -> Result<Batch, FieldError> {
    let mut batch = Batch::default();
    let mut index = 0;
    let mut first_error = None;
    let mut any_json = false;
    for line in body
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
    {
        match read_line(&body.slice_ref(line), received_at, source) {
            Ok(envelope) => {
                any_json = true;
                batch.add(envelope);
            }
            Err(error) => {
                any_json |= !error.field.is_empty();
                if index == 0 {
                    // It may be the first line of one envelope that is written on several.
                    match read_line(body, received_at, source) {
                        Ok(envelope) => {
                            batch.add(envelope);
                            return Ok(batch);
                        }
                        Err(error) if !error.field.is_empty() => {
                            batch.refuse(0, None, error, body);
                            return Ok(batch);
                        }
                        Err(_) => {}
                    }
                }
                first_error.get_or_insert_with(|| error.clone());
                batch.refuse(index, None, error, line);
            }
        }
        index += 1;
        if index.is_multiple_of(RECORDS_A_TURN as u64) {
            tokio::task::yield_now().await;
        }
    }
    match first_error {
        Some(error) if !any_json => Err(error),
        _ => Ok(batch),
    }
}
