//! Golden files: what a test wrote, compared with what it wrote when somebody looked at it. Keys are sorted, so that the
//! order of writing is free. `UPDATE_GOLDEN=1` rewrites the files; review them as code.
//!
//! Called by the exporters' tests.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Compares a value with the file.
///
/// # Errors
/// When they differ, or the file cannot be read or written.
pub fn check(file: &Path, value: &Value) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&sorted(value))?;
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let golden = std::fs::read_to_string(file)
        .with_context(|| format!("{} is missing; UPDATE_GOLDEN=1 writes it", file.display()))?;
    ensure!(
        golden == text,
        "{} differs; UPDATE_GOLDEN=1 rewrites it",
        file.display()
    );
    Ok(())
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
