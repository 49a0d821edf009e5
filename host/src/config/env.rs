//! `${env:NAME}` and `${env:NAME:-default}` in config texts, as the OpenTelemetry Collector spells them. Pure: the
//! environment is a map that `main` reads once.
//!
//! Expansion happens in scalars after the YAML is parsed, so that a variable's text can never become structure.
//! `$$` stands for one `$`. A lone `$` that is not followed by `{` stays as it is.

use std::collections::BTreeMap;

/// The process environment at start. Variables that are not UTF-8 are left out.
pub type Environment = BTreeMap<String, String>;

/// Reads the process environment. Called once, by `main`.
#[must_use]
pub fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Why a reference cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The variable does not exist and the reference has no default.
    #[error("environment variable {0} is not set")]
    NotSet(String),
    /// `${` without `}`, an empty name, or not `env:`.
    #[error("`{0}` is not a reference to an environment variable")]
    NotAReference(String),
}

impl ExpandError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::NotSet(name) => format!("set it, or write `${{env:{name}:-default}}`"),
            Self::NotAReference(_) => {
                "write `${env:NAME}`, or `$${` for the characters themselves".to_owned()
            }
        }
    }
}

/// The text with every reference filled in, and whether there was one.
///
/// # Errors
/// The first [`ExpandError`] of the text.
pub fn expand(text: &str, environment: &Environment) -> Result<(String, bool), ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut has_reference = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (reference, after) = after
                .split_once('}')
                .ok_or_else(|| ExpandError::NotAReference(format!("${{{after}")))?;
            expanded.push_str(look_up(reference, environment)?);
            has_reference = true;
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok((expanded, has_reference))
}

/// `env:NAME` or `env:NAME:-default`. As in the Collector the default is for variables that do not exist; one that is
/// set to nothing expands to nothing.
fn look_up<'a>(reference: &'a str, environment: &'a Environment) -> Result<&'a str, ExpandError> {
    let bad = || ExpandError::NotAReference(format!("${{{reference}}}"));
    let inner = reference.strip_prefix("env:").ok_or_else(bad)?;
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(bad());
    }
    match (environment.get(name), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(ExpandError::NotSet(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_in_and_everything_else_stays() {
        let environment =
            Environment::from([("A".into(), "one".into()), ("EMPTY".into(), String::new())]);
        let cases = [
            ("plain", Ok(("plain", false))),
            ("${env:A}", Ok(("one", true))),
            ("<${env:A}-${env:A}>", Ok(("<one-one>", true))),
            ("${env:B:-two}", Ok(("two", true))),
            ("${env:B:-}", Ok(("", true))),
            ("${env:EMPTY:-two}", Ok(("", true))),
            ("cost: 5$", Ok(("cost: 5$", false))),
            ("$A $$ $${env:A}", Ok(("$A $ ${env:A}", false))),
            ("${env:B}", Err(ExpandError::NotSet("B".into()))),
            ("${A}", Err(ExpandError::NotAReference("${A}".into()))),
            ("${env:}", Err(ExpandError::NotAReference("${env:}".into()))),
            ("${env:A", Err(ExpandError::NotAReference("${env:A".into()))),
            (
                "${file:/etc/passwd}",
                Err(ExpandError::NotAReference("${file:/etc/passwd}".into())),
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(
                expand(text, &environment),
                wanted.map(|(text, found)| (text.to_owned(), found)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        let environment = Environment::from([
            ("A".into(), "${env:B}".into()),
            ("B".into(), "secret".into()),
        ]);
        assert_eq!(
            expand("${env:A}", &environment),
            Ok(("${env:B}".to_owned(), true))
        );
    }
}
