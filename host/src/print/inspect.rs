//! What a component is, supports and asks for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Lines, Look, Tone, line, thousands, visible};
use crate::config::component::{ComponentFacts, Grouping};
use crate::config::settings::schema;
use crate::config::units::{show_duration, show_size};
use crate::event::Signal;
use crate::http::grant::HostRequest;

/// One JSON object; `settings` is the component's JSON Schema.
#[must_use]
pub fn json(component: &ComponentFacts) -> String {
    let behaviour = &component.behaviour;
    let names = |signals: &std::collections::BTreeSet<Signal>| {
        signals
            .iter()
            .map(|signal| signal.name())
            .collect::<Vec<_>>()
    };
    line(&json!({
        "name": component.name,
        "version": component.version,
        "contract": component.contract,
        "signals": names(&component.signals),
        "imports": component.imports,
        "hosts": component.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "settings": component.settings_schema,
        "file": component.source.to_string(),
        "size_bytes": component.size_bytes,
        "digest": component.digest,
        "batch": { "max_items": behaviour.max_items, "max_bytes": behaviour.max_bytes },
        "span_phases": behaviour.span_phases,
        "grouping": behaviour.grouping.to_string(),
        "idempotent": names(&behaviour.idempotent),
        "flush_interval_ms": behaviour.flush_interval.map(|interval| interval.as_millis()),
        "page": behaviour.serves_page,
    }))
}

/// A heading, a list of facts, and a list of settings.
#[must_use]
pub fn human(component: &ComponentFacts, look: Look) -> String {
    let mut text = Lines::default();
    text.line(format_args!(
        "{} {}",
        look.paint(Tone::Strong, &component.name),
        look.paint(Tone::Plain, &component.version)
    ));
    text.line(format_args!(""));
    for (label, values) in facts(component, look) {
        let mut shown_label = label;
        for value in values {
            let label = look.paint(Tone::Dim, &format!("{shown_label:<11}"));
            text.line(format_args!("  {label}{value}"));
            shown_label = "";
        }
    }
    text.line(format_args!(""));
    text.append(&settings(component, look));
    text.into_text()
}

/// Labels with one line or more each.
fn facts(component: &ComponentFacts, look: Look) -> Vec<(&'static str, Vec<String>)> {
    let behaviour = &component.behaviour;
    let signals = Signal::ALL.map(|signal| {
        let has = component.signals.contains(&signal);
        let (tone, mark) = if has {
            (Tone::Good, '✔')
        } else {
            (Tone::Dim, '–')
        };
        look.paint(tone, &format!("{mark} {signal}"))
    });
    let or_none = |mut values: Vec<String>| {
        if values.is_empty() {
            values.push("none".to_owned());
        }
        values
    };
    let mut facts = vec![
        (
            "file",
            vec![format!(
                "{} ({})",
                component.source,
                show_size(component.size_bytes)
            )],
        ),
        ("digest", vec![component.digest.clone()]),
        ("contract", vec![component.contract.clone()]),
        ("signals", vec![signals.join("  ")]),
        ("imports", or_none(component.imports.clone())),
        (
            "hosts",
            or_none(
                component
                    .hosts
                    .iter()
                    .map(|host| host_words(component, host))
                    .collect(),
            ),
        ),
    ];
    if component.signals.contains(&Signal::Traces) {
        facts.push(("spans", vec![behaviour.span_phases.join(", ")]));
    }
    let max_bytes = show_size(behaviour.max_bytes.into());
    facts.push((
        "batches",
        vec![format!(
            "up to {} items, {max_bytes}{}",
            thousands(behaviour.max_items.into()),
            grouping_words(&behaviour.grouping)
        )],
    ));
    let once: Vec<&str> = component
        .signals
        .difference(&behaviour.idempotent)
        .map(|signal| signal.name())
        .collect();
    let repeats = if once.is_empty() {
        "recognised by the backend".to_owned()
    } else {
        format!("not recognised for {}", once.join(", "))
    };
    facts.push(("repeats", vec![repeats]));
    if let Some(interval) = behaviour.flush_interval {
        facts.push((
            "state",
            vec![format!(
                "one instance, flushed every {}",
                show_duration(interval)
            )],
        ));
    }
    if behaviour.serves_page {
        facts.push(("page", vec![format!("/exporters/{}/", component.name)]));
    }
    facts
}

fn host_words(component: &ComponentFacts, host: &HostRequest) -> String {
    match host {
        HostRequest::Origin(origin) => origin.to_string(),
        HostRequest::FromSetting(name) => {
            match component
                .setting(name)
                .and_then(|setting| setting.get("default"))
                .and_then(Value::as_str)
            {
                Some(default) => format!("{default}, or as setting {name} says"),
                None => format!("as setting {name} says"),
            }
        }
    }
}

fn grouping_words(grouping: &Grouping) -> String {
    match grouping {
        Grouping::Ungrouped => String::new(),
        Grouping::Ordered => ", in order within a trace".to_owned(),
        Grouping::WholeTrace {
            max_wait,
            max_spans,
        } => {
            format!(
                ", a whole trace at a time (waits {}, {} spans)",
                show_duration(*max_wait),
                thousands((*max_spans).into())
            )
        }
    }
}

/// Two lines a setting: what it is and what fills it, and what it means. A table would not fit 80 columns.
fn settings(component: &ComponentFacts, look: Look) -> String {
    let required: Vec<&str> = schema::required(&component.settings_schema).collect();
    let properties: Vec<_> = schema::properties(&component.settings_schema).collect();
    if properties.is_empty() {
        return "No settings.\n".to_owned();
    }
    let name_width = properties
        .iter()
        .map(|(name, _)| visible(name).chars().count())
        .max()
        .unwrap_or_default()
        .min(MAX_NAME_WIDTH);
    let mut text = Lines::default();
    text.line(format_args!("{}", look.paint(Tone::Strong, "Settings")));
    for (name, property) in properties {
        let default = match property.get("default") {
            Some(Value::String(text)) => format!(", default {text}"),
            Some(value) => format!(", default {value}"),
            None if required.contains(&name.as_str()) => {
                format!(", {}", look.paint(Tone::Warning, "required"))
            }
            None => String::new(),
        };
        let name = visible(name);
        let padded = look.paint(Tone::Strong, &format!("{name:<name_width$}"));
        let type_words = type_words(property);
        let environment = schema::environment_names(property).join(", ");
        let arrow = if environment.is_empty() { "" } else { " ← " };
        text.line(format_args!(
            "  {padded}  {type_words}{default}{arrow}{environment}"
        ));
        let meaning = property
            .get("description")
            .or_else(|| property.get("title"));
        if let Some(meaning) = meaning.and_then(Value::as_str) {
            let meaning = look.paint(Tone::Dim, meaning);
            text.line(format_args!("  {:name_width$}  {meaning}", ""));
        }
    }
    text.into_text()
}

/// Longer names are not waited for: what stands behind them moves to the right.
const MAX_NAME_WIDTH: usize = 40;

/// `text, secret`, `URL`, `one of a, b`.
fn type_words(property: &Value) -> String {
    let mut words = match property.get("enum").and_then(Value::as_array) {
        Some(options) => {
            let options: Vec<String> = options
                .iter()
                .map(|option| {
                    option
                        .as_str()
                        .map_or_else(|| option.to_string(), str::to_owned)
                })
                .collect();
            options.join(" | ")
        }
        None if property.get("format").and_then(Value::as_str) == Some("uri") => "URL".to_owned(),
        None => schema::types(property)
            .into_iter()
            .map(|name| match name {
                "string" => "text",
                "array" => "list",
                "object" => "mapping",
                other => other,
            })
            .collect::<Vec<_>>()
            .join(" or "),
    };
    for (is_marked, mark) in [
        (schema::is_secret(property), "secret"),
        (schema::is_output(property), "output target"),
    ] {
        if is_marked {
            let _ = write!(words, ", {mark}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn langfuse() -> ComponentFacts {
        let schema = json!({
            "type": "object",
            "required": ["public_key", "secret_key"],
            "properties": {
                "base_url": {"type": "string", "format": "uri", "default": "https://cloud.langfuse.com",
                             "x-env": ["LANGFUSE_BASE_URL", "LANGFUSE_BASEURL"], "description": "Where Langfuse is"},
                "public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"], "description": "Public key of the project"},
                "secret_key": {"type": "string", "x-secret": true, "x-env": ["LANGFUSE_SECRET_KEY"]},
                "flavour": {"enum": ["plain", "salty"], "default": "plain"},
            },
        });
        ComponentFacts::sample(
            "langfuse",
            &[
                Signal::Traces,
                Signal::Logs,
                Signal::Scores,
                Signal::Feedback,
            ],
            schema,
        )
    }

    #[test]
    fn people_see_everything_that_it_asks_for() {
        let wanted = "\
langfuse 0.1.0

  file       plugins/langfuse.wasm (410.1 KiB)
  digest     sha256:langfuse00000000000000000000000000000000000000000000000000000000
  contract   mastra:observability@0.1.0
  signals    ✔ traces  ✔ logs  – metrics  ✔ scores  ✔ feedback
  imports    mastra:observability/http@0.1.0
  hosts      https://cloud.langfuse.com, or as setting base_url says
  spans      ended
  batches    up to 512 items, 1 MiB
  repeats    recognised by the backend

Settings
  base_url    URL, default https://cloud.langfuse.com ← LANGFUSE_BASE_URL, LANGFUSE_BASEURL
              Where Langfuse is
  public_key  text, required ← LANGFUSE_PUBLIC_KEY
              Public key of the project
  secret_key  text, secret, required ← LANGFUSE_SECRET_KEY
  flavour     plain | salty, default plain
";
        let text = human(&langfuse(), Look::default());
        assert_eq!(text, wanted, "\n{text}");
    }

    #[test]
    fn names_and_texts_of_any_length_and_kind_are_shown_in_their_line() {
        let name = "n".repeat(70_000) + "\u{1b}]0;x\u{7}\nforged";
        let schema = json!({"type": "object", "properties": {
            name: {"type": "string", "description": "d\u{202e}\n".repeat(70_000), "x-env": ["A\u{1b}[1A"]},
            "short": {"enum": ["a\nb"], "default": "c\td"},
        }});
        let text = human(
            &ComponentFacts::sample("a\nb", &[], schema),
            Look::default(),
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}'));
        assert!(text.lines().all(|line| !line.starts_with("forged")));
        assert!(text.len() < 100_000, "{} bytes", text.len());
    }

    #[test]
    fn programs_get_the_promised_keys() {
        let value: Value = serde_json::from_str(&json(&langfuse())).unwrap();
        assert_eq!(value["name"], "langfuse");
        assert_eq!(value["version"], "0.1.0");
        assert_eq!(value["contract"], "mastra:observability@0.1.0");
        assert_eq!(
            value["signals"],
            json!(["traces", "logs", "scores", "feedback"])
        );
        assert_eq!(value["imports"], json!(["mastra:observability/http@0.1.0"]));
        assert_eq!(value["hosts"], json!(["setting:base_url"]));
        assert_eq!(
            value["settings"]["properties"]["secret_key"]["x-env"],
            json!(["LANGFUSE_SECRET_KEY"])
        );
    }
}
