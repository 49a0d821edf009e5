//! The few members of a record that decide whether it is kept, read in one pass.

use crate::event::decode::scan::{Fields, whole};
use crate::event::decode::utf8;
use crate::event::fields::{FieldError, text};
use crate::event::records::Text;

/// As in the record; what is missing, null or no text is `None`.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    trace_id: Option<Text<'a>>,
    id: Option<Text<'a>>,
    span_id: Option<Text<'a>>,
    parent_span_id: Option<Text<'a>>,
    own_type: Option<Text<'a>>,
    span_type: Option<Text<'a>>,
    pub(super) level: Option<Text<'a>>,
}

impl<'a> Fields<'a> for Head<'a> {
    fn field(&mut self, key: Text<'a>, raw: &'a str) -> Result<(), FieldError> {
        let field = match &*key {
            "traceId" => &mut self.trace_id,
            "id" => &mut self.id,
            "spanId" => &mut self.span_id,
            "parentSpanId" => &mut self.parent_span_id,
            "type" => &mut self.own_type,
            "spanType" => &mut self.span_type,
            "level" => &mut self.level,
            _ => return Ok(()),
        };
        *field = text(&key, raw).unwrap_or_default();
        Ok(())
    }
}

impl<'a> Head<'a> {
    /// `None` when it is not a record.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        whole(utf8(payload).ok()?).ok()
    }

    pub(super) fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// Of a span.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref().or(self.span_id.as_deref())
    }

    pub(super) fn parent(&self) -> Option<&str> {
        self.parent_span_id.as_deref()
    }

    pub(super) fn span_type(&self) -> Option<&str> {
        self.own_type.as_deref().or(self.span_type.as_deref())
    }
}
