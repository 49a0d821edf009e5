//! What scores and feedback are about.

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
    fn an_empty_name_is_none() {
        assert_eq!(first_name(&[Some(""), None, Some("b")], "c"), "b");
        assert_eq!(first_name(&[Some("")], "c"), "c");
    }
}
