//! JSON schemas, compiled once, with refusals that a person can read. Called by every fake.

use anyhow::{Context as _, anyhow};
use jsonschema::Validator;
use serde_json::{Value, json};

/// How many violations a refusal names.
const NAMED: usize = 3;
/// How long one violation's text may be; payloads do not belong in messages.
const TEXT_CHARS: usize = 240;

/// A compiled schema.
pub struct Schema {
    name: &'static str,
    validator: Validator,
}

impl Schema {
    /// Compiles the text of a schema file of `tests/schemas`.
    ///
    /// # Errors
    /// When the text is not a schema.
    pub fn new(name: &'static str, text: &str) -> anyhow::Result<Self> {
        let schema: Value =
            serde_json::from_str(text).with_context(|| format!("{name} is not JSON"))?;
        Self::compile(name, &schema)
    }

    /// Compiles one definition of it, named as in `$defs`.
    ///
    /// # Errors
    /// When the text is not a schema or has no such definition.
    pub fn definition(name: &'static str, text: &str, definition: &str) -> anyhow::Result<Self> {
        let schema: Value =
            serde_json::from_str(text).with_context(|| format!("{name} is not JSON"))?;
        let definitions = schema
            .get("$defs")
            .with_context(|| format!("{name} has no definitions"))?;
        definitions
            .get(definition)
            .with_context(|| format!("{name} does not define {definition}"))?;
        let reference = format!("#/$defs/{definition}");
        Self::compile(name, &json!({"$ref": reference, "$defs": definitions}))
    }

    fn compile(name: &'static str, schema: &Value) -> anyhow::Result<Self> {
        let validator = jsonschema::draft202012::new(schema)
            .map_err(|error| anyhow!("{name} is not a schema: {error}"))?;
        Ok(Self { name, validator })
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first few violations, each with its place in the value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let violations: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(NAMED)
            .map(|error| {
                format!(
                    "{}: {}",
                    error.instance_path(),
                    shortened(&error.to_string())
                )
            })
            .collect();
        Err(format!("{}: {}", self.name, violations.join("; ")))
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
