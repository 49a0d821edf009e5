//! Whom or what an event is about: a trace, a user or a session, found in its JSON wherever senders write it.
//!
//! Keys are compared by their letters and digits alone: `userId`, `user.id`, `enduser.id` and `feedbackUserId` all name a
//! user. Called by `mastra-host purge`, for which an event too many is better than one that stays.

use memchr::memmem;
use serde_json::Value;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A trace id; upper and lower case are one.
    Trace(String),
    /// A user's id, as it was sent.
    User(String),
    /// A session's id, as it was sent.
    Session(String),
}

/// How the keys end that hold a trace's id.
const TRACE_KEYS: &str = "traceid";

impl Subject {
    const fn id(&self) -> &str {
        match self {
            Self::Trace(id) | Self::User(id) | Self::Session(id) => id.as_str(),
        }
    }

    const fn keys(&self) -> &'static str {
        match self {
            Self::Trace(_) => TRACE_KEYS,
            Self::User(_) => "userid",
            Self::Session(_) => "sessionid",
        }
    }

    /// Whether the event is about it. What is no JSON is when it holds the id anywhere.
    #[must_use]
    pub fn is_of(&self, content: &[u8]) -> bool {
        // An escaped id has a backslash; a number stands as it is.
        let may_hold = memmem::find(content, self.id().as_bytes()).is_some()
            || memchr::memchr(b'\\', content).is_some()
            || matches!(self, Self::Trace(_));
        if !may_hold {
            return false;
        }
        match serde_json::from_slice::<Value>(content) {
            Ok(value) => values_of(&value, self.keys())
                .iter()
                .any(|value| self.equals(value)),
            Err(_) => memmem::find(content, self.id().as_bytes()).is_some(),
        }
    }

    fn equals(&self, value: &str) -> bool {
        match self {
            Self::Trace(id) => id.eq_ignore_ascii_case(value),
            Self::User(id) | Self::Session(id) => id == value,
        }
    }
}

/// The ids of the traces that the event belongs to, in lower case.
#[must_use]
pub fn traces_of(content: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(content).unwrap_or_default();
    let mut traces = values_of(&value, TRACE_KEYS);
    for trace in &mut traces {
        trace.make_ascii_lowercase();
    }
    traces
}

/// Texts and numbers under keys that end so, also in attributes written as `{"key": ..., "value": {...}}`.
fn values_of(value: &Value, keys: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![(value, false)]);
    while let Some((value, is_wanted)) = open.pop() {
        match value {
            Value::String(text) if is_wanted => found.push(text.clone()),
            Value::Number(number) if is_wanted => found.push(number.to_string()),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, is_wanted))),
            Value::Object(fields) => {
                let named = fields.get("key").and_then(Value::as_str);
                let is_named = named.is_some_and(|name| ends_with(name, keys));
                open.extend(fields.iter().map(|(key, value)| {
                    let is_value = is_named && key == "value";
                    (value, is_wanted || is_value || ends_with(key, keys))
                }));
            }
            _ => {}
        }
    }
    found
}

fn ends_with(key: &str, wanted: &str) -> bool {
    let letters = |text: &str| -> Vec<char> {
        let letters = text.chars().rev().filter(|c| c.is_alphanumeric());
        letters
            .take(wanted.len())
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    letters(key) == letters(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_those_whom_it_names() {
        let user = Subject::User("user-1".to_owned());
        for content in [
            r#"{"metadata":{"userId":"user-1"}}"#,
            r#"{"correlationContext":{"user_id":"user-1"}}"#,
            r#"{"attributes":{"enduser.id":"user-1"}}"#,
            r#"{"feedbackUserId":"user\u002d1"}"#,
            r#"{"attributes":[{"key":"user.id","value":{"stringValue":"user-1"}}]}"#,
            "no json about user-1",
        ] {
            assert!(user.is_of(content.as_bytes()), "{content}");
        }
        for content in [
            r#"{"metadata":{"userId":"user-12"}}"#,
            r#"{"input":"user-1"}"#,
            r#"{"userIdentity":"user-1"}"#,
            r#"{"attributes":[{"key":"user","value":{"stringValue":"user-1"}}]}"#,
        ] {
            assert!(!user.is_of(content.as_bytes()), "{content}");
        }
        assert!(Subject::User("7".to_owned()).is_of(br#"{"userId":7}"#));
        assert!(Subject::Session("s".to_owned()).is_of(br#"{"session.id":"s"}"#));
        assert!(!Subject::Session("s".to_owned()).is_of(br#"{"userId":"s"}"#));
    }

    #[test]
    fn a_trace_is_known_in_either_case() {
        let trace = Subject::Trace("ABCDEF".to_owned());
        assert!(trace.is_of(br#"{"traceId":"abcdef"}"#));
        assert!(trace.is_of(br#"{"scoreTraceId":"abcdef"}"#));
        assert_eq!(
            traces_of(br#"{"traceId":"AB","x":{"trace_id":"c"}}"#).len(),
            2
        );
    }
}
