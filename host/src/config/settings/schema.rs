//! What a component's settings schema says of a property beyond JSON Schema: the keywords that `wit/exporter.wit`
//! defines (`x-env`, `x-secret`, `x-output`), and which JSON types a text may become. Pure.

use serde_json::{Map, Value};

use crate::approvals::SettingGrant;

/// The schema's properties, in its order.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// Names in `required`.
pub(crate) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Environment variables that fill the property, in their order. `x-env` may be one text.
#[must_use]
pub fn environment_names(property: &Value) -> Vec<&str> {
    match property.get("x-env") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ => Vec::new(),
    }
}

/// Whether the property is marked secret.
#[must_use]
pub fn is_secret(property: &Value) -> bool {
    property
        .get("x-secret")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// Whether a secret is filled into request bodies too.
#[must_use]
pub fn is_in_body(property: &Value) -> bool {
    property
        .get("x-in-body")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// What an approval keeps of the property.
#[must_use]
pub fn grant(property: &Value) -> SettingGrant {
    SettingGrant {
        secret: is_secret(property),
        in_body: is_in_body(property),
        output: is_output(property),
        environment: environment_names(property)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        default: property.get("default").map(SettingGrant::default_text),
    }
}

/// Whether the property names the target of the `output` import.
#[must_use]
pub fn is_output(property: &Value) -> bool {
    property
        .get("x-output")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// Whether settings that the schema does not list are allowed. Unlike plain JSON Schema the answer is no unless the
/// schema says so: a misspelt setting must not pass in silence.
pub(super) fn is_open(schema: &Value) -> bool {
    match schema.get("additionalProperties") {
        Some(Value::Bool(is_open)) => *is_open,
        Some(_) => true,
        None => schema.get("patternProperties").is_some(),
    }
}

/// Whether the value at this path, or anything that holds it, is marked secret.
pub(super) fn is_secret_path(schema: &Value, path: &[String]) -> bool {
    let mut schema = schema;
    for segment in path {
        let Some(next) = step(schema, segment) else {
            return false;
        };
        if is_secret(next) {
            return true;
        }
        schema = next;
    }
    holds_secret(schema)
}

/// Whether anything inside is secret: a message about the whole would show it.
fn holds_secret(schema: &Value) -> bool {
    is_secret(schema)
        || properties(schema).any(|(_, property)| holds_secret(property))
        || ["additionalProperties", "items"]
            .iter()
            .any(|key| schema.get(key).is_some_and(holds_secret))
}

fn step<'a>(schema: &'a Value, segment: &str) -> Option<&'a Value> {
    schema
        .get("properties")
        .and_then(|properties| properties.get(segment))
        .or_else(|| schema.get("additionalProperties"))
        .or_else(|| schema.get("items"))
}

/// Turns texts into what the schema wants, where it wants something else than text: environment variables and
/// `${env:...}` are always texts. A text that does not fit stays, for the validation to complain about.
pub(super) fn coerce(value: Value, schema: &Value) -> Value {
    match value {
        Value::String(text) => from_text(text, schema),
        Value::Array(items) => match schema.get("items") {
            Some(item) => {
                Value::Array(items.into_iter().map(|value| coerce(value, item)).collect())
            }
            None => Value::Array(items),
        },
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| match step(schema, &key) {
                    Some(inner) => (key, coerce(value, inner)),
                    None => (key, value),
                })
                .collect(),
        ),
        other => other,
    }
}

fn from_text(text: String, schema: &Value) -> Value {
    let types = types(schema);
    if types.is_empty() || types.contains(&"string") {
        return Value::String(text);
    }
    let trimmed = text.trim();
    for wanted in types {
        let read = match wanted {
            "integer" => trimmed
                .parse::<i64>()
                .ok()
                .map(Value::from)
                .or_else(|| trimmed.parse::<u64>().ok().map(Value::from)),
            "number" => number(trimmed),
            "boolean" => boolean(trimmed).map(Value::Bool),
            "array" => array(trimmed, schema),
            "object" => object(trimmed, schema),
            _ => None,
        };
        if let Some(value) = read {
            return value;
        }
    }
    Value::String(text)
}

/// JSON types that the schema accepts, by `type` or by the branches of `anyOf` and `oneOf`. Empty: any.
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| schema.get(key).and_then(Value::as_array))
            .flatten()
            .flat_map(types)
            .collect(),
    }
}

fn number(text: &str) -> Option<Value> {
    let integer = text.parse::<i64>().ok().map(Value::from);
    integer.or_else(|| {
        text.parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// JSON, or items separated by commas. Empty text is an empty list.
fn array(text: &str, schema: &Value) -> Option<Value> {
    if text.starts_with('[') {
        return serde_json::from_str::<Value>(text)
            .ok()
            .filter(Value::is_array)
            .map(|value| coerce(value, schema));
    }
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    Some(coerce(
        Value::Array(items.map(Value::from).collect()),
        schema,
    ))
}

/// JSON, or `key=value` pairs separated by commas, as `OTEL_EXPORTER_OTLP_HEADERS` has them: values may be
/// percent-encoded.
fn object(text: &str, schema: &Value) -> Option<Value> {
    if text.starts_with('{') {
        return serde_json::from_str::<Value>(text)
            .ok()
            .filter(Value::is_object)
            .map(|value| coerce(value, schema));
    }
    let mut entries = Map::new();
    for pair in text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=')?;
        entries.insert(
            key.trim().to_owned(),
            Value::String(percent_decode(value.trim())),
        );
    }
    Some(coerce(Value::Object(entries), schema))
}

/// Decodes `%XX`; anything else stays as it is.
pub(super) fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let value = digits
            .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match value {
            Some(value) if *byte == b'%' => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}
