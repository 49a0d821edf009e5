//! Where the marks of a settings schema (`x-secret`, `x-in-body`, `x-output`) may stand. Pure.
//!
//! The host honours marks on the properties of the schema. A mark that stands deeper, or that a reference leads to, would
//! change nothing: its author believes that a value is hidden, and the component gets it in clear. So such a schema is
//! refused when the component loads.

use serde_json::{Map, Value};

use super::schema;

/// Keywords that give power over a value, or take it away.
const MARKS: [&str; 3] = ["x-secret", "x-in-body", "x-output"];
/// Keywords whose values are data, in which nothing is a keyword.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];
/// Keywords whose values are schemas by name, so that their keys are no keywords.
const SCHEMAS_BY_NAME: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that take over another schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Checks that every mark stands on a property of the schema.
///
/// # Errors
/// Returns where the first misplaced mark stands, and what to do.
pub fn check(schema: &Value) -> Result<(), String> {
    let mut search = Search::default();
    let Some(root) = schema.as_object() else {
        return Ok(());
    };
    for (keyword, inner) in root {
        search.path.push(keyword.clone());
        match inner.as_object() {
            Some(properties) if keyword == "properties" => search.properties(properties)?,
            _ => search.keyword(keyword, inner)?,
        }
        search.path.pop();
    }
    let marked: Vec<&str> = schema::properties(schema)
        .filter(|(_, property)| MARKS.iter().any(|mark| is_set(property.get(mark))))
        .map(|(name, _)| name.as_str())
        .collect();
    for reference in &search.references {
        check_reference(reference, &marked)?;
    }
    Ok(())
}

/// What was found on the way through a schema.
#[derive(Default)]
struct Search {
    path: Vec<String>,
    references: Vec<String>,
}

impl Search {
    /// The properties of the schema itself, on which marks may stand.
    fn properties(&mut self, properties: &Map<String, Value>) -> Result<(), String> {
        for (name, property) in properties {
            if schema::is_secret(property) {
                check_type(name, property)?;
            }
            for (keyword, inner) in property.as_object().into_iter().flatten() {
                if !MARKS.contains(&keyword.as_str()) {
                    self.path.extend([name.clone(), keyword.clone()]);
                    self.keyword(keyword, inner)?;
                    self.path.truncate(self.path.len() - 2);
                }
            }
        }
        Ok(())
    }

    /// A keyword where no mark may stand, neither there nor below.
    fn keyword(&mut self, keyword: &str, inner: &Value) -> Result<(), String> {
        if MARKS.contains(&keyword) && is_set(Some(inner)) {
            let path = self.path.join(".");
            return Err(format!(
                "`{path}`: the mark `{keyword}` counts only on a property of the schema itself; \
                 mark the whole property, or make the value a property of its own"
            ));
        }
        if let Some(reference) = inner.as_str().filter(|_| REFERENCES.contains(&keyword)) {
            self.references.push(reference.to_owned());
        }
        match inner {
            Value::Object(by_name) if SCHEMAS_BY_NAME.contains(&keyword) => {
                for (name, schema) in by_name {
                    self.path.push(name.clone());
                    self.anything(schema)?;
                    self.path.pop();
                }
                Ok(())
            }
            _ if DATA.contains(&keyword) => Ok(()),
            _ => self.anything(inner),
        }
    }

    fn anything(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(keywords) => {
                for (keyword, inner) in keywords {
                    self.path.push(keyword.clone());
                    self.keyword(keyword, inner)?;
                    self.path.pop();
                }
                Ok(())
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.anything(item)),
            _ => Ok(()),
        }
    }
}

/// A mark of any other form than `false` was meant as one.
fn is_set(mark: Option<&Value>) -> bool {
    mark.is_some_and(|mark| *mark != Value::Bool(false))
}

/// A secret is hidden as text.
fn check_type(name: &str, property: &Value) -> Result<(), String> {
    let not_text = ["boolean", "integer", "number"];
    match schema::types(property)
        .into_iter()
        .find(|kind| not_text.contains(kind))
    {
        None => Ok(()),
        Some(kind) => Err(format!(
            "property `{name}` has `x-secret` and may be of type {kind}, which cannot be hidden; make it a string"
        )),
    }
}

/// Refuses a reference that may lead to a marked property.
fn check_reference(reference: &str, marked: &[&str]) -> Result<(), String> {
    let Some(name) = marked.first() else {
        return Ok(());
    };
    let pointer = reference
        .strip_prefix('#')
        .filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
    let Some(pointer) = pointer else {
        return Err(format!(
            "the reference `{reference}` may lead to the mark of property `{name}`; \
             refer to schemas as `#/$defs/NAME`"
        ));
    };
    let pointer = schema::percent_decode(pointer);
    let mut steps = pointer.split('/').skip(1);
    let is_near = match (steps.next(), steps.next()) {
        (None, _) | (Some("properties"), None) => true,
        (Some("properties"), Some(step)) => marked.contains(&unescaped(step).as_str()),
        (Some(_), _) => false,
    };
    if is_near {
        return Err(format!(
            "the reference `{reference}` leads to a marked property, but takes over no marks; \
             write the schema out where it is used"
        ));
    }
    Ok(())
}

/// One step of a JSON pointer.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_on_properties_are_fine() {
        let schema = json!({
            "properties": {
                "key": {"type": "string", "x-secret": true, "x-in-body": true},
                "headers": {"type": "object", "x-secret": true, "additionalProperties": {"type": "string"}},
                "out": {"x-output": true},
                "open": {"$ref": "#/$defs/word", "default": {"x-secret": true}},
                "x-secret": {"type": "string"},
            },
            "$defs": {"word": {"type": "string"}, "x-secret": {"x-secret": false}},
        });
        assert_eq!(check(&schema), Ok(()));
    }

    #[test]
    fn a_mark_anywhere_else_is_refused_with_its_place() {
        let secret = json!({"type": "string", "x-secret": true});
        for (place, schema) in [
            ("x-secret", json!({"x-secret": true})),
            (
                "properties.a.properties.b.x-secret",
                json!({"properties": {"a": {"properties": {"b": secret}}}}),
            ),
            (
                "properties.a.items.x-secret",
                json!({"properties": {"a": {"items": secret}}}),
            ),
            (
                "properties.a.prefixItems.x-secret",
                json!({"properties": {"a": {"prefixItems": [secret]}}}),
            ),
            (
                "properties.a.allOf.x-secret",
                json!({"properties": {"a": {"allOf": [secret]}}}),
            ),
            (
                "properties.a.additionalProperties.x-secret",
                json!({"properties": {"a": {"additionalProperties": secret}}}),
            ),
            (
                "properties.a.anyOf.then.x-secret",
                json!({"properties": {"a": {"anyOf": [{"then": secret}]}}}),
            ),
            (
                "patternProperties.^k.x-secret",
                json!({"patternProperties": {"^k": secret}}),
            ),
            (
                "additionalProperties.x-secret",
                json!({"additionalProperties": secret}),
            ),
            (
                "$defs.k.x-secret",
                json!({"properties": {"a": {"$ref": "#/$defs/k"}}, "$defs": {"k": secret}}),
            ),
            (
                "allOf.properties.a.x-secret",
                json!({"allOf": [{"properties": {"a": secret}}]}),
            ),
            (
                "properties.a.unheard-of.x-secret",
                json!({"properties": {"a": {"unheard-of": secret}}}),
            ),
            (
                "properties.a.items.x-output",
                json!({"properties": {"a": {"items": {"x-output": "yes"}}}}),
            ),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.starts_with(&format!("`{place}`")), "{place}: {error}");
        }
    }

    #[test]
    fn a_reference_to_a_marked_property_is_refused() {
        for reference in [
            "#",
            "#/properties",
            "#/properties/key",
            "#/properties/k%65y",
            "#anchor",
            "https://example.com/schema#/properties/key",
        ] {
            let schema = json!({"properties": {
                "key": {"type": "string", "x-secret": true},
                "other": {"items": {"$ref": reference}},
            }});
            assert!(check(&schema).is_err(), "{reference}");
            let unmarked = json!({"properties": {"key": {}, "other": {"$ref": reference}}});
            assert_eq!(check(&unmarked), Ok(()), "{reference}");
        }
        let schema = json!({"properties": {
            "a/b": {"x-secret": true},
            "other": {"$ref": "#/properties/a~1b"},
        }});
        assert!(check(&schema).is_err());
    }

    #[test]
    fn a_secret_that_is_no_text_is_refused() {
        for property in [
            json!({"type": "integer", "x-secret": true}),
            json!({"type": ["string", "boolean"], "x-secret": true}),
            json!({"anyOf": [{"type": "number"}], "x-secret": true}),
        ] {
            assert!(check(&json!({"properties": {"pin": property}})).is_err());
        }
    }
}
