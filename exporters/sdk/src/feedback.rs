//! How feedback reads, for backends that know thumbs, labels and remarks as different things. Pure; used by mappings, so
//! that a thumb is a thumb everywhere.
//!
//! ```
//! use mastra_exporter_sdk::feedback::{is_label, thumb};
//! use mastra_exporter_sdk::records::{FeedbackItem, FeedbackValue};
//! # use mastra_exporter_sdk::test_support::batches;
//!
//! /// What this backend calls it.
//! fn kind(item: &FeedbackItem) -> &'static str {
//!     match (thumb(item), &item.value) {
//!         (Some(true), _) => "like",
//!         (Some(false), _) => "dislike",
//!         (None, FeedbackValue::Text(text)) if is_label(text) => "category",
//!         (None, FeedbackValue::Text(_)) => "remark",
//!         (None, FeedbackValue::Number(_)) => "rating",
//!     }
//! }
//!
//! # let read = |kind: &str, value: &str| {
//! #     let event = r#"{"type":"feedback","feedback":{"feedbackId":"f","timestamp":"2023-11-14T22:13:20.000Z","feedbackType":"KIND","value":VALUE}}"#;
//! #     batches(&event.replace("KIND", kind).replace("VALUE", value)).feedback.feedback.remove(0)
//! # };
//! assert_eq!(kind(&read("thumbs", "\"up\"")), "like");
//! assert_eq!(kind(&read("thumbs", "-1")), "dislike");
//! assert_eq!(kind(&read("reason", "\"too-long\"")), "category");
//! assert_eq!(kind(&read("comment", "\"much too long\"")), "remark");
//! assert_eq!(kind(&read("stars", "4")), "rating");
//! ```

use crate::json::JsonText;
use crate::records::{FeedbackItem, FeedbackValue};

/// Longer texts, and those of several words, are remarks rather than labels. Characters.
const MAX_LABEL_CHARS: usize = 64;

/// Whether a thumb points up; `None` when the feedback is no thumb, or its value no direction.
#[must_use]
pub fn thumb(item: &FeedbackItem) -> Option<bool> {
    if !item.feedback_type.to_ascii_lowercase().starts_with("thumb") {
        return None;
    }
    match &item.value {
        FeedbackValue::Number(number) if *number == 1.0 => Some(true),
        FeedbackValue::Number(number) if *number == 0.0 || *number == -1.0 => Some(false),
        FeedbackValue::Number(_) => None,
        FeedbackValue::Text(text) => match text.to_lowercase().as_str() {
            "up" | "thumbs_up" | "thumbs-up" | "positive" | "like" | "true" | "1" | "yes"
            | "👍" => Some(true),
            "down" | "thumbs_down" | "thumbs-down" | "negative" | "dislike" | "false" | "0"
            | "-1" | "no" | "👎" => Some(false),
            _ => None,
        },
    }
}

/// Whether a text is one short word, such as a category.
#[must_use]
pub fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(char::is_whitespace)
        && text.chars().nth(MAX_LABEL_CHARS).is_none()
}

/// The feedback's metadata and who gave it where: a JSON object, `None` when there is nothing to say.
#[must_use]
pub fn metadata(item: &FeedbackItem) -> Option<String> {
    let own = [
        ("feedbackSource", &item.feedback_source),
        ("feedbackUserId", &item.feedback_user_id),
        ("sourceId", &item.source_id),
        ("experimentId", &item.experiment_id),
    ];
    let mut text = JsonText::default();
    let mut object = text.object();
    if let Some(metadata) = &item.metadata {
        object.members(metadata);
    }
    for (name, value) in own {
        object.string_if(name, value.as_ref());
    }
    object.end();
    Some(text.into_string()).filter(|text| text != "{}")
}
