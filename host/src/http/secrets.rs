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
    pub(super) place: Place,
}

/// Where in a URL a secret may be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the values of the query, encoded.
    Value,
    /// In path and query, as it is: a piece of a URL that the operator wrote.
    Url,
}

/// A shorter part of a path is a word or a number.
const LEAST_TOKEN_CHARS: usize = 16;

/// Whether a part of a path is as long as a token and not only a number.
fn is_token(part: &str) -> bool {
    part.len() >= LEAST_TOKEN_CHARS && !part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The secrets of one exporter. `Debug` shows no values.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    entries: Vec<Entry>,
    fragments: Vec<Secret>,
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
        self.hide_part(setting, setting, value, is_in_body, Place::Value)
    }

    /// Takes in what is secret in a secret URL (`format: uri` with `x-secret`: a webhook, a DSN) and returns the URL with
    /// placeholders, so that scheme, host and port stay readable:
    ///
    /// - User and password become a placeholder each. The secrets are the decoded texts.
    /// - The path becomes one placeholder. Where there is a user, the user is the credential, and the path of a DSN names
    ///   its project: such a path stays, unless a part of it is as long as a token.
    /// - The value of each query parameter becomes a placeholder, and so does a parameter without a value.
    /// - A fragment is left out: it is never sent.
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
        if url.cannot_be_a_base() {
            return Err(not_url());
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        let path = url.path().trim_matches('/').to_owned();
        let hides_path = !path.is_empty() && (!has_user || path.split('/').any(is_token));
        if !has_user && !hides_path && url.query().is_none() && url.fragment().is_none() {
            return Ok(value.to_owned());
        }
        url.set_fragment(None);
        if has_user {
            let user = decoded(url.username());
            let name = format!("{setting}-user");
            let placeholder = self.hide_part(setting, &name, &user, is_in_body, Place::Value)?;
            url.set_username(&placeholder).map_err(|()| not_url())?;
        }
        self.hide_password(setting, &mut url, is_in_body)?;
        if hides_path {
            let name = format!("{setting}-path");
            let placeholder = self.hide_part(setting, &name, &path, is_in_body, Place::Url)?;
            self.fragments.extend(
                path.split('/')
                    .filter(|part| is_token(part))
                    .map(Secret::new),
            );
            url.set_path(&url.path().replacen(&path, &placeholder, 1));
        }
        if let Some(query) = url.query().map(str::to_owned) {
            let query = self.hide_query(setting, &query, is_in_body)?;
            url.set_query(Some(&query));
        }
        Ok(url.into())
    }

    /// Takes in the password of a URL that is not marked secret. The rest stays as it is: a URL without a password too.
    ///
    /// # Errors
    /// As [`Secrets::hide`].
    pub fn hide_password_of(&mut self, setting: &str, value: &str) -> Result<String, HideError> {
        match Url::parse(value) {
            Ok(mut url) if url.password().is_some_and(|password| !password.is_empty()) => {
                self.hide_password(setting, &mut url, false)?;
                Ok(url.into())
            }
            _ => Ok(value.to_owned()),
        }
    }

    fn hide_password(
        &mut self,
        setting: &str,
        url: &mut Url,
        is_in_body: bool,
    ) -> Result<(), HideError> {
        let Some(password) = url.password().map(decoded) else {
            return Ok(());
        };
        let name = format!("{setting}-password");
        let placeholder = self.hide_part(setting, &name, &password, is_in_body, Place::Value)?;
        url.set_password(Some(&placeholder))
            .map_err(|()| HideError::NotUrl {
                setting: setting.to_owned(),
            })
    }

    /// Hides the values of a query; the names stay.
    fn hide_query(
        &mut self,
        setting: &str,
        query: &str,
        is_in_body: bool,
    ) -> Result<String, HideError> {
        let mut hidden = Vec::new();
        for pair in query.split('&') {
            hidden.push(match pair.split_once('=') {
                Some((name, value)) => {
                    // A plus is a space, as in a form: both are sent as `%20`.
                    let value = decoded(&value.replace('+', " "));
                    let part = format!("{setting}-{name}");
                    let placeholder =
                        self.hide_part(setting, &part, &value, is_in_body, Place::Value)?;
                    format!("{name}={placeholder}")
                }
                None => {
                    let part = format!("{setting}-query");
                    self.hide_part(setting, &part, pair, is_in_body, Place::Url)?
                }
            });
        }
        Ok(hidden.join("&"))
    }

    fn hide_part(
        &mut self,
        setting: &str,
        name: &str,
        value: &str,
        is_in_body: bool,
        place: Place,
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
            place,
        });
        Ok(placeholder)
    }

    /// Parts of secrets that are looked for in what comes back, beside the secrets themselves.
    pub(super) fn fragments(&self) -> impl Iterator<Item = &str> {
        self.fragments.iter().map(Secret::expose)
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

    fn values(secrets: &Secrets) -> Vec<&str> {
        let entries = secrets.entries().iter();
        entries.map(|entry| entry.value.expose()).collect()
    }

    #[test]
    fn of_a_dsn_the_credential_is_hidden_and_the_project_stays() {
        let mut secrets = Secrets::default();
        let text = secrets
            .hide_url("dsn", "https://pub%2Bkey:pass@o1.example:8443/42", true)
            .unwrap();
        let url = Url::parse(&text).unwrap();
        assert_eq!(
            (url.host_str(), url.port(), url.path()),
            (Some("o1.example"), Some(8443), "/42")
        );
        assert_eq!(
            values(&secrets),
            ["pub+key", "pass"],
            "decoded, as a header wants it"
        );
        assert_eq!(url.username(), secrets.entries()[0].placeholder);
        let password = secrets.entries()[1].placeholder.as_str();
        assert_eq!(url.password(), Some(password));
    }

    #[test]
    fn of_a_webhook_everything_behind_the_host_is_hidden() {
        let mut secrets = Secrets::default();
        let text = secrets
            .hide_url(
                "url",
                "https://hooks.example/services/T0/xoxb-0123456789abcdef/?a=b%2Fc+d&bare&e=#frag",
                false,
            )
            .unwrap();
        assert_eq!(
            values(&secrets),
            ["services/T0/xoxb-0123456789abcdef", "b/c d", "bare"]
        );
        let [path, a, bare] = secrets.entries() else {
            panic!("three secrets")
        };
        let (path, a, bare) = (&path.placeholder, &a.placeholder, &bare.placeholder);
        assert_eq!(
            text,
            format!("https://hooks.example/{path}/?a={a}&{bare}&e=")
        );
        let fragments: Vec<&str> = secrets.fragments().collect();
        assert_eq!(fragments, ["xoxb-0123456789abcdef"]);
    }

    #[test]
    fn a_token_in_the_path_of_a_dsn_is_hidden_too() {
        let mut secrets = Secrets::default();
        let text = secrets
            .hide_url("dsn", "https://key@a.example/in/0123456789abcdef", false)
            .unwrap();
        assert!(!text.contains("0123456789abcdef/"), "{text}");
        assert_eq!(values(&secrets), ["key", "in/0123456789abcdef"]);
        let number = secrets.hide_url("dsn", "https://key@a.example/4505281256090153", false);
        assert!(number.unwrap().ends_with("/4505281256090153"));
    }

    #[test]
    fn a_secret_url_without_anything_to_hide_stays_as_it_is() {
        let mut secrets = Secrets::default();
        let text = secrets.hide_url("url", "https://a.example", false).unwrap();
        assert_eq!(text, "https://a.example");
        assert!(secrets.entries().is_empty());
        for bad in ["hunter2", "mailto:hunter2@a.example"] {
            let error = secrets.hide_url("url", bad, false).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_password_of_any_url_is_hidden() {
        let mut secrets = Secrets::default();
        let text = secrets
            .hide_password_of("url", "https://user:hunter2@a.example/x?y=z")
            .unwrap();
        let password = &secrets.entries()[0].placeholder;
        assert_eq!(text, format!("https://user:{password}@a.example/x?y=z"));
        for same in ["https://user@a.example", "https://a.example", "hunter2"] {
            assert_eq!(secrets.hide_password_of("url", same).unwrap(), same);
        }
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
