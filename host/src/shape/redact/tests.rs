//! What is redacted, what is not, and that the rest of a record stays byte for byte.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn redactor(keys: &[&str], patterns: &[&str]) -> Redactor {
    let own = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    Redactor::new(&Redaction {
        credentials: true,
        keys: own(keys),
        patterns: own(patterns),
    })
}

/// What becomes of a record's input.
fn input(redactor: &Redactor, input: Value) -> Value {
    let record = json!({"id": "1", "input": input});
    match redactor.redact(&record.to_string()) {
        None => input,
        Some(text) => {
            let mut record: Value = serde_json::from_str(&text).expect("it is JSON");
            record["input"].take()
        }
    }
}

fn assert_redacted(value: Value, wanted: Value) {
    assert_eq!(input(&redactor(&[], &[]), value.clone()), wanted, "{value}");
}

fn assert_stays(value: Value) {
    assert_redacted(value.clone(), value);
}

#[test]
fn every_form_compiles() {
    let (compiled, all) = Credentials::new().compiled();
    assert_eq!(compiled, all);
}

#[test]
fn values_under_keys_of_credentials_go_whatever_the_spelling() {
    for key in [
        "authorization",
        "Authorization",
        "api_key",
        "apiKey",
        "X-API-Key",
        "OPENAI_API_KEY",
        "password",
        "db.password",
        "clientSecret",
        "http.request.header.authorization",
        "AWS_SECRET_ACCESS_KEY",
        "set-cookie",
        "passwor_d",
    ] {
        for value in [json!("hunter2"), json!(["a", "b"]), json!({"a": {"b": 1}})] {
            assert_redacted(
                json!([{key: value, "k": 1}]),
                json!([{key: REDACTED, "k": 1}]),
            );
        }
    }
}

#[test]
fn counts_facts_and_words_that_only_look_alike_stay() {
    assert_stays(
        json!({"inputTokens": 12, "totalTokens": 30, "usage": {"outputTokens": 18, "tokens": "7"}}),
    );
    assert_stays(
        json!({"hasPassword": true, "password": null, "secret": false, "apiKey": "", "pin_password": 3}),
    );
    assert_stays(json!({"logprobs": [{"token": "Hello", "logprob": -0.1}]}));
    assert_stays(
        json!({"apiKeyId": "name", "passwordPolicy": "long", "key": "value", "secretary": "Ann"}),
    );
    assert_stays(json!(
        "task-of-the-day disk-a1b2c3d4e5f6g7h8i9 the bearer authentication Basic understanding"
    ));
    assert_stays(json!("sk-in-words-only-nothing-else eyJ AKIA xoxb- AIza"));
    assert_stays(json!(
        "the password: is not said here, \"api_key\": neither"
    ));
}

#[test]
fn credentials_go_by_their_form_wherever_they_stand() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_-123";
    for secret in [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-AbCdEf_123456789",
        "sk-lf-12345678-1234-1234-1234-123456789012",
        "sk_live_abcdefghijklmnop12",
        "AKIAIOSFODNN7EXAMPLE",
        jwt,
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0123456789_abcdefgh",
        "glpat-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghij",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    ] {
        assert_redacted(
            json!(format!("use {secret}, please")),
            json!("use [REDACTED], please"),
        );
        assert_redacted(
            json!({"a": [format!("line\n{secret}")]}),
            json!({"a": ["line\n[REDACTED]"]}),
        );
        assert_stays(json!(format!("x{secret}")));
    }
    assert_redacted(
        json!({"headers": ["Bearer abcdef123456"]}),
        json!({"headers": ["Bearer [REDACTED]"]}),
    );
    assert_redacted(
        json!("curl -H 'authorization: basic dXNlcjpwYXNz'"),
        json!("curl -H 'authorization: basic dXNlcjpwYXNz'"),
    );
    assert_redacted(
        json!("Authorization: Basic dXNlcjpwYXNz1=="),
        json!("Authorization: Basic [REDACTED]"),
    );
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\nabc\n-----END RSA PRIVATE KEY-----";
    assert_redacted(json!(format!("key:\n{pem}")), json!("key:\n[REDACTED]"));
    assert_stays(json!(
        "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----"
    ));
}

#[test]
fn json_within_a_text_is_understood() {
    let inner = json!({"password": "a\"b\\c\nd", "n": 1, "api_key": "", "nested": {"apiKey": "x"}})
        .to_string();
    let wanted =
        json!({"password": REDACTED, "n": 1, "api_key": "", "nested": {"apiKey": REDACTED}})
            .to_string();
    assert_redacted(json!({"arguments": inner}), json!({"arguments": wanted}));
    // Cut off in the middle of the value.
    assert_redacted(
        json!(r#"{"password":"abc"#),
        json!(r#"{"password":"[REDACTED]"#),
    );
}

#[test]
fn the_operators_words_and_patterns_count_too() {
    let own = redactor(&["card_number"], &[r"\b\d{3}-\d{2}-\d{4}\b", "l\"i\nne"]);
    let value = json!({"cardNumber": "1", "CARD-NUMBER": "2", "ssn": "is 123-45-6789.", "x": "\t123-45-6789", "y": "l\"i\nne"});
    let wanted = json!({"cardNumber": REDACTED, "CARD-NUMBER": REDACTED, "ssn": "is [REDACTED].", "x": "\t[REDACTED]", "y": REDACTED});
    assert_eq!(input(&own, value), wanted);
}

#[test]
fn without_the_built_in_words_only_the_operators_count() {
    let own = Redactor::new(&Redaction {
        credentials: false,
        keys: vec!["ssn".to_owned()],
        patterns: vec![],
    });
    let value = json!({"password": "AKIAIOSFODNN7EXAMPLE", "ssn": "1"});
    assert_eq!(
        input(&own, value),
        json!({"password": "AKIAIOSFODNN7EXAMPLE", "ssn": REDACTED})
    );
}

#[test]
fn ids_and_the_records_own_members_stay() {
    let own = redactor(&["name", "input", "metadata"], &["abc"]);
    let text = r#"{"id":"abc", "traceId":"abc","parentSpanId":"abc","name":"n","metadata":{"name":"n"},"input":{"a":1},"correlationContext":{"sessionId":"abc"},"authorization":"x"}"#;
    let wanted = r#"{"id":"abc", "traceId":"abc","parentSpanId":"abc","name":"n","metadata":{"name":"[REDACTED]"},"input":"[REDACTED]","correlationContext":{"sessionId":"abc"},"authorization":"[REDACTED]"}"#;
    assert_eq!(own.redact(text).as_deref(), Some(wanted));
}

#[test]
fn a_record_without_anything_is_not_copied() {
    let text = r#"{"id":"1","name":"n","input":{"messages":[{"role":"user","content":"hi"}]},"attributes":{"inputTokens":3}}"#;
    assert_eq!(redactor(&["ssn"], &["x{9}"]).redact(text), None);
}

fn value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "password",
        "x",
        "sk-abcdefghij1234567890",
        "a\"b",
        "\\",
        "\n",
        "é😀",
        "Bearer abc12345678",
        "{\"password\":\"q\"}",
    ]);
    let leaf = prop_oneof![
        prop::collection::vec(word, 0..4).prop_map(|words| json!(words.join(" "))),
        any::<i32>().prop_map(|number| json!(number)),
        Just(Value::Null),
    ];
    let key = prop::sample::select(vec![
        "password",
        "a",
        "pass\"word",
        "api-key",
        "k:",
        "input",
    ]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn the_result_is_json_holds_no_secret_and_is_final(value in value()) {
        let redactor = redactor(&[], &[]);
        let text = json!({"id": "1", "input": value}).to_string();
        if let Some(redacted) = redactor.redact(&text) {
            let read: Result<Value, _> = serde_json::from_str(&redacted);
            prop_assert!(read.is_ok(), "{} of {}", redacted, text);
            prop_assert!(!redacted.contains("sk-abcdefghij1234567890"), "{}", redacted);
            let again = redactor.redact(&redacted);
            prop_assert!(again.is_none() || again.as_deref() == Some(&*redacted), "{:?} of {}", again, redacted);
        }
    }
}
