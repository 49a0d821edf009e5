//! Settings: a small builder for the JSON Schema that `describe` hands out, and the error that `configure` answers with.
//! It only writes the schema; the host checks settings against it and serde reads them.
//!
//! ```
//! use mastra_exporter_sdk::settings::{Setting, SettingsSchema};
//!
//! let schema = SettingsSchema::new()
//!     .with(Setting::uri("endpoint").about("Where records go.").env(&["BOARD_URL"]).required())
//!     .with(Setting::text("token").about("Access token.").env(&["BOARD_TOKEN"]).secret());
//! assert!(schema.to_json().contains(r#""x-secret":true"#));
//! ```

use crate::json::JsonText;

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting at fault; empty when it is all of them.
    pub setting: String,
    /// What is wrong and how to mend it; never the value of a secret.
    pub reason: String,
}

impl SettingError {
    /// An error of one setting.
    pub fn new(setting: &str, reason: impl Into<String>) -> Self {
        Self {
            setting: setting.to_owned(),
            reason: reason.into(),
        }
    }

    /// What is wrong with a URL that requests go to.
    #[must_use]
    pub fn of_url(setting: &str, url: &str) -> Option<Self> {
        let is_http = url.starts_with("https://") || url.starts_with("http://");
        (!is_http).then(|| Self::new(setting, "must start with https:// or http://"))
    }
}

/// The JSON Schema of an exporter's settings: an object that allows no other keys.
#[derive(Clone, Debug, Default)]
pub struct SettingsSchema {
    settings: Vec<Setting>,
}

impl SettingsSchema {
    /// No settings yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            settings: Vec::new(),
        }
    }

    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// The schema as JSON text, draft 2020-12.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = JsonText::with_capacity(256 * (self.settings.len() + 1));
        let mut schema = text.object();
        schema
            .string("$schema", "https://json-schema.org/draft/2020-12/schema")
            .string("type", "object");
        let properties = schema.key("properties");
        let mut properties = properties.object();
        for setting in &self.settings {
            setting.write(properties.key(setting.name));
        }
        properties.end();
        schema.key("required").array(
            self.settings.iter().filter(|setting| setting.is_required),
            |text, setting| {
                text.string(setting.name);
            },
        );
        schema.boolean("additionalProperties", false);
        schema.end();
        text.into_string()
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Text,
    Uri,
    Flag,
    Integer { at_least: i64, at_most: i64 },
    Choice(&'static [&'static str]),
    TextMap,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct Setting {
    name: &'static str,
    kind: Kind,
    about: &'static str,
    env: &'static [&'static str],
    default_json: Option<String>,
    pattern: Option<&'static str>,
    is_required: bool,
    is_secret: bool,
    is_in_body: bool,
    is_output: bool,
}

impl Setting {
    const fn of(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            about: "",
            env: &[],
            default_json: None,
            pattern: None,
            is_required: false,
            is_secret: false,
            is_in_body: false,
            is_output: false,
        }
    }

    /// A string.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self::of(name, Kind::Text)
    }

    /// A URL. With [`Setting::secret`] its userinfo is hidden from the component.
    #[must_use]
    pub const fn uri(name: &'static str) -> Self {
        Self::of(name, Kind::Uri)
    }

    /// True or false.
    #[must_use]
    pub const fn flag(name: &'static str) -> Self {
        Self::of(name, Kind::Flag)
    }

    /// A whole number in an inclusive range.
    #[must_use]
    pub const fn integer(name: &'static str, at_least: i64, at_most: i64) -> Self {
        Self::of(name, Kind::Integer { at_least, at_most })
    }

    /// One of these words.
    #[must_use]
    pub const fn choice(name: &'static str, words: &'static [&'static str]) -> Self {
        Self::of(name, Kind::Choice(words))
    }

    /// An object of strings, such as extra headers.
    #[must_use]
    pub const fn text_map(name: &'static str) -> Self {
        Self::of(name, Kind::TextMap)
    }

    /// What it is for, one sentence.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Environment variables that fill it; the first that is set wins.
    #[must_use]
    pub const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    /// The value when it is not set. The host fills it in.
    #[must_use]
    pub fn default_text(mut self, value: &str) -> Self {
        let mut text = JsonText::default();
        text.string(value);
        self.default_json = Some(text.into_string());
        self
    }

    /// The value when it is not set.
    #[must_use]
    pub fn default_flag(mut self, value: bool) -> Self {
        self.default_json = Some(value.to_string());
        self
    }

    /// A regular expression (ECMA-262) that the text must match.
    #[must_use]
    pub const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Must be set; without it the component stays inactive.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The component sees a placeholder; the host fills it in in headers, query values and credentials.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The placeholder is also filled in in JSON string bodies.
    #[must_use]
    pub const fn in_body(mut self) -> Self {
        self.is_in_body = true;
        self
    }

    /// Names the target of the `output` import.
    #[must_use]
    pub const fn output(mut self) -> Self {
        self.is_output = true;
        self
    }

    fn write(&self, text: &mut JsonText) {
        let mut property = text.object();
        match self.kind {
            Kind::Text => property.string("type", "string"),
            Kind::Uri => property.string("type", "string").string("format", "uri"),
            Kind::Flag => property.string("type", "boolean"),
            Kind::Integer { at_least, at_most } => property
                .string("type", "integer")
                .signed("minimum", at_least)
                .signed("maximum", at_most),
            Kind::Choice(words) => property.strings("enum", words),
            Kind::TextMap => property
                .string("type", "object")
                .raw("additionalProperties", r#"{"type":"string"}"#),
        };
        property.string("description", self.about);
        if self.is_required && matches!(self.kind, Kind::Text | Kind::Uri) {
            property.signed("minLength", 1);
        }
        if let Some(pattern) = self.pattern {
            property.string("pattern", pattern);
        }
        if let Some(value) = &self.default_json {
            property.raw("default", value);
        }
        if !self.env.is_empty() {
            property.strings("x-env", self.env);
        }
        for (mark, is_set) in [
            ("x-secret", self.is_secret),
            ("x-in-body", self.is_in_body),
            ("x-output", self.is_output),
        ] {
            if is_set {
                property.boolean(mark, true);
            }
        }
        property.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_carries_types_defaults_and_marks() {
        let schema = SettingsSchema::new()
            .with(
                Setting::uri("base_url")
                    .about("Where \"it\" is.")
                    .env(&["A_URL", "B_URL"])
                    .default_text("https://a.b"),
            )
            .with(Setting::text("key").secret().in_body().required())
            .with(Setting::choice("mode", &["one", "two"]).default_text("one"))
            .with(Setting::integer("limit", -1, 5))
            .with(Setting::text_map("headers"))
            .with(Setting::text("target").output().pattern("^file:"));
        let read: serde_json::Value = serde_json::from_str(&schema.to_json()).unwrap();
        let expected = serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "base_url": {"type": "string", "format": "uri", "description": "Where \"it\" is.",
                    "default": "https://a.b", "x-env": ["A_URL", "B_URL"]},
                "key": {"type": "string", "description": "", "minLength": 1, "x-secret": true, "x-in-body": true},
                "mode": {"enum": ["one", "two"], "description": "", "default": "one"},
                "limit": {"type": "integer", "minimum": -1, "maximum": 5, "description": ""},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": ""},
                "target": {"type": "string", "description": "", "pattern": "^file:", "x-output": true},
            },
            "required": ["key"],
            "additionalProperties": false,
        });
        assert_eq!(read, expected);
    }
}
