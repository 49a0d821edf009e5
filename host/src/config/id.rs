//! Exporter ids: `acme`, or `acme/eu` for a further use of the same component. They key cursors, dead letters,
//! metric labels and reports.

use std::fmt;
use std::str::FromStr;

/// `name` or `name/label`, each in kebab case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExporterId(String);

/// The text is not an exporter id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an exporter id; write `name` or `name/label` in small letters, digits and single hyphens, such as `acme/eu`"
)]
pub struct NotAnId(pub String);

impl ExporterId {
    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash: the component's name unless the config says otherwise.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0
            .split_once('/')
            .map_or(self.0.as_str(), |(name, _)| name)
    }
}

impl FromStr for ExporterId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let is_valid = match text.split_once('/') {
            Some((name, label)) => is_kebab_case(name) && is_kebab_case(label),
            None => is_kebab_case(text),
        };
        if is_valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnId(text.to_owned()))
        }
    }
}

impl fmt::Display for ExporterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Words of small letters and digits joined by single hyphens, 1 to 63 characters.
#[must_use]
pub fn is_kebab_case(text: &str) -> bool {
    text.len() <= 63
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kebab_case_with_at_most_one_label() {
        for good in ["acme", "acme/eu", "grafana-cloud/team-2", "x1"] {
            assert_eq!(
                good.parse::<ExporterId>()
                    .map(|id| id.to_string())
                    .as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "",
            "Acme",
            "acme/",
            "/eu",
            "a/b/c",
            "a--b",
            "-a",
            "a-",
            "lang fuse",
            "a_b",
            "ä",
        ] {
            assert_eq!(bad.parse::<ExporterId>(), Err(NotAnId(bad.to_owned())));
        }
        assert_eq!(
            "acme/eu"
                .parse::<ExporterId>()
                .map(|id| id.name().to_owned()),
            Ok("acme".to_owned())
        );
    }
}
