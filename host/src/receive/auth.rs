//! Bearer tokens. None configured: everybody may send (the listener is on loopback unless the operator says otherwise).
//! A token's label goes into the provenance of what was sent with it; the token itself is kept as a digest only.
//! Called by `routes`.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

/// The tokens that may send.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Vec<(String, [u8; 32])>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.known.iter().map(|(label, _)| label))
            .finish()
    }
}

impl Tokens {
    /// Labels and tokens.
    #[must_use]
    pub fn new<'t>(tokens: impl IntoIterator<Item = (String, &'t str)>) -> Self {
        Self {
            known: tokens
                .into_iter()
                .map(|(label, token)| (label, Sha256::digest(token).into()))
                .collect(),
        }
    }

    /// The label of the request's token; `None` when no token is needed.
    ///
    /// # Errors
    /// [`Unauthorized`] when a token is needed and the request has none that is known.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<String>, Unauthorized> {
        if self.known.is_empty() {
            return Ok(None);
        }
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| bearer(value.as_bytes()))
            .ok_or(Unauthorized)?;
        let digest: [u8; 32] = Sha256::digest(given).into();
        // Every token is compared to its last byte, whatever the outcome.
        let mut found = None;
        for (label, known) in &self.known {
            let difference = known
                .iter()
                .zip(&digest)
                .fold(0, |all, (a, b)| all | (a ^ b));
            if difference == 0 {
                found = Some(label);
            }
        }
        found.cloned().map(Some).ok_or(Unauthorized)
    }
}

/// The request has no token that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthorized;

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn without_tokens_everybody_may_send() {
        assert_eq!(Tokens::default().check(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_known_token_gives_its_label() {
        let tokens = Tokens::new([("ci".to_owned(), "one"), ("prod".to_owned(), "two")]);
        assert_eq!(
            tokens.check(&headers("Bearer two")),
            Ok(Some("prod".into()))
        );
        assert_eq!(
            tokens.check(&headers("bearer  one ")),
            Ok(Some("ci".into()))
        );
        for bad in [
            "Bearer three",
            "Bearer ",
            "Bearer",
            "Basic two",
            "two",
            "Bearer twoo",
            "Bearer tw",
        ] {
            assert_eq!(tokens.check(&headers(bad)), Err(Unauthorized), "{bad}");
        }
        assert_eq!(tokens.check(&HeaderMap::new()), Err(Unauthorized));
    }

    #[test]
    fn debug_shows_labels_only() {
        assert_eq!(
            format!("{:?}", Tokens::new([("ci".to_owned(), "hunter2")])),
            r#"["ci"]"#
        );
    }
}
