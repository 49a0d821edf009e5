//! Changes to a JSON text in places, without reading the rest of it.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in a place instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: Cow<'static, str>,
}

/// The text with the edits made; one that begins inside another is left out. `None` without edits.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    // The longer of two with the same start comes first.
    edits.sort_by_key(|edit| (edit.range.start, usize::MAX - edit.range.end));
    let mut changed = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        if edit.range.start >= from {
            changed.push_str(text.get(from..edit.range.start)?);
            changed.push_str(&edit.text);
            from = edit.range.end;
        }
    }
    changed.push_str(text.get(from..)?);
    Some(changed)
}

/// Where `part`, a slice of `text`, stands in it.
pub(super) fn range_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + part.len();
    text.get(range.clone()).is_some().then_some(range)
}
