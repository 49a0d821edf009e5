//! Bodies of the platform's protocol: records as Mastra writes them, spans with the platform's other names for some of
//! their fields. Pure: the time of publishing is handed in.

use mastra_envelope::Batch;
use mastra_exporter_sdk::json::{JsonText, Object};
use mastra_exporter_sdk::records::Span;

/// Why a span is not published. The official client leaves out the chunks of a model's stream.
#[must_use]
pub fn skipped(span: &Span) -> Option<String> {
    (span.span_type == "model_chunk").then(|| "the platform takes no model chunks".to_owned())
}

/// `{"spans":[...]}`, published at this time.
#[must_use]
pub fn spans(all: &[Span], shared: &Batch<'_>, published: u64) -> JsonText {
    let sent = all.iter().filter(|span| skipped(span).is_none());
    records("spans", sent, |text, span| {
        mastra_envelope::span_record(text, span, shared, |object| {
            aliases(object, span, published);
        });
    })
}

/// `{field: [...]}`
pub fn records<T>(
    field: &str,
    items: impl IntoIterator<Item = T>,
    write: impl FnMut(&mut JsonText, T),
) -> JsonText {
    let mut text = JsonText::default();
    text.raw("{\"").raw(field).raw("\":");
    text.array(items, write).raw("}");
    text
}

/// The platform's names.
fn aliases(object: &mut Object<'_>, span: &Span, published: u64) {
    object
        .string("spanId", &span.span_id)
        .string("spanType", &span.span_type)
        .time("startedAt", span.start_time);
    match span.end_time {
        Some(time) => object.time("endedAt", time),
        None => object.raw("endedAt", "null"),
    };
    match &span.error {
        Some(error) => mastra_envelope::error_info(object.key("error"), error),
        None => {
            object.raw("error", "null");
        }
    }
    object.time("createdAt", published).raw("updatedAt", "null");
}
