//! Compares what is written with a file that people have looked at. Called by the exporters' tests.

#![expect(
    clippy::missing_panics_doc,
    reason = "a failed comparison is a failed test"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Compares with a file; `UPDATE_GOLDEN=1` rewrites it. Members are compared and written in the order of their names.
pub fn assert_golden(file: &Path, value: &Value) {
    let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap_or_default();
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(
            fs::write(file, &text).is_ok(),
            "cannot write {}",
            file.display()
        );
    }
    let golden = fs::read_to_string(file).unwrap_or_default();
    assert!(
        golden == text,
        "{} differs; UPDATE_GOLDEN=1 rewrites it",
        file.display()
    );
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(key, member)| (key.clone(), sorted(member)))
                .collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(elements) => elements.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth_and_elements_are_not() {
        let value = sorted(&json!({"b": [{"d": 1, "c": 2}, 0], "a": null}));
        assert_eq!(value.to_string(), r#"{"a":null,"b":[{"c":2,"d":1},0]}"#);
    }
}
