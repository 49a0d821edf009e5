//! What left a component, as JSON that people read and golden files keep: bodies taken apart as far as they can be, the
//! host's own headers left out, secrets masked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::backend::header;
use super::subject::{Delivery, Subject};
use crate::config::settings::schema;
use crate::http::hop::HOP_HEADER;
use crate::http::wire::WireRequest;

/// Stands for a secret.
const MASK: &str = "***";

/// Shorter texts occur by chance.
const MIN_SECRET_BYTES: usize = 4;

/// The values of a subject's secret settings.
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    pub(super) fn of(subject: &Subject) -> Self {
        let mut secrets = Vec::new();
        for (name, property) in schema::properties(&subject.component.description().settings_schema)
        {
            if let Some(value) = subject
                .values
                .get(name)
                .filter(|_| schema::is_secret(property))
            {
                texts(name, value, &mut secrets);
            }
        }
        Self(secrets)
    }

    /// The names of the settings, each once.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }

    /// The settings whose secret is in the request: as it is, in Base64 of a Basic credential, or percent-encoded.
    pub(super) fn in_request(&self, request: &WireRequest) -> Vec<&str> {
        let mut places = vec![
            request.url.clone(),
            String::from_utf8_lossy(&request.body).into_owned(),
        ];
        for (_, value) in &request.headers {
            places.extend(basic(value));
            places.push(value.clone());
        }
        let is_there = |secret: &str| {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let mut places = places.iter();
            places.any(|place| place.contains(secret) || place.contains(&encoded))
        };
        let found = self.0.iter().filter(|(_, secret)| is_there(secret));
        found.map(|(name, _)| name.as_str()).collect()
    }

    fn mask(&self, text: &str) -> String {
        if let Some(credential) = basic(text)
            && self
                .0
                .iter()
                .any(|(_, secret)| credential.contains(secret.as_str()))
        {
            return format!("Basic {MASK}");
        }
        self.0.iter().fold(text.to_owned(), |text, (_, secret)| {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text.replace(secret.as_str(), MASK).replace(&encoded, MASK)
        })
    }
}

/// User and password of a Basic credential.
fn basic(header: &str) -> Option<String> {
    let token = header.strip_prefix("Basic ")?;
    String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()
}

fn texts(name: &str, value: &Value, secrets: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            // Of a secret URL the credential is secret.
            let url = url::Url::parse(text).ok();
            let user = url.filter(|url| !url.username().is_empty());
            let parts = user.map_or_else(
                || vec![text.clone()],
                |url| {
                    let password = url.password().map(str::to_owned);
                    std::iter::once(url.username().to_owned())
                        .chain(password)
                        .collect()
                },
            );
            let parts = parts
                .into_iter()
                .filter(|part| part.len() >= MIN_SECRET_BYTES);
            secrets.extend(parts.map(|part| (name.to_owned(), part)));
        }
        Value::Array(items) => items.iter().for_each(|item| texts(name, item, secrets)),
        Value::Object(fields) => fields
            .values()
            .for_each(|field| texts(name, field, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Everything that left the component in one delivery.
pub(super) fn of_delivery(delivery: &Delivery, secrets: &Secrets) -> Value {
    let mut sight = Map::new();
    let requests = delivery.requests.iter();
    let requests: Vec<Value> = requests
        .map(|request| of_request(request, secrets))
        .collect();
    if !requests.is_empty() {
        sight.insert("requests".to_owned(), Value::Array(requests));
    }
    if !delivery.lines.is_empty() {
        let lines = text_or_json_lines(&secrets.mask(&delivery.lines));
        sight.insert("output".to_owned(), lines);
    }
    if !delivery.rows.is_empty() {
        let rows = delivery.rows.iter().map(|(signal, row)| {
            let content = serde_json::from_str(&row.content);
            json!({
                "table": signal.name(), "id": row.id, "time": row.time, "trace_id": row.trace_id, "rank": row.rank,
                "content": content.unwrap_or_else(|_| Value::String(row.content.clone())),
            })
        });
        sight.insert("store".to_owned(), rows.collect());
    }
    Value::Object(sight)
}

/// A request: `{"verb", "url", "headers", "body"}`.
pub(super) fn of_request(request: &WireRequest, secrets: &Secrets) -> Value {
    let own = |name: &str, value: &str| {
        name == HOP_HEADER || (name == "user-agent" && value.starts_with("mastra-host/"))
    };
    let headers = request.headers.iter();
    let headers: Map<String, Value> = headers
        .filter(|(name, value)| !own(name, value))
        .map(|(name, value)| (name.clone(), Value::String(secrets.mask(value))))
        .collect();
    json!({
        "verb": request.verb,
        "url": secrets.mask(&request.url),
        "headers": headers,
        "body": of_body(request, secrets),
    })
}

/// JSON as it is, several lines of JSON as a list below `lines`, other text as text, bytes below `base64`.
fn of_body(request: &WireRequest, secrets: &Secrets) -> Value {
    let Ok(text) = std::str::from_utf8(&request.body) else {
        return json!({ "base64": STANDARD.encode(&request.body) });
    };
    let kind = header(request, "content-type").unwrap_or_default();
    if kind.contains("protobuf") {
        return json!({ "base64": STANDARD.encode(&request.body) });
    }
    let text = secrets.mask(text);
    serde_json::from_str(&text).unwrap_or_else(|_| text_or_json_lines(&text))
}

fn text_or_json_lines(text: &str) -> Value {
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    match lines {
        Ok(lines) if !lines.is_empty() => json!({ "lines": lines }),
        _ => Value::String(text.to_owned()),
    }
}

/// Paths at which two values differ, as `requests[0].body.id`; at most ten.
pub(super) fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", left, right, &mut paths);
    paths
}

fn compare(at: &str, left: &Value, right: &Value, paths: &mut Vec<String>) {
    const MOST: usize = 10;
    if left == right || paths.len() >= MOST {
        return;
    }
    match (left, right) {
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{at}[{index}]"), left, right, paths);
            }
        }
        (Value::Object(left), Value::Object(right)) => {
            let null = Value::Null;
            let keys = left
                .keys()
                .chain(right.keys().filter(|key| !left.contains_key(*key)));
            for key in keys {
                let dot = if at.is_empty() { "" } else { "." };
                let (left, right) = (left.get(key), right.get(key));
                if left.is_some() && right.is_some() {
                    let (left, right) = (left.unwrap_or(&null), right.unwrap_or(&null));
                    compare(&format!("{at}{dot}{key}"), left, right, paths);
                } else {
                    paths.push(format!("{at}{dot}{key}"));
                }
            }
        }
        _ => paths.push(at.to_owned()),
    }
}

/// The value with [`VARIES`] in the place of all that differs from `other`.
pub(super) fn without_differences(value: &Value, other: &Value) -> Value {
    match (value, other) {
        _ if value == other => value.clone(),
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right);
            pairs
                .map(|(left, right)| without_differences(left, right))
                .collect()
        }
        (Value::Object(left), Value::Object(right)) if left.keys().eq(right.keys()) => {
            let pairs = left.iter().zip(right.values());
            let same =
                pairs.map(|((key, left), right)| (key.clone(), without_differences(left, right)));
            Value::Object(same.collect())
        }
        _ => Value::String(VARIES.to_owned()),
    }
}

/// In golden files: is another at each run.
const VARIES: &str = "<varies>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_path() {
        let left = json!({"a": [{"id": 1, "b": 2}], "c": 1, "only": 1});
        let right = json!({"a": [{"id": 2, "b": 2}], "c": 1, "more": 1});
        assert_eq!(differences(&left, &right), ["a[0].id", "only", "more"]);
        assert!(differences(&left, &left).is_empty());
        assert_eq!(
            differences(&json!({"a": [1]}), &json!({"a": [1, 2]})),
            ["a"]
        );
    }

    #[test]
    fn what_differs_is_left_open() {
        let left = json!({"a": [{"id": 1, "b": 2}], "c": [1]});
        let right = json!({"a": [{"id": 2, "b": 2}], "c": [1, 2]});
        let open = without_differences(&left, &right);
        assert_eq!(open, json!({"a": [{"id": VARIES, "b": 2}], "c": VARIES}));
    }

    #[test]
    fn secrets_are_masked_however_they_are_sent() {
        let secrets = Secrets(vec![("key".to_owned(), "s3cr/t".to_owned())]);
        assert_eq!(secrets.mask("Bearer s3cr/t"), "Bearer ***");
        assert_eq!(secrets.mask("https://a/?k=s3cr%2Ft"), "https://a/?k=***");
        let basic = format!("Basic {}", STANDARD.encode("user:s3cr/t"));
        assert_eq!(secrets.mask(&basic), "Basic ***");
        let request = WireRequest {
            verb: "POST".to_owned(),
            url: "https://a/".to_owned(),
            headers: vec![("authorization".to_owned(), basic)],
            body: bytes::Bytes::from_static(b"{\"a\":1}\n{\"a\":2}\n"),
        };
        assert_eq!(secrets.in_request(&request), ["key"]);
        let shown = of_request(&request, &secrets);
        assert_eq!(shown["headers"]["authorization"], "Basic ***");
        assert_eq!(shown["body"], json!({"lines": [{"a": 1}, {"a": 2}]}));
    }

    #[test]
    fn of_a_secret_url_the_credential_is_secret() {
        let mut found = Vec::new();
        texts("dsn", &json!("https://user:word@a.example/1"), &mut found);
        let found: Vec<_> = found.iter().map(|(_, secret)| secret.as_str()).collect();
        assert_eq!(found, ["user", "word"]);
    }
}
