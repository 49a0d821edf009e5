//! What people and scorers think, in the words and numbers that they use for it.

/// Whether feedback of this type is a thumb.
#[must_use]
pub fn is_thumb(feedback_type: &str) -> bool {
    feedback_type.to_ascii_lowercase().starts_with("thumb")
}

/// Up (true) or down, from the words that are used for thumbs.
#[must_use]
pub fn thumb(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "up" | "thumbs_up" | "thumbs-up" | "positive" | "like" | "true" | "1" | "yes" | "👍" => {
            Some(true)
        }
        "down" | "thumbs_down" | "thumbs-down" | "negative" | "dislike" | "false" | "0" | "-1"
        | "no" | "👎" => Some(false),
        _ => None,
    }
}

/// The first name that is not empty.
#[must_use]
pub fn first_name<'a>(names: &[Option<&'a str>], otherwise: &'a str) -> &'a str {
    let mut known = names.iter().copied().flatten();
    known.find(|name| !name.is_empty()).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbs_are_words_numbers_or_pictures() {
        assert!(is_thumb("thumbs") && is_thumb("Thumb") && !is_thumb("rating"));
        assert_eq!(
            [thumb("Up"), thumb("-1"), thumb("👍"), thumb("four")],
            [Some(true), Some(false), Some(true), None]
        );
    }

    #[test]
    fn an_empty_name_is_none() {
        assert_eq!(first_name(&[Some(""), None, Some("b")], "c"), "b");
        assert_eq!(first_name(&[Some("")], "c"), "c");
    }
}
