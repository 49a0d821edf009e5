//! Bearer tokens. Where none is configured, everybody who reaches a listener may use it. The label of a token becomes
//! part of the provenance and of the identity of each event that comes with it. The token itself is kept as a digest
//! only. Called by `gate`.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

/// Who has a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The token's label.
    pub label: String,
    /// The projects that the sender may write to. Empty: all, and whatever names no project.
    pub projects: Vec<String>,
}

impl Sender {
    /// Whether the sender may write only to some projects.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        !self.projects.is_empty()
    }

    /// Whether the sender may write to this project, or to none when the request names none.
    #[must_use]
    pub fn may_write_to(&self, project: Option<&str>) -> bool {
        let is_listed = |project: &str| self.projects.iter().any(|own| own == project);
        !self.is_bound() || project.is_some_and(is_listed)
    }
}

/// The tokens that a listener accepts.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Vec<(Arc<Sender>, [u8; 32])>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.known.iter().map(|(sender, _)| &sender.label);
        f.debug_list().entries(labels).finish()
    }
}

impl Tokens {
    /// Senders and their tokens.
    #[must_use]
    pub fn new<'t>(tokens: impl IntoIterator<Item = (Sender, &'t str)>) -> Self {
        let known = tokens.into_iter();
        Self {
            known: known
                .map(|(sender, token)| (Arc::new(sender), Sha256::digest(token).into()))
                .collect(),
        }
    }

    /// Whether requests need no token.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whose token the request has; `None` when it has none that is known.
    #[must_use]
    pub fn sender(&self, headers: &HeaderMap) -> Option<Arc<Sender>> {
        let given = only(headers).and_then(bearer)?;
        let digest: [u8; 32] = Sha256::digest(given).into();
        // Every token is compared to its last byte, whatever the outcome.
        let mut found = None;
        for (sender, known) in &self.known {
            let difference = known
                .iter()
                .zip(&digest)
                .fold(0, |all, (a, b)| all | (a ^ b));
            if difference == 0 {
                found = Some(sender);
            }
        }
        found.cloned()
    }
}

/// The value of `authorization`; `None` when there are several, of which another party may have read another one.
fn only(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let sender = |label: &str| Sender {
            label: label.to_owned(),
            projects: Vec::new(),
        };
        Tokens::new([(sender("ci"), "one"), (sender("prod"), "two")])
    }

    fn label_of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        tokens().sender(&headers).map(|sender| sender.label.clone())
    }

    #[test]
    fn a_known_token_names_its_sender() {
        assert_eq!(label_of(&["Bearer two"]).as_deref(), Some("prod"));
        assert_eq!(label_of(&["bearer  one "]).as_deref(), Some("ci"));
        for bad in [
            "Bearer three",
            "Bearer ",
            "Bearer",
            "Basic two",
            "two",
            "Bearer twoo",
            "Bearer tw",
        ] {
            assert_eq!(label_of(&[bad]), None, "{bad}");
        }
        assert_eq!(label_of(&[]), None);
        assert_eq!(label_of(&["Bearer one", "Bearer one"]), None);
    }

    #[test]
    fn a_bound_sender_writes_to_its_projects_alone() {
        let bound = Sender {
            label: "a".to_owned(),
            projects: vec!["p1".to_owned(), "p2".to_owned()],
        };
        assert!(bound.may_write_to(Some("p2")));
        for other in [Some("p3"), Some(""), Some("P1"), None] {
            assert!(!bound.may_write_to(other), "{other:?}");
            assert!(Sender::default().may_write_to(other), "{other:?}");
        }
    }

    #[test]
    fn debug_shows_labels_only() {
        assert_eq!(format!("{:?}", tokens()), r#"["ci", "prod"]"#);
    }
}
