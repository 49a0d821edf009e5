//! What a component says of itself: descriptions and settings schemas.

use serde_json::{Value, json};

use super::{Case, FORGED, Way};

/// What `describe` may say.
pub(super) fn descriptions() -> Vec<Case> {
    let of = |name, script| Case::new(Way::File, name, script);
    vec![
        of("name with escapes", json!({"name": FORGED})),
        of(
            "name of megabytes",
            json!({"name": {"text": "n", "times": 4_000_000}}),
        ),
        of("name with a path", json!({"name": "../../etc/passwd"})),
        of("name that is empty", json!({"name": ""})),
        of("version with escapes", json!({"version": FORGED})),
        of(
            "version of megabytes",
            json!({"version": {"text": "1.", "times": 4_000_000}}),
        ),
        of("hosts with escapes", json!({"hosts": [FORGED]})),
        of(
            "hosts by the thousand",
            json!({"hosts": ["https://a.example"], "host_copies": 100_000}),
        ),
        of(
            "host of a whole suffix",
            json!({"hosts": ["https://*.com"]}),
        ),
        of(
            "host of a setting that is not there",
            json!({"hosts": ["setting:nothing"]}),
        ),
        of(
            "batches of nothing",
            json!({"max_items": 0, "max_bytes": 0}),
        ),
        of(
            "batches of everything",
            json!({"max_items": u32::MAX, "max_bytes": u32::MAX}),
        ),
        of(
            "waits for whole traces for ever",
            json!({"max_wait": u64::MAX}),
        ),
        of("flushes for ever", json!({"flush_interval": 0})),
    ]
}

/// A schema in which each definition has the one before it twice.
pub(super) fn doubling(levels: usize) -> Value {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".to_owned(), json!({"type": "object"}));
    for level in 1..levels {
        let before = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        definitions.insert(format!("d{level}"), json!({"allOf": [before, before]}));
    }
    let last = format!("#/$defs/d{}", levels - 1);
    json!({"type": "object", "properties": {}, "$defs": definitions, "allOf": [{"$ref": last}]})
}

fn nested(levels: usize) -> String {
    format!(
        "{}{{\"type\":\"object\"}}{}",
        "{\"not\":".repeat(levels),
        "}".repeat(levels)
    )
}

pub(super) fn schemas() -> Vec<Case> {
    let of = |name, schema: Value| Case::new(Way::File, name, json!({"schema": schema}));
    let many: serde_json::Map<String, Value> = (0..1_500)
        .map(|number| (format!("p{number}"), json!({"type": "string"})))
        .collect();
    vec![
        of("schema doubles at each level", doubling(46)),
        of(
            "schema refers to itself",
            json!({"type": "object", "$ref": "#"}),
        ),
        of(
            "schema refers to two that refer to each other",
            json!({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        ),
        of(
            "schema refers to the network",
            json!({"type": "object", "$ref": "http://127.0.0.1:9/schema.json"}),
        ),
        of(
            "schema refers to a file",
            json!({"type": "object", "$ref": "file:///etc/passwd"}),
        ),
        of("schema is nested deeply", json!(nested(3_000))),
        of(
            "schema has many properties",
            json!({"type": "object", "properties": many}),
        ),
        of("schema is not JSON", json!("{\"type\": \"object\"")),
        of("schema is a number", json!("5")),
        of(
            "schema has a slow pattern",
            json!({"type": "object", "properties": {"script": {"type": "string", "pattern": "(a*)*(b*)*(.{1,1000}){1,1000}$"}}}),
        ),
        of(
            "schema has titles with escapes",
            json!({"type": "object", "title": FORGED, "properties": {"a\u{1b}[2J": {"type": "string", "description": FORGED}}, "required": [FORGED]}),
        ),
        of(
            "schema requires what is not there",
            json!({"type": "object", "required": ["nothing"]}),
        ),
        of(
            "schema has a bad default",
            json!({"type": "object", "properties": {"url": {"type": "string", "format": "uri", "default": "::"}}}),
        ),
        of(
            "schema wants foreign variables",
            json!({"type": "object", "properties": {"a": {"type": "string", "x-env": ["AWS_SECRET_ACCESS_KEY"]}}}),
        ),
        of(
            "schema names its own output",
            json!({"type": "object", "properties": {"o": {"type": "string", "x-output": true, "default": "file:/tmp/security-guest-output"}}}),
        ),
        Case::new(
            Way::File,
            "schema of a million lists",
            json!({"schema_fill": 1_000_000}),
        ),
        Case::new(
            Way::File,
            "schema of a million texts",
            json!({"schema_fill": 1_000_000, "schema_part": "\"xxxxxxxx\","}),
        ),
    ]
}
