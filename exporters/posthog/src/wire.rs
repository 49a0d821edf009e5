//! PostHog's own record: the event (<https://posthog.com/docs/api/capture>), and the names of the events of AI
//! observability (<https://posthog.com/docs/ai-observability/manual-capture>); read 2026-11. They only know how to write
//! themselves.

use mastra_exporter_sdk::json::JsonText;
use mastra_llm::merged::Merged;

/// The root of a trace.
pub const TRACE: &str = "$ai_trace";
/// A model call.
pub const GENERATION: &str = "$ai_generation";
/// Anything else below the root.
pub const SPAN: &str = "$ai_span";
/// A score.
pub const METRIC: &str = "$ai_metric";
/// What a person said.
pub const FEEDBACK: &str = "$ai_feedback";

/// Longest `distinct_id`, in characters.
const MAX_DISTINCT_ID_CHARS: usize = 200;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// `$ai_trace`, ...
    pub name: &'static str,
    /// Together with name, person and time, what PostHog knows it again by.
    pub uuid: String,
    /// Whose it is.
    pub distinct_id: &'a str,
    /// Unix nanoseconds; the end of a span.
    pub timestamp: u64,
    /// Everything else.
    pub properties: Merged<'a>,
}

impl Event<'_> {
    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let person = self.distinct_id.char_indices().nth(MAX_DISTINCT_ID_CHARS);
        let end = person.map_or(self.distinct_id.len(), |(end, _)| end);
        let mut object = text.object();
        object
            .string("event", self.name)
            .string(
                "distinct_id",
                self.distinct_id.get(..end).unwrap_or_default(),
            )
            .string("uuid", &self.uuid)
            .time("timestamp", self.timestamp);
        self.properties.write(object.key("properties"));
        object.end();
    }
}

/// Whether PostHog takes this text for the id of a trace or session.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.@()!':|".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}
