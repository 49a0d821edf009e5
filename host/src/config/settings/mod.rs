//! What one exporter gets as its settings: the config's values, then the environment, then the schema's defaults, checked
//! against the component's schema. Pure.
//!
//! - The config's value wins over the environment, the environment over the default.
//! - The environment fills only the exporter whose id is the component's plain name. A further one, such as
//!   `langfuse/eu`, must say where its settings come from (`public_key: ${env:EU_KEY}`): a forgotten key must not send one
//!   tenant's data to another's project. [`super::select`] decides.
//! - An environment variable that is set to nothing counts as not set.
//! - Messages name the setting, the environment variable and the value, but never the value of a secret.

pub mod bounds;
pub mod marks;
pub mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::{Map, Value};

use super::RawSettings;
use super::env::Environment;
use super::nearest::suggestion;
use super::problem::{Position, Problem};
use crate::telemetry::visible::bounded;

/// Settings that fit the schema. `Debug` shows only their names: which are secret is the schema's business.
#[derive(Clone, Default, PartialEq)]
pub struct Resolved {
    /// In the order of the schema.
    pub values: Map<String, Value>,
    /// Settings that the environment filled, with the variable.
    pub from_environment: BTreeMap<String, String>,
    /// Value of the setting marked `x-output`: `stdout`, `file:PATH` or `dir:PATH`.
    pub output: Option<String>,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// The environment variables that may fill an exporter's settings.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// The process environment.
    pub environment: &'a Environment,
    /// Names of those that the component may have. The others are never filled in, not even as a placeholder.
    pub approved: &'a BTreeSet<String>,
}

impl<'a> Variables<'a> {
    /// The value of an approved variable that is set.
    fn get(&self, name: &str) -> Option<&'a str> {
        let is_approved = self.approved.contains(name);
        self.set(name).filter(|_| is_approved)
    }

    /// Whether the variable is set, and the component may not have it.
    fn is_held_back(&self, name: &str) -> bool {
        !self.approved.contains(name) && self.set(name).is_some()
    }

    /// A variable that is set to nothing counts as not set.
    fn set(&self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }
}

/// One thing that is wrong with the settings of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Name, and for inner values the path: `headers.x-team`. Empty when the schema itself is wrong.
    pub setting: String,
    /// What is wrong.
    pub kind: SettingFault,
    /// Where the value stands, when it came from a config file.
    pub at: Option<Position>,
}

/// Kinds of [`SettingProblem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingFault {
    /// Required and nowhere to be found.
    Missing {
        /// Variables that would fill it.
        environment: Vec<String>,
        /// Whether the environment was looked at.
        reads_environment: bool,
        /// A variable that is set and that the component may not have.
        held_back: Option<String>,
    },
    /// Not in the schema.
    Unknown {
        /// What to write instead.
        suggestion: String,
    },
    /// Does not fit.
    Invalid {
        /// What is wrong with the value.
        message: String,
        /// The variable that the value came from.
        variable: Option<String>,
    },
    /// The component's own fault.
    Schema(String),
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = &self.setting;
        match &self.kind {
            SettingFault::Missing {
                held_back: Some(variable),
                ..
            } => write!(
                f,
                "missing setting {setting}; {variable} is set, but this component may not read it: approve it with `mastra-host plugin approve --env {variable}`"
            ),
            SettingFault::Missing {
                environment,
                reads_environment,
                held_back: None,
            } => match environment.first() {
                Some(variable) if *reads_environment => {
                    write!(f, "missing {variable} (setting {setting})")
                }
                _ => write!(f, "missing setting {setting}"),
            },
            SettingFault::Unknown { suggestion } => {
                write!(f, "unknown setting {setting}; {suggestion}")
            }
            SettingFault::Invalid {
                message,
                variable: Some(variable),
            } => write!(f, "{variable} (setting {setting}): {message}"),
            SettingFault::Invalid {
                message,
                variable: None,
            } => write!(f, "setting {setting}: {message}"),
            SettingFault::Schema(message) => {
                write!(f, "the component's settings schema is not valid: {message}")
            }
        }
    }
}

impl SettingProblem {
    /// Whether a value is only missing, so that a component of the directory is inactive and not at fault.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.kind, SettingFault::Missing { .. })
    }

    /// Whether the component alone is at fault: its schema, or a default of its own.
    #[must_use]
    pub fn is_of_component(&self) -> bool {
        match &self.kind {
            SettingFault::Schema(_) => true,
            SettingFault::Invalid { variable: None, .. } => self.at.is_none(),
            _ => false,
        }
    }

    /// What would mend a missing setting: the first environment variable that fills it, else the setting's name.
    #[must_use]
    pub fn wanted_name(&self) -> &str {
        match &self.kind {
            SettingFault::Missing {
                environment,
                reads_environment: true,
                ..
            } => environment.first().unwrap_or(&self.setting),
            _ => &self.setting,
        }
    }

    /// As a problem of the config file, for the exporter at `exporter_path` (`exporters.langfuse`).
    #[must_use]
    pub fn in_config(&self, exporter_path: &str, exporter_at: Position) -> Problem {
        let path = if self.setting.is_empty() {
            exporter_path.to_owned()
        } else {
            format!("{exporter_path}.settings.{}", self.setting)
        };
        let (message, fix) = match &self.kind {
            SettingFault::Missing { environment, .. } => {
                let variable = environment.first().map_or("NAME", String::as_str);
                let key = &self.setting;
                (
                    self.to_string(),
                    Some(format!("write `{key}: ${{env:{variable}}}` under settings")),
                )
            }
            SettingFault::Unknown { suggestion } => {
                ("unknown setting".to_owned(), Some(suggestion.clone()))
            }
            SettingFault::Invalid {
                message,
                variable: None,
            } => (message.clone(), None),
            SettingFault::Invalid {
                variable: Some(_), ..
            }
            | SettingFault::Schema(_) => (self.to_string(), None),
        };
        Problem {
            at: self.at.unwrap_or(exporter_at),
            path,
            message,
            fix,
        }
    }
}

/// Works out the settings of one exporter.
///
/// `environment` is `None` for an exporter that the environment must not fill. A variable that is not approved for the
/// component fills nothing.
///
/// # Errors
/// Every problem at once.
pub fn resolve(
    schema: &Value,
    raw: &RawSettings,
    environment: Option<&Variables<'_>>,
) -> Result<Resolved, Vec<SettingProblem>> {
    let mut problems = Vec::new();
    let mut resolved = Resolved::default();
    for (name, property) in schema::properties(schema) {
        let variable = environment.and_then(|environment| {
            let names = schema::environment_names(property);
            names
                .into_iter()
                .find_map(|name| Some((name, environment.get(name)?)))
        });
        let value = match (raw.values.get(name), variable) {
            (Some(value), _) => schema::coerce(value.clone(), property),
            (None, Some((variable, text))) => {
                resolved
                    .from_environment
                    .insert(name.clone(), variable.to_owned());
                schema::coerce(Value::String(text.to_owned()), property)
            }
            (None, None) => match property.get("default") {
                Some(default) => default.clone(),
                None => continue,
            },
        };
        if schema::is_output(property) {
            resolved.output = value.as_str().map(str::to_owned);
        }
        resolved.values.insert(name.clone(), value);
    }
    add_unlisted(schema, raw, &mut resolved, &mut problems);
    for name in schema::required(schema).filter(|name| !resolved.values.contains_key(*name)) {
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(name))
            .unwrap_or(&Value::Null);
        let names = schema::environment_names(property);
        let held_back = environment.and_then(|variables| {
            let mut names = names.iter();
            names.find(|name| variables.is_held_back(name))
        });
        let kind = SettingFault::Missing {
            held_back: held_back.map(|name| (*name).to_owned()),
            environment: names.into_iter().map(str::to_owned).collect(),
            reads_environment: environment.is_some(),
        };
        problems.push(SettingProblem {
            setting: name.to_owned(),
            kind,
            at: None,
        });
    }
    problems.extend(violations(schema, raw, &resolved));
    if problems.is_empty() {
        Ok(resolved)
    } else {
        Err(problems)
    }
}

/// Settings of the config that the schema does not list: kept where the schema is open, else refused.
fn add_unlisted(
    schema: &Value,
    raw: &RawSettings,
    resolved: &mut Resolved,
    problems: &mut Vec<SettingProblem>,
) {
    let known: Vec<&str> = schema::properties(schema)
        .map(|(name, _)| name.as_str())
        .collect();
    for (name, value) in raw
        .values
        .iter()
        .filter(|(name, _)| !known.contains(&name.as_str()))
    {
        if schema::is_open(schema) {
            resolved.values.insert(name.clone(), value.clone());
        } else {
            problems.push(SettingProblem {
                setting: name.clone(),
                kind: SettingFault::Unknown {
                    suggestion: suggestion(name, &known),
                },
                at: raw.positions.get(name).copied(),
            });
        }
    }
}

/// What the schema says against the values. Missing top-level settings are already reported.
fn violations(schema: &Value, raw: &RawSettings, resolved: &Resolved) -> Vec<SettingProblem> {
    let found = match bounds::check(schema) {
        Ok(()) => in_time(schema, &resolved.values),
        Err(reason) => Err(reason),
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => {
            let kind = SettingFault::Schema(reason);
            return vec![SettingProblem {
                setting: String::new(),
                kind,
                at: None,
            }];
        }
    };
    let problem = |(path, message): (Vec<String>, String)| {
        let name = path.first().map_or("", String::as_str);
        let variable = resolved.from_environment.get(name).cloned();
        SettingProblem {
            setting: path.join("."),
            kind: SettingFault::Invalid { message, variable },
            at: raw.positions.get(name).copied(),
        }
    };
    found.into_iter().map(problem).collect()
}

/// The paths of values that do not fit, each with the reason.
type Found = Vec<(Vec<String>, String)>;

/// How long a schema may be checked. The largest of ours takes a few milliseconds.
const MAX_CHECK: Duration = Duration::from_secs(5);

/// Checks on a thread of its own: whatever [`bounds`] has missed costs one thread and an error, and not the caller.
fn in_time(schema: &Value, values: &Map<String, Value>) -> Result<Found, String> {
    /// Validators call themselves for each level.
    const STACK_BYTES: usize = 8 << 20;
    let (schema, values) = (schema.clone(), Value::Object(values.clone()));
    let (answer, answered) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("schema".to_owned())
        .stack_size(STACK_BYTES)
        // Who no longer waits for the answer has reported the time.
        .spawn(move || drop(answer.send(check_values(&schema, &values))))
        .map_err(|error| format!("it cannot be checked: {error}"))?;
    answered.recv_timeout(MAX_CHECK).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => {
                format!("checking it takes more than {} s", MAX_CHECK.as_secs())
            }
            RecvTimeoutError::Disconnected => "the check of it failed".to_owned(),
        })
    })
}

fn check_values(schema: &Value, values: &Value) -> Result<Found, String> {
    // The component wrote the patterns: an engine without backtracking cannot be made to run for ever.
    let patterns = PatternOptions::regex()
        .size_limit(bounds::MAX_PATTERN_MEMORY)
        .dfa_size_limit(bounds::MAX_PATTERN_MEMORY);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| short_text(&error.to_string()))?;
    let mut found = Found::new();
    for error in validator.iter_errors(values).take(MAX_PROBLEMS) {
        let path: Vec<String> = error
            .instance_path()
            .as_str()
            .split('/')
            .skip(1)
            .map(unescape)
            .collect();
        if path.is_empty() && matches!(error.kind(), ValidationErrorKind::Required { .. }) {
            continue;
        }
        let message = describe(&error, schema::is_secret_path(schema, &path));
        found.push((path, message));
    }
    Ok(found)
}

/// Of one component's settings. Whoever mends these sees the next ones.
const MAX_PROBLEMS: usize = 50;
/// Of what an `enum` allows.
const MAX_OPTIONS: usize = 20;

/// One segment of a JSON pointer.
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// What is wrong with a value and what to write, without the value where it is secret.
fn describe(error: &ValidationError<'_>, is_secret: bool) -> String {
    let shown = if is_secret {
        "the value".to_owned()
    } else {
        format!("`{}`", short(error.instance()))
    };
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let fix = match error.instance().as_ref() {
                Value::Number(_) | Value::Bool(_) if wants_text(kind) => "; put it in quotes",
                _ => "",
            };
            format!("{shown} is not {}{fix}", type_words(kind))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .take(MAX_OPTIONS)
                .map(short)
                .collect();
            format!("{shown} is not one of {}", options.join(", "))
        }
        ValidationErrorKind::Format { format } if format.starts_with("uri") => {
            format!("{shown} is not a URL; write it with its scheme, such as https://example.com")
        }
        ValidationErrorKind::Minimum { limit } => format!("{shown} is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{shown} is more than {limit}"),
        ValidationErrorKind::MinLength { .. } => format!("{shown} is too short"),
        ValidationErrorKind::MaxLength { limit } => {
            format!("{shown} is longer than {limit} characters")
        }
        ValidationErrorKind::Pattern { pattern } => {
            let pattern = short_text(pattern);
            format!("{shown} does not match the pattern {pattern}")
        }
        ValidationErrorKind::Required { property } => format!("missing {}", short(property)),
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("unknown inside it: {}", unexpected.join(", "))
        }
        _ => bounded(&error.masked_with(shown).to_string(), MAX_MESSAGE_CHARS).into_owned(),
    }
}

/// What a check says that this file has no words for.
const MAX_MESSAGE_CHARS: usize = 300;

/// A value on one line, at most 60 characters; texts without quotes.
fn short(value: &Value) -> String {
    match value.as_str() {
        Some(text) => short_text(text),
        None => short_text(&value.to_string()),
    }
}

/// A text of a component, as [`short`] shows it.
fn short_text(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = characters.by_ref().take(60).collect();
    if characters.next().is_some() {
        format!("{start}...")
    } else {
        start
    }
}

fn wants_text(kind: &TypeKind) -> bool {
    match kind {
        TypeKind::Single(wanted) => wanted.as_str() == "string",
        TypeKind::Multiple(wanted) => wanted.iter().any(|wanted| wanted.as_str() == "string"),
    }
}

fn type_words(kind: &TypeKind) -> String {
    let words = |name: &str| match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(wanted) => words(wanted.as_str()).to_owned(),
        TypeKind::Multiple(wanted) => wanted
            .iter()
            .map(|wanted| words(wanted.as_str()))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}
