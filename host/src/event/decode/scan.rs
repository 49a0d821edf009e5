//! The one pass over a record's text, which checks the syntax and hands out each member's key and JSON text, all
//! borrowed. Whatever is wrong with a member is remembered and the pass goes on, so that the end of the record is
//! found and the records after it can be read. Called by the decoders of this room and by the receiver of envelopes.

use crate::event::fields::{FieldError, MAX_DEPTH};
use crate::event::json::{self, MAX_VALUE_DEPTH};
use crate::event::records::Text;

/// A record being read.
pub(crate) trait Fields<'a>: Default {
    /// How deep a member may nest: one level less than the record. Holds for at most 128.
    const MAX_VALUE_DEPTH: u32 = MAX_DEPTH as u32 - 1;

    /// Takes one member. The last of several with the same key counts, as in JavaScript.
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError>;
}

/// Reads the record that is the whole of `text`.
pub(crate) fn whole<'a, F: Fields<'a>>(text: &'a str) -> Result<F, FieldError> {
    let mut fields = F::default();
    let (result, length) = fill(&mut fields, text)?;
    nothing_after(text, length)?;
    result.map(|()| fields)
}

/// Reads the record at the front of `text` and says how many bytes it takes, leading white space included.
///
/// # Errors
/// Outer: the text is no JSON object up to its end, so where the record ends is unknown. Inner: a field is wrong.
pub(crate) fn front<'a, F: Fields<'a>>(
    text: &'a str,
) -> Result<(Result<F, FieldError>, usize), FieldError> {
    let mut fields = F::default();
    let (result, length) = fill(&mut fields, text)?;
    Ok((result.map(|()| fields), length))
}

/// Refuses what follows a record, but for white space.
pub(crate) fn nothing_after(text: &str, length: usize) -> Result<(), FieldError> {
    match text.get(length..).unwrap_or_default().trim_ascii() {
        "" => Ok(()),
        rest => Err(FieldError::new(
            "",
            rest,
            "must be one JSON object with nothing after it",
        )),
    }
}

fn fill<'a, F: Fields<'a>>(
    fields: &mut F,
    text: &'a str,
) -> Result<(Result<(), FieldError>, usize), FieldError> {
    let mut result = Ok(());
    let length = json::object(text, F::MAX_VALUE_DEPTH, |key, raw| {
        if result.is_ok() {
            result = fields.field(key, raw);
        }
    });
    match length {
        Ok(length) => Ok((result, length)),
        Err(malformed) if text.trim_ascii().is_empty() => Err(FieldError {
            value: "nothing".to_owned(),
            ..malformed.of(text)
        }),
        Err(malformed) => Err(malformed.of(text)),
    }
}

/// Hands out the members of an object whose syntax has been checked. Errors are relative to `field`.
pub(super) fn members<'a>(
    field: &str,
    raw: &'a str,
    mut take: impl FnMut(Text<'a>, &'a str) -> Result<(), FieldError>,
) -> Result<(), FieldError> {
    let mut result = Ok(());
    json::object(raw, MAX_VALUE_DEPTH, |key, value| {
        if result.is_ok() {
            result = take(key, value);
        }
    })
    .map_err(|_| FieldError::new(field, raw, "must be a JSON object"))?;
    result.map_err(|error| error.within(field))
}

/// Hands out the elements of an array whose syntax has been checked, errors with their index.
pub(super) fn elements<'a, T>(
    field: &str,
    raw: &'a str,
    mut read: impl FnMut(&'a str) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    let mut found: Result<Vec<T>, FieldError> = Ok(Vec::new());
    json::array(raw, MAX_VALUE_DEPTH, |value| {
        if let Ok(list) = &mut found {
            match read(value) {
                Ok(item) => list.push(item),
                Err(error) => found = Err(error.within(&format!("[{}]", list.len()))),
            }
        }
    })
    .map_err(|_| FieldError::new(field, raw, "must be a JSON array"))?;
    found.map_err(|error| error.within(field))
}
