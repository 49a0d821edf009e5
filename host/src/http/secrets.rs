//! The vault: secret settings and the placeholders that stand for them in a component's memory.
//!
//! One vault an exporter. The host hides each secret setting before `configure`; the client fills the secrets in after
//! its policy check (`fill`), and takes them out of every response and error (`scrub`). A placeholder is random for each
//! secret and process, so that text of an event can never be one by chance or by guess, and is made of characters that
//! are unreserved in URLs, so that no encoder on a component's side changes it.

use url::Url;

use crate::config::secret::Secret;

/// Every placeholder starts with this; a name made from the setting and 32 random hex digits follow.
pub const PLACEHOLDER_PREFIX: &str = "mastra-secret.";

/// Why a secret cannot be hidden.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HideError {
    /// No randomness for the placeholder.
    #[error("no random bytes from the operating system for the placeholder of setting `{setting}`")]
    NoRandomness {
        /// Name.
        setting: String,
    },
    /// The setting should hold a URL. The value is not shown.
    #[error("setting `{setting}` must be an absolute URL such as `https://key@host/path`")]
    NotUrl {
        /// Name.
        setting: String,
    },
}

/// One secret.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) placeholder: String,
    pub(super) setting: String,
    pub(super) value: Secret,
    pub(super) is_in_body: bool,
}

/// The secrets of one exporter. `Debug` shows no values.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    entries: Vec<Entry>,
}

impl Secrets {
    /// Takes a secret in and returns what the component gets instead of it. An empty value stays empty. `is_in_body`:
    /// the setting's `x-in-body`, which also fills the placeholder in in JSON bodies.
    ///
    /// # Errors
    /// [`HideError::NoRandomness`]
    pub fn hide(
        &mut self,
        setting: &str,
        value: &str,
        is_in_body: bool,
    ) -> Result<String, HideError> {
        self.hide_part(setting, setting, value, is_in_body)
    }

    /// Takes in the credential of a secret URL (`format: uri` with `x-secret`, a DSN) and returns the URL with user and
    /// password, each by itself, replaced; the rest stays readable. The secrets are the decoded texts. A URL with
    /// neither is returned as it is: there is nothing in it that could be hidden and filled in again, since placeholders
    /// in a path are refused.
    ///
    /// # Errors
    /// [`HideError::NotUrl`], and as [`Secrets::hide`].
    pub fn hide_url(
        &mut self,
        setting: &str,
        value: &str,
        is_in_body: bool,
    ) -> Result<String, HideError> {
        let not_url = || HideError::NotUrl {
            setting: setting.to_owned(),
        };
        let mut url = Url::parse(value).map_err(|_| not_url())?;
        if url.username().is_empty() && url.password().is_none() {
            return Ok(value.to_owned());
        }
        let user = decoded(url.username());
        let placeholder = self.hide_part(setting, &format!("{setting}-user"), &user, is_in_body)?;
        url.set_username(&placeholder).map_err(|()| not_url())?;
        if let Some(password) = url.password().map(decoded) {
            let placeholder = self.hide_part(
                setting,
                &format!("{setting}-password"),
                &password,
                is_in_body,
            )?;
            url.set_password(Some(&placeholder))
                .map_err(|()| not_url())?;
        }
        Ok(url.into())
    }

    fn hide_part(
        &mut self,
        setting: &str,
        name: &str,
        value: &str,
        is_in_body: bool,
    ) -> Result<String, HideError> {
        if value.is_empty() {
            return Ok(String::new());
        }
        let mut random = [0_u8; 16];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut random)
            .map_err(|_| HideError::NoRandomness {
                setting: setting.to_owned(),
            })?;
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let placeholder = format!(
            "{PLACEHOLDER_PREFIX}{name}.{:032x}",
            u128::from_be_bytes(random)
        );
        self.entries.push(Entry {
            placeholder: placeholder.clone(),
            setting: setting.to_owned(),
            value: Secret::new(value.to_owned()),
            is_in_body,
        });
        Ok(placeholder)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Percent-decoded; text that is not UTF-8 then is taken as it stands.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.first_chunk::<2>()).flatten();
        let value = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(first));
        rest = if value.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_holds_nothing_of_the_secret_and_is_never_the_same() {
        let mut secrets = Secrets::default();
        let one = secrets.hide("api key", "hunter2", false).unwrap();
        let two = secrets.hide("api key", "hunter2", false).unwrap();
        assert_ne!(one, two);
        assert!(one.starts_with("mastra-secret.api_key."), "{one}");
        assert!(!one.contains("hunter2"));
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
            "unreserved in URLs"
        );
        assert_eq!(one.len(), "mastra-secret.api_key.".len() + 32);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut secrets = Secrets::default();
        secrets.hide("key", "hunter2", false).unwrap();
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn of_a_secret_url_only_the_credential_is_hidden() {
        let mut secrets = Secrets::default();
        let text = secrets
            .hide_url("dsn", "https://pub%2Bkey:pass@o1.example:8443/42?x=1", true)
            .unwrap();
        let url = Url::parse(&text).unwrap();
        assert_eq!(
            (url.host_str(), url.port(), url.path(), url.query()),
            (Some("o1.example"), Some(8443), "/42", Some("x=1"))
        );
        let [user, password] = secrets.entries() else {
            panic!("two secrets")
        };
        assert_eq!(
            user.value.expose(),
            "pub+key",
            "decoded, as a header wants it"
        );
        assert_eq!(password.value.expose(), "pass");
        assert_eq!(url.username(), user.placeholder);
        assert_eq!(url.password(), Some(password.placeholder.as_str()));
    }

    #[test]
    fn a_secret_url_without_credential_stays_as_it_is() {
        let mut secrets = Secrets::default();
        assert_eq!(
            secrets
                .hide_url("url", "https://a.example/x", false)
                .unwrap(),
            "https://a.example/x"
        );
        assert!(secrets.entries().is_empty());
        let error = secrets.hide_url("url", "hunter2", false).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn an_empty_secret_is_no_secret() {
        let mut secrets = Secrets::default();
        assert_eq!(secrets.hide("key", "", false).unwrap(), "");
        assert!(secrets.entries().is_empty());
    }

    #[test]
    fn decoding_takes_broken_escapes_as_they_stand() {
        assert_eq!(decoded("a%2Fb%zz%4"), "a/b%zz%4");
        assert_eq!(decoded("%ff"), "%ff");
    }
}
