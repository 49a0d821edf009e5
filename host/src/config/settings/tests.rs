//! Schema, config values and environment in; settings or problems out.

use serde_json::json;

use super::*;

fn langfuse() -> Value {
    json!({
        "type": "object",
        "required": ["public_key", "secret_key"],
        "properties": {
            "base_url": {"type": "string", "format": "uri", "default": "https://cloud.langfuse.com", "x-env": ["LANGFUSE_BASE_URL", "LANGFUSE_BASEURL"]},
            "public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"]},
            "secret_key": {"type": "string", "x-secret": true, "x-env": ["LANGFUSE_SECRET_KEY"], "pattern": "^sk-"},
            "sample_rate": {"type": "number", "minimum": 0, "maximum": 1, "x-env": "LANGFUSE_SAMPLE_RATE"},
            "retries": {"type": "integer", "x-env": ["LANGFUSE_RETRIES"]},
            "debug": {"type": "boolean", "x-env": ["LANGFUSE_DEBUG"]},
            "tags": {"type": "array", "items": {"type": "string"}, "x-env": ["LANGFUSE_TAGS"]},
            "ports": {"type": "array", "items": {"type": "integer"}, "x-env": ["LANGFUSE_PORTS"]},
            "headers": {"type": "object", "additionalProperties": {"type": "string", "x-secret": true}, "x-env": ["LANGFUSE_HEADERS"]},
            "mode": {"enum": ["fast", "safe"], "default": "safe"},
            "target": {"type": "string", "x-output": true, "x-env": ["LANGFUSE_TARGET"]},
        },
    })
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn raw(values: Value) -> RawSettings {
    let values = values.as_object().unwrap().clone();
    let positions = values
        .keys()
        .enumerate()
        .map(|(index, key)| {
            (
                key.clone(),
                Position {
                    line: index + 1,
                    column: 1,
                },
            )
        })
        .collect();
    RawSettings { values, positions }
}

/// Every variable of the environment is approved.
fn resolve_with(
    raw: &RawSettings,
    environment: &Environment,
) -> Result<Resolved, Vec<SettingProblem>> {
    let approved = environment.keys().cloned().collect();
    let variables = Variables {
        environment,
        approved: &approved,
    };
    resolve(&langfuse(), raw, Some(&variables))
}

const KEYS: [(&str, &str); 2] = [
    ("LANGFUSE_PUBLIC_KEY", "pk-1"),
    ("LANGFUSE_SECRET_KEY", "sk-1"),
];

/// Values from `pairs` beside the two keys.
fn from_environment(pairs: &[(&str, &str)]) -> Result<Map<String, Value>, Vec<String>> {
    let environment = environment(&[&KEYS, pairs].concat());
    resolve_with(&RawSettings::default(), &environment)
        .map(|resolved| resolved.values)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn problems(values: Value, pairs: Option<&[(&str, &str)]>) -> Vec<String> {
    let environment = pairs.map(environment);
    let raw = raw(values);
    let resolved = match &environment {
        Some(environment) => resolve_with(&raw, environment),
        None => resolve(&langfuse(), &raw, None),
    };
    let problems = resolved.unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn config_wins_over_environment_and_environment_over_default() {
    let environment = environment(
        &[
            &KEYS[..],
            &[
                ("LANGFUSE_BASE_URL", "https://env.example"),
                ("LANGFUSE_TARGET", "stdout"),
            ],
        ]
        .concat(),
    );
    let resolved = resolve_with(&raw(json!({"public_key": "pk-config"})), &environment).unwrap();
    assert_eq!(resolved.values["public_key"], "pk-config");
    assert_eq!(resolved.values["base_url"], "https://env.example");
    assert_eq!(resolved.values["mode"], "safe");
    assert_eq!(resolved.output.as_deref(), Some("stdout"));
    assert_eq!(resolved.from_environment["base_url"], "LANGFUSE_BASE_URL");
    assert!(!resolved.from_environment.contains_key("public_key"));
    assert!(!format!("{resolved:?}").contains("sk-1"));
}

#[test]
fn missing_settings_name_their_variable() {
    assert_eq!(
        problems(json!({}), Some(&[])),
        [
            "missing LANGFUSE_PUBLIC_KEY (setting public_key)",
            "missing LANGFUSE_SECRET_KEY (setting secret_key)"
        ]
    );
    let found = problems(json!({}), Some(&[("LANGFUSE_PUBLIC_KEY", ""), KEYS[1]]));
    assert_eq!(
        found,
        ["missing LANGFUSE_PUBLIC_KEY (setting public_key)"],
        "set to nothing is not set"
    );
}

#[test]
fn an_exporter_of_its_own_id_does_not_read_the_environment() {
    let missing = resolve(&langfuse(), &RawSettings::default(), None).unwrap_err();
    assert_eq!(missing[0].to_string(), "missing setting public_key");
    let problem = missing[0].in_config("exporters.langfuse/eu", Position { line: 7, column: 3 });
    let wanted = "7:3: exporters.langfuse/eu.settings.public_key: missing setting public_key; write `public_key: ${env:LANGFUSE_PUBLIC_KEY}` under settings";
    assert_eq!(problem.to_string(), wanted);
}

#[test]
fn environment_texts_become_what_the_schema_wants() {
    let cases = [
        ("LANGFUSE_SAMPLE_RATE", "0.5", "sample_rate", json!(0.5)),
        ("LANGFUSE_SAMPLE_RATE", "1", "sample_rate", json!(1)),
        ("LANGFUSE_RETRIES", " 3 ", "retries", json!(3)),
        ("LANGFUSE_DEBUG", "true", "debug", json!(true)),
        ("LANGFUSE_DEBUG", "OFF", "debug", json!(false)),
        ("LANGFUSE_TAGS", "a, b,", "tags", json!(["a", "b"])),
        ("LANGFUSE_TAGS", r#"["a,b"]"#, "tags", json!(["a,b"])),
        ("LANGFUSE_PORTS", "1,2", "ports", json!([1, 2])),
        (
            "LANGFUSE_HEADERS",
            "authorization=Basic%20eA==,x=1",
            "headers",
            json!({"authorization": "Basic eA==", "x": "1"}),
        ),
        (
            "LANGFUSE_HEADERS",
            r#"{"a":"b=c"}"#,
            "headers",
            json!({"a": "b=c"}),
        ),
        (
            "LANGFUSE_BASEURL",
            "http://localhost:3000",
            "base_url",
            json!("http://localhost:3000"),
        ),
        ("LANGFUSE_PUBLIC_KEY", "12345", "public_key", json!("12345")),
    ];
    for (variable, text, setting, wanted) in cases {
        let values = from_environment(&[(variable, text)])
            .unwrap_or_else(|problems| panic!("{variable}={text}: {problems:?}"));
        assert_eq!(values[setting], wanted, "{variable}={text}");
    }
}

#[test]
fn environment_texts_that_do_not_fit_name_the_variable() {
    let cases = [
        (
            "LANGFUSE_SAMPLE_RATE",
            "half",
            "LANGFUSE_SAMPLE_RATE (setting sample_rate): `half` is not a number",
        ),
        (
            "LANGFUSE_SAMPLE_RATE",
            "2",
            "LANGFUSE_SAMPLE_RATE (setting sample_rate): `2` is more than 1",
        ),
        (
            "LANGFUSE_DEBUG",
            "perhaps",
            "LANGFUSE_DEBUG (setting debug): `perhaps` is not true or false",
        ),
        (
            "LANGFUSE_HEADERS",
            "nonsense",
            "LANGFUSE_HEADERS (setting headers): the value is not a mapping",
        ),
        (
            "LANGFUSE_SECRET_KEY",
            "hunter2",
            "LANGFUSE_SECRET_KEY (setting secret_key): the value does not match the pattern ^sk-",
        ),
        (
            "LANGFUSE_BASE_URL",
            "cloud",
            "LANGFUSE_BASE_URL (setting base_url): `cloud` is not a URL; write it with its scheme, such as https://example.com",
        ),
    ];
    for (variable, text, wanted) in cases {
        assert_eq!(
            from_environment(&[(variable, text)]),
            Err(vec![wanted.to_owned()]),
            "{variable}={text}"
        );
    }
}

#[test]
fn config_values_are_checked_all_at_once_and_secrets_are_not_shown() {
    let values = json!({
        "public_key": 12345, "secret_key": "hunter2", "pubic_key": "x", "sample_rate": "0.5", "mode": "slow",
        "headers": {"x-team": 5}, "tags": ["a", 1],
    });
    let wanted = [
        "unknown setting pubic_key; did you mean `public_key`?",
        "setting public_key: `12345` is not text; put it in quotes",
        "setting secret_key: the value does not match the pattern ^sk-",
        "setting tags.1: `1` is not text; put it in quotes",
        "setting headers.x-team: the value is not text; put it in quotes",
        "setting mode: `slow` is not one of fast, safe",
    ];
    let found = problems(values, None);
    for line in wanted {
        assert!(
            found.iter().any(|found| found == line),
            "{line} is not in {found:#?}"
        );
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn an_open_schema_takes_other_settings() {
    let schema = json!({"properties": {}, "additionalProperties": {"type": "string"}});
    let resolved = resolve(&schema, &raw(json!({"anything": "x"})), None).unwrap();
    assert_eq!(resolved.values["anything"], "x");
    assert!(resolve(&schema, &raw(json!({"anything": 1})), None).is_err());
}

#[test]
fn a_broken_schema_is_the_components_fault() {
    for schema in [
        json!({"type": "nonsense"}),
        json!({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}),
        json!({"$ref": "https://evil.example/schema"}),
    ] {
        let problems = resolve(&schema, &RawSettings::default(), None).unwrap_err();
        assert!(
            problems[0]
                .to_string()
                .starts_with("the component's settings schema is not valid"),
            "{problems:?}"
        );
    }
}

#[test]
fn coercion_survives_any_text() {
    for text in [
        "", "%", "%4", "%zz", "=", "a=%F0%9F", ",,,", "[", "{", "\u{0}", "ä%C3%A4",
    ] {
        for property in langfuse()["properties"].as_object().unwrap().values() {
            schema::coerce(Value::String(text.to_owned()), property);
        }
    }
}
