//! The known word that a user most likely meant. Pure.

/// Similarity below which a suggestion confuses more than it helps; Jaro-Winkler, 0 to 1.
const LEAST_SIMILARITY: f64 = 0.75;

/// The known word most like `word`, if any is like it.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&lower, &candidate.to_lowercase().replace('-', "_")),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, or the list of what is known.
#[must_use]
pub fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "nothing can be written here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        let known = ["component", "settings", "signals", "batch"];
        assert_eq!(nearest("compnent", known), Some("component"));
        assert_eq!(nearest("signal", known), Some("signals"));
        assert_eq!(nearest("qqq", known), None);
        assert_eq!(
            nearest("maxItems", ["max_items", "max_bytes"]),
            Some("max_items")
        );
    }
}
