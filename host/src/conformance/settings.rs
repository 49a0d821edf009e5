//! Settings for a component that is tried: those that the author gives, the schema's defaults, and for the rest made up
//! values that fit the schema. A value that the component refuses is replaced by the next idea, until there is none.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::config::RawSettings;
use crate::config::settings::{Resolved, resolve, schema};

/// Made up settings under way.
pub(super) struct Ideas<'a> {
    schema: &'a Value,
    given: Map<String, Value>,
    /// Which idea each made up setting is at.
    at: BTreeMap<String, usize>,
}

impl<'a> Ideas<'a> {
    /// `output` is what a setting marked `x-output` gets.
    pub(super) fn new(schema: &'a Value, given: &Map<String, Value>, output: &str) -> Self {
        let mut given = given.clone();
        for (name, property) in schema::properties(schema) {
            if schema::is_output(property) && !given.contains_key(name) {
                given.insert(name.clone(), output.into());
            }
        }
        let required = schema::required(schema).filter(|name| {
            let default = property(schema, name).get("default");
            !given.contains_key(*name) && default.is_none()
        });
        Self {
            at: required.map(|name| (name.to_owned(), 0)).collect(),
            schema,
            given,
        }
    }

    /// The settings with the present ideas, after those have been passed over that do not fit the schema.
    ///
    /// # Errors
    /// What is wrong, when there are no more ideas.
    pub(super) fn resolve(&mut self) -> Result<Resolved, String> {
        loop {
            let raw = RawSettings {
                values: self.values(),
                ..RawSettings::default()
            };
            let problems = match resolve(self.schema, &raw, None) {
                Ok(resolved) => return Ok(resolved),
                Err(problems) => problems,
            };
            let names = problems.iter().map(|problem| problem.setting.as_str());
            if !self.next(names) {
                let lines = problems.iter().map(|problem| format!("\n  {problem}"));
                return Err(lines.collect());
            }
        }
    }

    /// Has another idea for the settings of these names (or the paths into them); false when there is none for any.
    pub(super) fn next<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> bool {
        let mut has_more = false;
        for path in names {
            let name = path.split('.').next().unwrap_or_default();
            let property = property(self.schema, name);
            if self.given.contains_key(name) || property.is_null() {
                continue;
            }
            let next = self.at.get(name).map_or(0, |at| at + 1);
            if next < ideas(name, property).len() {
                self.at.insert(name.to_owned(), next);
                has_more = true;
            }
        }
        has_more
    }

    fn values(&self) -> Map<String, Value> {
        let mut values = self.given.clone();
        for (name, at) in &self.at {
            if let Some(idea) = ideas(name, property(self.schema, name))
                .into_iter()
                .nth(*at)
            {
                values.insert(name.clone(), idea);
            }
        }
        values
    }
}

fn property<'s>(schema: &'s Value, name: &str) -> &'s Value {
    let properties = schema.get("properties");
    let property = properties.and_then(|properties| properties.get(name));
    property.unwrap_or(&Value::Null)
}

/// Values that a setting may take, likely ones first.
fn ideas(name: &str, property: &Value) -> Vec<Value> {
    if let Some(options) = property.get("enum").and_then(Value::as_array) {
        return options.clone();
    }
    let word = name.replace('_', "-").to_ascii_lowercase();
    let is_secret = schema::is_secret(property);
    if property.get("format").and_then(Value::as_str) == Some("uri") {
        // A secret URL is one with a credential, such as a DSN.
        return if is_secret {
            vec![
                json!(format!("https://conformance-{word}@{word}.example/1")),
                // Or one whose path is the credential, such as a webhook.
                json!(format!("https://{word}.example/conformance-{word}")),
            ]
        } else {
            vec![
                json!(format!("https://{word}.example")),
                json!(format!("https://{word}.example/v1")),
                json!(format!("https://conformance@{word}.example/1")),
            ]
        };
    }
    let mut ideas = Vec::new();
    for kind in schema::types(property) {
        match kind {
            "string" => ideas.extend(texts(&word, is_secret).map(Value::String)),
            "integer" | "number" => {
                ideas.extend(property.get("minimum").cloned());
                ideas.extend([json!(1), json!(100)]);
            }
            "boolean" => ideas.extend([json!(true), json!(false)]),
            "array" => ideas.extend([json!(["conformance"]), json!([])]),
            "object" => ideas.extend([json!({"conformance": "conformance"}), json!({})]),
            _ => {}
        }
    }
    ideas
}

fn texts(word: &str, is_secret: bool) -> impl Iterator<Item = String> + use<> {
    let secret = if is_secret { "secret-" } else { "" };
    let texts = [
        format!("conformance-{secret}{word}"),
        "12345".to_owned(),
        "00000000-0000-4000-8000-000000000001".to_owned(),
        "0123456789abcdef0123456789abcdef".to_owned(),
        "conformance".to_owned(),
        "us".to_owned(),
        "someone@mail.example".to_owned(),
        "2026-01-01".to_owned(),
    ];
    texts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(schema: &Value, given: &Value) -> Result<Resolved, String> {
        let given = given.as_object().unwrap();
        Ideas::new(schema, given, "dir:/tmp/x").resolve()
    }

    #[test]
    fn what_is_required_is_made_up_to_fit_the_schema() {
        let schema = json!({
            "type": "object",
            "required": ["url", "key", "number", "kind", "dsn"],
            "properties": {
                "url": {"type": "string", "format": "uri"},
                "key": {"type": "string", "x-secret": true},
                "number": {"type": "string", "pattern": "^[0-9]+$"},
                "kind": {"enum": ["a", "b"]},
                "dsn": {"type": "string", "format": "uri", "x-secret": true},
                "optional": {"type": "string"},
                "to": {"type": "string", "x-output": true, "default": "stdout"},
            },
        });
        let resolved = resolved(&schema, &json!({})).unwrap();
        let wanted = json!({
            "url": "https://url.example", "key": "conformance-secret-key", "number": "12345", "kind": "a",
            "dsn": "https://conformance-dsn@dsn.example/1", "to": "dir:/tmp/x",
        });
        assert_eq!(Value::Object(resolved.values), wanted);
    }

    #[test]
    fn what_is_given_stays_and_is_checked() {
        let schema = json!({"required": ["key"], "properties": {"key": {"type": "string", "pattern": "^k"}}});
        let found = resolved(&schema, &json!({"key": "k1"})).unwrap();
        assert_eq!(found.values["key"], "k1");
        let error = resolved(&schema, &json!({"key": "x"})).unwrap_err();
        assert!(error.contains("key"), "{error}");
    }

    #[test]
    fn a_setting_that_nothing_fits_is_named() {
        let schema = json!({"required": ["key"], "properties": {"key": {"type": "string", "pattern": "^@@$"}}});
        let error = resolved(&schema, &json!({})).unwrap_err();
        assert!(error.contains("key"), "{error}");
    }

    #[test]
    fn a_refused_optional_setting_is_made_up_too() {
        let schema = json!({"properties": {"endpoint": {"type": "string", "format": "uri"}}});
        let mut ideas = Ideas::new(&schema, &Map::new(), "");
        assert!(ideas.resolve().unwrap().values.is_empty());
        assert!(ideas.next(["endpoint"].into_iter()));
        assert_eq!(
            ideas.resolve().unwrap().values["endpoint"],
            "https://endpoint.example"
        );
        assert!(!ideas.next(["nothing"].into_iter()));
    }
}
