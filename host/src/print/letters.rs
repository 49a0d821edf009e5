//! Dead letters.

use serde_json::{Value, json};

use super::{Lines, Look, Tone, cell, count, finish, line, table, visible_lines};
use crate::deliver::dead_letter::{DeadLetter, Origin};
use crate::event::EventKind;
use crate::queue::durable::LetterInfo;

/// A table.
#[must_use]
pub fn human(letters: &[LetterInfo], look: Look) -> String {
    if letters.is_empty() {
        return "No dead letters.\n".to_owned();
    }
    let mut table = table(look, &["id", "when", "from", "event", "tries", "reason"]);
    for letter in letters {
        table.add_row(vec![
            cell(look, Tone::Strong, &letter.id.to_string()),
            cell(look, Tone::Dim, &time(letter.dead_at)),
            cell(look, Tone::Plain, name(&letter.origin)),
            cell(look, Tone::Plain, kind(letter.kind)),
            cell(look, Tone::Plain, &letter.attempts.to_string()),
            cell(look, Tone::Plain, &letter.reason),
        ]);
    }
    let number = u64::try_from(letters.len()).unwrap_or(u64::MAX);
    format!("{}{}\n", finish(&table), count(number, "dead letter"))
}

/// `{"dead_letters":[{"id","exporter" or "receiver","type","reason","attempts","received_at","dead_at"}]}`
#[must_use]
pub fn json(letters: &[LetterInfo]) -> String {
    let letters: Vec<Value> = letters
        .iter()
        .map(|letter| {
            json!({
                "id": letter.id,
                origin_key(&letter.origin): name(&letter.origin),
                "type": letter.kind.map(EventKind::type_name),
                "reason": &*letter.reason,
                "attempts": letter.attempts,
                "received_at": time(letter.received_at),
                "dead_at": time(letter.dead_at),
            })
        })
        .collect();
    line(&json!({ "dead_letters": letters }))
}

/// One letter with its payload: as an event's envelope if it was one, else as text.
#[must_use]
pub fn value(id: u64, letter: &DeadLetter) -> Value {
    let record = serde_json::from_slice::<Value>(&letter.payload).ok();
    let event = match (letter.kind, record) {
        (Some(kind), Some(record)) => {
            json!({ "type": kind.type_name(), kind.payload_key(): record })
        }
        _ => Value::Null,
    };
    let payload = event
        .is_null()
        .then(|| String::from_utf8_lossy(&letter.payload).into_owned());
    json!({
        "id": id,
        origin_key(&letter.origin): name(&letter.origin),
        "reason": &*letter.reason,
        "attempts": letter.attempts,
        "received_at": time(letter.received_at),
        "dead_at": time(letter.dead_at),
        "project_id": letter.source.project_id,
        "event": event,
        "payload": payload,
    })
}

/// One letter for people.
#[must_use]
pub fn one(id: u64, letter: &DeadLetter, look: Look) -> String {
    let mut text = Lines::default();
    let facts = [
        ("letter", id.to_string()),
        (origin_key(&letter.origin), name(&letter.origin).to_owned()),
        ("event", kind(letter.kind).to_owned()),
        ("received", time(letter.received_at)),
        ("given up", time(letter.dead_at)),
        ("tries", letter.attempts.to_string()),
        ("reason", letter.reason.to_string()),
    ];
    for (label, fact) in facts {
        let label = look.paint(Tone::Dim, &format!("{label:>9}"));
        text.line(format_args!("{label} {fact}"));
    }
    let payload = serde_json::from_slice::<Value>(&letter.payload)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| String::from_utf8_lossy(&letter.payload).into_owned());
    // All of it, and last: whatever lines it forges stand below a line that says where it begins.
    text.line(format_args!(""));
    for line in visible_lines(&payload).lines() {
        text.append(&format!("  {line}\n"));
    }
    text.into_text()
}

/// ISO 8601 in UTC, whole seconds.
pub(super) fn time(unix_nanos: u64) -> String {
    let seconds = i64::try_from(unix_nanos / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "–".to_owned(), |time| time.to_string())
}

const fn origin_key(origin: &Origin) -> &'static str {
    match origin {
        Origin::Exporter(_) => "exporter",
        Origin::Receiver(_) => "receiver",
    }
}

fn name(origin: &Origin) -> &str {
    match origin {
        Origin::Exporter(name) | Origin::Receiver(name) => name,
    }
}

fn kind(kind: Option<EventKind>) -> &'static str {
    kind.map_or("–", EventKind::type_name)
}
