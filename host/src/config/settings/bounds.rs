//! What a settings schema may be. A component writes it, and both building a validator and checking a value can take time
//! and memory without end: references that double at each level, patterns that grow, annotations that are evaluated
//! again and again. Schemas of settings need none of that, so each is refused by its form before anything is built. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// Bytes of a schema's text. The largest of ours has 6 KiB.
pub const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// Settings of one component. The largest of ours has 30.
const MAX_SETTINGS: usize = 256;
/// Values inside each other, through references too.
const MAX_DEPTH: usize = 32;
/// Values of a schema, where one that is referred to counts each time.
const MAX_VALUES: usize = 10_000;
/// A key or a text. Descriptions are sentences.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// Regular expressions; see also [`MAX_PATTERN_MEMORY`].
const MAX_PATTERNS: usize = 64;
/// One regular expression, compiled.
pub(super) const MAX_PATTERN_MEMORY: usize = 1 << 20;
/// The name of one setting, and of one environment variable.
const MAX_NAME_BYTES: usize = 64;
/// Environment variables that fill one setting.
const MAX_VARIABLES: usize = 16;

/// The draft that the contract names.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Checks the form of a schema.
///
/// # Errors
/// What of it is not allowed, and what is instead.
pub fn check(schema: &Value) -> Result<(), String> {
    let root = schema.as_object().ok_or("it is not a JSON object")?;
    if let Some(draft) = root.get("$schema")
        && draft.as_str().map(|draft| draft.trim_end_matches('#')) != Some(DRAFT)
    {
        return Err(format!("`$schema` is not `{DRAFT}`, or left out"));
    }
    let mut walk = Walk {
        root: schema,
        definitions: BTreeMap::new(),
        patterns: 0,
    };
    walk.measure(schema, 0)?;
    check_settings(schema)
}

/// The number of values in a part of a schema, and how deep they lie.
#[derive(Clone, Copy)]
struct Extent {
    values: usize,
    depth: usize,
}

struct Walk<'a> {
    root: &'a Value,
    /// What is behind each reference; nothing while it is being measured.
    definitions: BTreeMap<&'a str, Option<Extent>>,
    patterns: usize,
}

impl<'a> Walk<'a> {
    fn measure(&mut self, value: &'a Value, depth: usize) -> Result<Extent, String> {
        let mut whole = Extent {
            values: 1,
            depth: 1,
        };
        check_depth(depth)?;
        match value {
            Value::String(text) => check_text(text)?,
            Value::Array(items) => {
                for item in items {
                    whole.add(self.measure(item, depth + 1)?)?;
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.check_key(key, value)?;
                    whole.add(self.measure(value, depth + 1)?)?;
                    if key == "$ref" {
                        whole.add(self.measure_reference(value, depth + 1)?)?;
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(whole)
    }

    fn check_key(&mut self, key: &str, value: &Value) -> Result<(), String> {
        check_text(key)?;
        let is_known = matches!(key, "$ref" | "$defs" | "$schema" | "$comment");
        if key.starts_with('$') && !is_known || key.starts_with("unevaluated") {
            let key = super::short_text(key);
            return Err(format!(
                "the keyword `{key}` is not supported; of references, `$ref` to `#/$defs/NAME` is"
            ));
        }
        self.patterns += match (key, value) {
            ("pattern", _) => 1,
            ("patternProperties", Value::Object(patterns)) => patterns.len(),
            _ => 0,
        };
        if self.patterns > MAX_PATTERNS {
            return Err(format!("it has more than {MAX_PATTERNS} patterns"));
        }
        Ok(())
    }

    fn measure_reference(&mut self, target: &'a Value, depth: usize) -> Result<Extent, String> {
        let text = target.as_str().unwrap_or_default();
        let shown = || super::short_text(text);
        let Some(name) = text.strip_prefix("#/$defs/").filter(|name| is_name(name)) else {
            return Err(format!("the reference `{}` is not `#/$defs/NAME`", shown()));
        };
        match self.definitions.get(name) {
            Some(Some(extent)) => {
                check_depth(depth + extent.depth)?;
                return Ok(*extent);
            }
            Some(None) => {
                return Err(format!("the reference `{}` leads back to itself", shown()));
            }
            None => {}
        }
        let definitions = self.root.get("$defs");
        let definition = definitions.and_then(|definitions| definitions.get(name));
        let definition =
            definition.ok_or_else(|| format!("the reference `{}` leads nowhere", shown()))?;
        self.definitions.insert(name, None);
        let extent = self.measure(definition, depth)?;
        self.definitions.insert(name, Some(extent));
        Ok(extent)
    }
}

impl Extent {
    fn add(&mut self, part: Self) -> Result<(), String> {
        self.values = self.values.saturating_add(part.values);
        self.depth = self.depth.max(part.depth.saturating_add(1));
        if self.values > MAX_VALUES {
            return Err(format!(
                "it has more than {MAX_VALUES} values, with what it refers to"
            ));
        }
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "it is more than {MAX_DEPTH} values deep, with what it refers to"
        ));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!(
            "it has a text or a name of more than {MAX_TEXT_BYTES} bytes: {}",
            super::short_text(text)
        ));
    }
    Ok(())
}

fn check_settings(schema: &Value) -> Result<(), String> {
    if super::schema::properties(schema).count() > MAX_SETTINGS {
        return Err(format!("it has more than {MAX_SETTINGS} settings"));
    }
    for (name, property) in super::schema::properties(schema) {
        if !is_name(name) {
            return Err(format!(
                "the name of setting `{}` is not made of at most {MAX_NAME_BYTES} ASCII letters, digits, `_`, `-` and `.`",
                super::short_text(name)
            ));
        }
        let variables = super::schema::environment_names(property);
        if variables.len() > MAX_VARIABLES {
            return Err(format!(
                "setting `{name}` names more than {MAX_VARIABLES} environment variables"
            ));
        }
        if let Some(variable) = variables.iter().find(|variable| !is_variable(variable)) {
            return Err(format!(
                "`{}`, in `x-env` of setting `{name}`, is not the name of an environment variable",
                super::short_text(variable)
            ));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_fine)
}

fn is_variable(name: &str) -> bool {
    is_name(name) && !name.contains(['-', '.']) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(schema: &Value) -> String {
        check(schema).unwrap_err()
    }

    #[test]
    fn a_schema_of_settings_is_fine() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["api_key"],
            "properties": {
                "api_key": {"type": "string", "x-secret": true, "x-env": ["A_KEY"], "pattern": "^sk-"},
                "targets": {"type": "array", "items": {"$ref": "#/$defs/target"}},
                "other": {"$ref": "#/$defs/target"}
            },
            "$defs": {"target": {"type": "object", "properties": {"x-team": {"$ref": "#/$defs/text"}}}, "text": {"type": "string"}}
        });
        assert_eq!(check(&schema), Ok(()));
    }

    #[test]
    fn references_that_multiply_are_refused_by_their_number() {
        let mut definitions = serde_json::Map::new();
        for level in 0..14 {
            let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
            let both = json!({"allOf": [next, next]});
            definitions.insert(format!("a{level}"), both);
        }
        definitions.insert("a14".to_owned(), json!({"type": "object"}));
        let schema = json!({"allOf": [{"$ref": "#/$defs/a0"}], "$defs": definitions});
        let reason = refusal(&schema);
        assert!(
            reason.contains("more than 10000 values") || reason.contains("deep"),
            "{reason}"
        );
    }

    #[test]
    fn wide_references_are_refused_by_their_number() {
        let many = |name: &str| {
            let reference = json!({"$ref": format!("#/$defs/{name}")});
            json!({"allOf": vec![reference; 40]})
        };
        let definitions = json!({"a": many("b"), "b": many("c"), "c": many("d"), "d": {}});
        let reason = refusal(&json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": definitions}));
        assert!(reason.contains("more than 10000 values"), "{reason}");
    }

    #[test]
    fn circles_and_references_elsewhere_are_refused() {
        for (schema, expected) in [
            (json!({"$ref": "#"}), "is not `#/$defs/NAME`"),
            (
                json!({"$ref": "https://x.example/s.json"}),
                "is not `#/$defs/NAME`",
            ),
            (
                json!({"$ref": "file:///etc/passwd"}),
                "is not `#/$defs/NAME`",
            ),
            (json!({"$ref": "#/$defs/a"}), "leads nowhere"),
            (
                json!({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}),
                "leads back to itself",
            ),
            (
                json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
                "leads back to itself",
            ),
            (json!({"$id": "https://x.example/a"}), "keyword `$id`"),
            (
                json!({"properties": {"a": {"$dynamicRef": "#n"}}}),
                "keyword `$dynamicRef`",
            ),
            (
                json!({"unevaluatedProperties": false}),
                "keyword `unevaluatedProperties`",
            ),
            (
                json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
                "`$schema` is not",
            ),
            (json!([]), "not a JSON object"),
        ] {
            let reason = refusal(&schema);
            assert!(reason.contains(expected), "{schema}: {reason}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let mut deep = json!({});
        for _ in 0..60 {
            deep = json!({"not": deep});
        }
        assert!(refusal(&deep).contains("deep"));
        let wide = json!({"enum": vec![0; 20_000]});
        assert!(refusal(&wide).contains("more than 10000 values"));
        let long = json!({"title": "x".repeat(5_000)});
        let reason = refusal(&long);
        assert!(
            reason.contains("more than 4096 bytes") && reason.len() < 200,
            "{reason}"
        );
        let patterns: serde_json::Map<_, _> = (0..100)
            .map(|number| (format!("a{number}"), json!({"pattern": "x"})))
            .collect();
        assert!(refusal(&json!({"properties": patterns})).contains("64 patterns"));
        let settings: serde_json::Map<_, _> = (0..300)
            .map(|number| (format!("a{number}"), json!({})))
            .collect();
        assert!(refusal(&json!({"properties": settings})).contains("256 settings"));
    }

    #[test]
    fn names_of_settings_and_variables_are_plain() {
        for name in [
            "",
            "a b",
            "\u{1b}[31m",
            "a\0",
            "ключ",
            "😀",
            &"x".repeat(65),
        ] {
            let reason = refusal(&json!({"properties": {(name): {}}}));
            assert!(reason.contains("the name of setting"), "{name:?}: {reason}");
            assert!(!reason.contains(['\u{1b}', '\0']), "{reason}");
        }
        for variable in ["A-B", "", "1A", "A B", "A=B"] {
            let reason = refusal(&json!({"properties": {"a": {"x-env": [variable]}}}));
            assert!(
                reason.contains("name of an environment variable"),
                "{variable}"
            );
        }
    }
}
