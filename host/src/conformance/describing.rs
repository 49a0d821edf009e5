//! What the component says of itself. Loading has checked already that it can be used; here is what an operator would
//! miss, or what contradicts itself.

use serde_json::Value;

use super::scorecard::{Group, Judgement, Scorecard};
use crate::config::settings::schema;
use crate::plugin::{Component, Description};

/// How the name of a setting ends that holds a secret.
const SECRET_WORDS: [&str; 5] = ["secret", "token", "password", "api_key", "apikey"];

/// Larger files start slowly and take memory while they compile.
const MANY_BYTES: u64 = 20 << 20;

pub(super) async fn check(component: &Component, card: &mut Scorecard) {
    let description = component.description();
    let mut add = |name: &str, judgement| card.add(Group::Describe, None, name, judgement);
    add("answers twice alike", again(component).await);
    add("settings are described", described(description));
    add("secrets are marked", secrets(description));
    add("hosts", hosts(component));
    add("limits", limits(description));
    add("size", size(component.size_bytes()));
}

async fn again(component: &Component) -> Judgement {
    match component.describe_again().await {
        Ok(again) if again == *component.description() => Judgement::pass("the same description"),
        Ok(_) => Judgement::fail(
            "another description at the second call",
            "return constants: the host asks once and keeps the answer",
        ),
        Err(error) => Judgement::fail(
            format!("failed at the second call: {error}"),
            "make `describe` independent of what was called before",
        ),
    }
}

fn described(description: &Description) -> Judgement {
    let without = description.settings.iter();
    let without: Vec<&str> = without
        .filter(|setting| {
            let text = setting.description.as_deref();
            text.is_none_or(|text| text.trim().is_empty())
        })
        .map(|setting| setting.name.as_str())
        .collect();
    if without.is_empty() {
        return Judgement::pass("each has a `description`");
    }
    Judgement::warn(
        format!("no `description`: {}", without.join(", ")),
        "add a `description` to these properties; `inspect` shows it",
    )
}

fn secrets(description: &Description) -> Judgement {
    let properties = schema::properties(&description.settings_schema);
    let looks_secret = |name: &str, property: &Value| {
        let is_text = schema::types(property).contains(&"string");
        let name = name.to_ascii_lowercase();
        is_text && SECRET_WORDS.iter().any(|word| name.ends_with(word))
    };
    let open: Vec<&str> = properties
        .filter(|(name, property)| looks_secret(name, property) && !schema::is_secret(property))
        .map(|(name, _)| name.as_str())
        .collect();
    if open.is_empty() {
        return Judgement::pass("none looks secret without `x-secret`");
    }
    Judgement::warn(
        format!("not marked: {}", open.join(", ")),
        "set `\"x-secret\": true`, so that the component gets a placeholder and the value is never shown",
    )
}

fn hosts(component: &Component) -> Judgement {
    let speaks = component.imports().iter().any(|import| {
        import.starts_with("mastra:observability/http") || import.starts_with("wasi:http/")
    });
    let asks = component.description().hosts.len();
    match (speaks, asks) {
        (true, 0) if !has_other_ways(component) => Judgement::warn(
            "imports HTTP but asks for no host: every request will be denied",
            "list the origins in `hosts`, or the settings that hold their URLs",
        ),
        (false, 1..) => Judgement::warn(
            format!("asks for {asks} hosts but imports no HTTP"),
            "leave `hosts` empty: the operator is asked to grant them",
        ),
        _ => Judgement::pass(format!("{asks} asked for")),
    }
}

/// Worlds bring the import `http` along, whether it is used or not.
fn has_other_ways(component: &Component) -> bool {
    let others = ["mastra:observability/output", "mastra:observability/store"];
    let mut imports = component.imports().iter();
    component.serves_page()
        || imports.any(|import| others.iter().any(|other| import.starts_with(other)))
}

fn limits(description: &Description) -> Judgement {
    let found = format!(
        "{} items and {} bytes a batch",
        description.max_items, description.max_bytes
    );
    if description.max_items == 1 {
        return Judgement::warn(
            found,
            "take more items a batch unless the backend cannot: each call costs",
        );
    }
    Judgement::pass(found)
}

fn size(bytes: u64) -> Judgement {
    let found = format!("{} KiB", bytes.div_ceil(1024));
    if bytes > MANY_BYTES {
        return Judgement::warn(
            found,
            "strip debug information, and leave out what is not used",
        );
    }
    Judgement::pass(found)
}
