//! Writes the JSON text of events from OTLP's values, in the spelling of `event::decode`: attributes as an object; bytes
//! as `{"$bytes":"<base64>"}`, doubles that are no number as `{"$double":"NaN"}`, doubles always with a fraction or an
//! exponent, so that an integer stays one.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::fmt::temporal::DateTimePrinter;

use super::messages::{AnyKind, AnyValue, InstrumentationScope, KeyValue, Resource};
use crate::event::escape::push_string;
use crate::event::fields::FieldError;

/// The deepest value that is written; deeper ones are refused, as in any event.
const MAX_DEPTH: u32 = 100;

/// A JSON object under construction, in the text that it is part of: what is nested is written once, in its place.
/// Nothing is written for what is absent or empty.
#[derive(Debug)]
pub(super) struct Object<'o> {
    text: &'o mut String,
    begin: usize,
}

/// The text of an object, unless it is empty.
fn object(
    write: impl FnOnce(&mut Object<'_>) -> Result<(), FieldError>,
) -> Result<Option<String>, FieldError> {
    let mut text = String::new();
    put(&mut text, write)?;
    Ok((text != "{}").then_some(text))
}

/// Appends an object; returns what `write` does.
pub(super) fn put<T>(
    text: &mut String,
    write: impl FnOnce(&mut Object<'_>) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    let begin = text.len();
    text.push('{');
    let written = write(&mut Object { text, begin })?;
    text.push('}');
    Ok(written)
}

impl Object<'_> {
    /// A member whose value the caller writes.
    pub(super) fn key(&mut self, name: &str) -> &mut String {
        if self.written().len() > 1 {
            self.text.push(',');
        }
        push_string(self.text, name);
        self.text.push(':');
        self.text
    }

    /// A member that is an object.
    pub(super) fn object(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Object<'_>) -> Result<(), FieldError>,
    ) -> Result<(), FieldError> {
        put(self.key(name), write).map_err(|error| error.within(name))
    }

    /// JSON text as it is.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.key(name).push_str(json);
    }

    /// JSON text, if there is any.
    pub(super) fn raw_if(&mut self, name: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        push_string(self.key(name), text);
    }

    /// A text of the sender, unless it is empty.
    pub(super) fn utf8_if(&mut self, name: &str, bytes: &[u8]) -> Result<(), FieldError> {
        if !bytes.is_empty() {
            self.utf8(name, bytes)?;
        }
        Ok(())
    }

    /// A text of the sender.
    pub(super) fn utf8(&mut self, name: &str, bytes: &[u8]) -> Result<(), FieldError> {
        let text = utf8(name, bytes)?;
        self.text(name, text);
        Ok(())
    }

    /// A whole number, unless it is 0.
    pub(super) fn count(&mut self, name: &str, number: u32) {
        if number != 0 {
            self.number(name, u64::from(number));
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &str, number: u64) {
        display(self.key(name), number);
    }

    /// A number that may be no number.
    pub(super) fn double(&mut self, name: &str, number: f64) {
        double(self.key(name), number);
    }

    /// True or false.
    pub(super) fn boolean(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    /// ISO 8601 in UTC, to the nanosecond.
    pub(super) fn time(&mut self, name: &str, unix_nanos: u64) {
        time(self.key(name), unix_nanos);
    }

    /// Attributes as an object, unless there are none. Of a key that comes twice both are written; the last counts.
    pub(super) fn attributes(
        &mut self,
        name: &str,
        attributes: &[KeyValue],
    ) -> Result<(), FieldError> {
        if attributes.is_empty() {
            return Ok(());
        }
        let out = self.key(name);
        map(out, attributes, 0).map_err(|error| error.within(name))
    }

    /// A list, unless it is empty.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: &[T],
        mut write: impl FnMut(&mut String, &T) -> Result<(), FieldError>,
    ) -> Result<(), FieldError> {
        if items.is_empty() {
            return Ok(());
        }
        let out = self.key(name);
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write(out, item).map_err(|error| error.within(&format!("{name}[{index}]")))?;
        }
        out.push(']');
        Ok(())
    }

    /// What is written so far, its opening brace included.
    pub(super) fn written(&self) -> &[u8] {
        self.text.as_bytes().get(self.begin..).unwrap_or_default()
    }
}

/// ISO 8601 in UTC, quoted. Every `fixed64` is a time up to the year 2554.
fn time(out: &mut String, unix_nanos: u64) {
    out.push('"');
    if let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(unix_nanos)) {
        // Writing to a string does not fail.
        let _ = DateTimePrinter::new().print_timestamp(&time, &mut *out);
    }
    out.push('"');
}

/// A whole number.
pub(super) fn display(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// The text of a field, or an error that names it.
pub(super) fn utf8<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, FieldError> {
    simdutf8::compat::from_utf8(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(bytes);
        let reason = format!("must be UTF-8, byte {} is not", error.valid_up_to());
        FieldError::new(name, &shown, reason)
    })
}

/// What a resource says, as the JSON object of the event's `resource`.
pub(super) fn resource(
    resource: Option<&Resource>,
    schema_url: &[u8],
) -> Result<Option<String>, FieldError> {
    object(|object| {
        if let Some(resource) = resource {
            for (name, keys) in [
                ("serviceName", &["service.name"][..]),
                ("serviceVersion", &["service.version"]),
                (
                    "environment",
                    &["deployment.environment.name", "deployment.environment"],
                ),
            ] {
                let named = |key: &&str| text_of(&resource.attributes, key);
                if let Some(value) = keys.iter().find_map(named) {
                    object.utf8(name, value)?;
                }
            }
            object.attributes("attributes", &resource.attributes)?;
            object.count("droppedAttributesCount", resource.dropped_attributes_count);
        }
        object.utf8_if("schemaUrl", schema_url)
    })
}

/// What a scope says, as the JSON object of `otel.scope`.
pub(super) fn scope(
    scope: Option<&InstrumentationScope>,
    schema_url: &[u8],
) -> Result<Option<String>, FieldError> {
    object(|object| {
        if let Some(scope) = scope {
            object.utf8("name", &scope.name)?;
            object.utf8_if("version", &scope.version)?;
            object.attributes("attributes", &scope.attributes)?;
            object.count("droppedAttributesCount", scope.dropped_attributes_count);
        } else if !schema_url.is_empty() {
            object.text("name", "");
        }
        object.utf8_if("schemaUrl", schema_url)
    })
}

/// The text of an attribute.
pub(super) fn text_of<'m>(attributes: &'m [KeyValue], key: &str) -> Option<&'m [u8]> {
    let found = attributes
        .iter()
        .rfind(|attribute| *attribute.key == *key.as_bytes())?;
    match found.value.as_ref()?.value.as_ref()? {
        AnyKind::Text(text) => Some(text),
        _ => None,
    }
}

/// One value. Errors are relative to it.
pub(super) fn value(out: &mut String, value: &AnyValue, depth: u32) -> Result<(), FieldError> {
    if depth > MAX_DEPTH {
        return Err(FieldError::new("", "", "must nest less deep"));
    }
    match &value.value {
        None => out.push_str("null"),
        Some(AnyKind::Text(text)) => push_string(out, utf8("", text)?),
        Some(AnyKind::Boolean(boolean)) => {
            out.push_str(if *boolean { "true" } else { "false" });
        }
        Some(AnyKind::Integer(number)) => display(out, *number),
        Some(AnyKind::Double(number)) if number.is_finite() => double(out, *number),
        Some(AnyKind::Double(number)) => {
            out.push_str(r#"{"$double":"#);
            double(out, *number);
            out.push('}');
        }
        Some(AnyKind::Bytes(bytes)) => {
            out.push_str(r#"{"$bytes":""#);
            BASE64_STANDARD.encode_string(bytes, out);
            out.push_str(r#""}"#);
        }
        Some(AnyKind::Array(array)) => {
            out.push('[');
            for (index, element) in array.values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                self::value(out, element, depth + 1)?;
            }
            out.push(']');
        }
        Some(AnyKind::Map(list)) => map(out, &list.values, depth + 1)?,
    }
    Ok(())
}

fn map(out: &mut String, entries: &[KeyValue], depth: u32) -> Result<(), FieldError> {
    out.push('{');
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let key = utf8("", &entry.key)?;
        push_string(out, key);
        out.push(':');
        match &entry.value {
            Some(entry) => value(out, entry, depth).map_err(|error| error.within(key))?,
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(())
}

/// Shortest text that reads back as the same double; a quoted word for what is no number.
pub(super) fn double(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("\"NaN\"");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else {
        // Rust's debug form always has a fraction or an exponent. Writing to a string does not fail.
        let _ = write!(out, "{number:?}");
    }
}
