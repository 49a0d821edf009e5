//! A span's error as the object that Mastra applications write.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::records::ErrorInfo;

/// `{"message", "id", "name", "stack", "domain", "category", "details"}`, with what is known of them.
#[must_use]
pub fn details(error: &ErrorInfo) -> String {
    let mut text = JsonText::default();
    let mut object = text.object();
    object
        .string("message", &error.message)
        .string_if("id", error.error_id.as_ref())
        .string_if("name", error.error_name.as_ref())
        .string_if("stack", error.stack.as_ref())
        .string_if("domain", error.domain.as_ref())
        .string_if("category", error.category.as_ref())
        .raw_if("details", error.details.as_ref());
    if let Some(extra) = &error.extra {
        object.members(extra);
    }
    object.end();
    text.into_string()
}
