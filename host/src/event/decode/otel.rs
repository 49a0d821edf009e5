//! What OTLP has and Mastra lacks, in the spelling of our own event JSON. Unknown keys are refused: the shapes are ours.

use std::borrow::Cow;

use super::scan::{elements, members};
use crate::event::fields::{self, Extra, FieldError, as_count, present};
use crate::event::records::{
    Json, OtelLog, OtelMetric, OtelSpan, Scope, SpanEvent, SpanKind, SpanLink, StatusCode, Text,
};

/// The members of an object, taken one by one by name. Errors are relative to the object.
pub(super) struct Members<'a> {
    /// Key, JSON text; the text is gone once it has been taken.
    list: Vec<(Text<'a>, Option<&'a str>)>,
}

/// More than our own objects have.
const USUAL_MEMBERS: usize = 12;

impl<'a> Members<'a> {
    pub(super) fn read(field: &str, raw: &'a str) -> Result<Self, FieldError> {
        let mut list = Vec::with_capacity(USUAL_MEMBERS);
        members(field, raw, |key, value| {
            list.push((key, Some(value)));
            Ok(())
        })?;
        Ok(Self { list })
    }

    /// The JSON text of a member, null included; of several with the same key the last.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        let named = self.list.iter_mut().filter(|(key, _)| key == name);
        named.fold(None, |_, (_, raw)| raw.take())
    }

    /// Reads a member with one of the functions of `fields`.
    pub(super) fn get<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, &'a str) -> Result<Option<T>, FieldError>,
    ) -> Result<Option<T>, FieldError> {
        self.take(name).map_or(Ok(None), |raw| read(name, raw))
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, &'a str) -> Result<Option<T>, FieldError>,
    ) -> Result<T, FieldError> {
        self.get(name, read)?
            .ok_or_else(|| FieldError::missing(name))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<Text<'a>>, FieldError> {
        self.get(name, fields::text)
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Json<'a>>, FieldError> {
        self.get(name, |field, raw| fields::object(field, raw).map(Some))
    }

    /// A 32-bit count or set of flags, 0 when absent.
    pub(super) fn count(&mut self, name: &str) -> Result<u32, FieldError> {
        Ok(self.get(name, whole_number)?.unwrap_or(0))
    }

    /// One of the words, the first when absent.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, FieldError> {
        let Some(raw) = self.take(name).and_then(present) else {
            return Ok(default);
        };
        let found =
            fields::as_text(raw).and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            FieldError::new(name, raw, format!("must be one of {}", known.join(", ")))
        })
    }

    pub(super) fn list<T>(
        &mut self,
        name: &str,
        read: impl FnMut(&'a str) -> Result<T, FieldError>,
    ) -> Result<Vec<T>, FieldError> {
        match self.take(name).and_then(present) {
            Some(raw) => elements(name, raw, read),
            None => Ok(Vec::new()),
        }
    }

    /// Refuses what has not been taken.
    pub(super) fn finish(self) -> Result<(), FieldError> {
        match self.rest().next() {
            None => Ok(()),
            Some((key, raw)) => Err(FieldError::new(key, raw, "is no known field here")),
        }
    }

    /// Keeps what has not been taken.
    pub(super) fn into_extra(self) -> Option<Json<'a>> {
        let mut extra = Extra::default();
        for (key, raw) in self.rest() {
            extra.push(key, raw);
        }
        extra.finish()
    }

    fn rest(&self) -> impl Iterator<Item = (&str, &'a str)> {
        let all = self.list.iter();
        all.filter_map(|(key, raw)| Some((&**key, (*raw)?)))
    }
}

/// A whole number that fits `T`.
pub(super) fn whole_number<T: TryFrom<u64>>(
    field: &str,
    raw: &str,
) -> Result<Option<T>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    as_count(raw)
        .and_then(|count| T::try_from(count).ok())
        .map(Some)
        .ok_or_else(|| {
            FieldError::new(
                field,
                raw,
                format!(
                    "must be a whole number of at most {} bits",
                    8 * size_of::<T>()
                ),
            )
        })
}

/// Reads an object that refuses unknown keys; null is absent.
pub(super) fn strict<'a, T>(
    field: &str,
    raw: &'a str,
    read: impl FnOnce(&mut Members<'a>) -> Result<T, FieldError>,
) -> Result<Option<T>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut from = Members::read(field, raw)?;
    read(&mut from)
        .and_then(|value| from.finish().map(|()| value))
        .map(Some)
        .map_err(|error| error.within(field))
}

/// An element of a list: as [`strict`], but null is an error.
pub(super) fn strict_element<'a, T>(
    raw: &'a str,
    read: impl FnOnce(&mut Members<'a>) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    strict("", raw, read)?.ok_or_else(|| FieldError::new("", raw, "must be a JSON object"))
}

fn scope<'a>(field: &str, raw: &'a str) -> Result<Option<Scope<'a>>, FieldError> {
    let Some(raw) = present(raw) else {
        return Ok(None);
    };
    let mut from = Members::read(field, raw)?;
    let read = |from: &mut Members<'a>| {
        Ok(Scope {
            name: from.text("name")?.unwrap_or_default(),
            version: from.text("version")?,
            attributes: from.object("attributes")?,
            schema_url: from.text("schemaUrl")?,
            dropped_attributes_count: from.count("droppedAttributesCount")?,
            extra: None,
        })
    };
    let mut found: Scope<'a> = read(&mut from).map_err(|error: FieldError| error.within(field))?;
    found.extra = from.into_extra();
    Ok(Some(found))
}

const KINDS: [(&str, SpanKind); 6] = [
    ("unspecified", SpanKind::Unspecified),
    ("internal", SpanKind::Internal),
    ("server", SpanKind::Server),
    ("client", SpanKind::Client),
    ("producer", SpanKind::Producer),
    ("consumer", SpanKind::Consumer),
];

const CODES: [(&str, StatusCode); 3] = [
    ("unset", StatusCode::Unset),
    ("ok", StatusCode::Ok),
    ("error", StatusCode::Error),
];

pub(super) fn otel_span<'a>(
    field: &str,
    raw: &'a str,
) -> Result<Option<Box<OtelSpan<'a>>>, FieldError> {
    strict(field, raw, |from| {
        let status = from.get("status", |name, raw| {
            strict(name, raw, |status| {
                Ok((
                    status.word("code", &CODES, StatusCode::Unset)?,
                    status.text("message")?.unwrap_or_default(),
                ))
            })
        })?;
        let (status_code, status_message) = status.unwrap_or_default();
        Ok(Box::new(OtelSpan {
            kind: from.word("kind", &KINDS, SpanKind::Unspecified)?,
            status_code,
            status_message,
            trace_state: from.text("traceState")?,
            flags: from.count("flags")?,
            links: from.list("links", |raw| strict_element(raw, link))?,
            events: from.list("events", |raw| strict_element(raw, span_event))?,
            dropped_attributes_count: from.count("droppedAttributesCount")?,
            dropped_events_count: from.count("droppedEventsCount")?,
            dropped_links_count: from.count("droppedLinksCount")?,
            scope: from.get("scope", scope)?,
        }))
    })
}

fn link<'a>(from: &mut Members<'a>) -> Result<SpanLink<'a>, FieldError> {
    Ok(SpanLink {
        trace_id: from.required("traceId", fields::trace_id)?,
        span_id: from.required("spanId", fields::span_id)?,
        trace_state: from.text("traceState")?,
        attributes: from.object("attributes")?,
        dropped_attributes_count: from.count("droppedAttributesCount")?,
        flags: from.count("flags")?,
    })
}

fn span_event<'a>(from: &mut Members<'a>) -> Result<SpanEvent<'a>, FieldError> {
    Ok(SpanEvent {
        time: from.required("time", fields::time)?,
        name: from.text("name")?.unwrap_or_default(),
        attributes: from.object("attributes")?,
        dropped_attributes_count: from.count("droppedAttributesCount")?,
    })
}

pub(super) fn otel_log<'a>(
    field: &str,
    raw: &'a str,
) -> Result<Option<Box<OtelLog<'a>>>, FieldError> {
    strict(field, raw, |from| {
        let severity_number = from.get("severityNumber", |name, raw| {
            match whole_number(name, raw)? {
                Some(25..) => Err(FieldError::new(name, raw, "must be from 0 to 24")),
                number => Ok(number),
            }
        })?;
        Ok(Box::new(OtelLog {
            severity_number: severity_number.unwrap_or(0),
            severity_text: from.text("severityText")?,
            body: from.take("body").map(Cow::Borrowed),
            event_name: from.text("eventName")?,
            observed_time: from.get("observedTime", fields::time)?,
            flags: from.count("flags")?,
            attributes: from.object("attributes")?,
            dropped_attributes_count: from.count("droppedAttributesCount")?,
            scope: from.get("scope", scope)?,
        }))
    })
}

pub(super) fn otel_metric<'a>(
    field: &str,
    raw: &'a str,
) -> Result<Option<Box<OtelMetric<'a>>>, FieldError> {
    strict(field, raw, |from| {
        Ok(Box::new(OtelMetric {
            description: from.text("description")?,
            start_time: from.get("startTime", fields::time)?,
            exemplars: from.list("exemplars", |raw| {
                strict_element(raw, super::point::exemplar)
            })?,
            metadata: from.object("metadata")?,
            attributes: from.object("attributes")?,
            flags: from.count("flags")?,
            scope: from.get("scope", scope)?,
        }))
    })
}
