//! What `mastra-host new` has written, and what to do next.

use serde_json::json;

use super::{Lines, Look, Tone, line};
use crate::scaffold::Project;

/// For people.
#[must_use]
pub fn human(project: &Project, look: Look) -> String {
    let name = project.name.kebab();
    let signals: Vec<&str> = project.signals.iter().map(|signal| signal.name()).collect();
    let wrote = look.paint(Tone::Good, &format!("✔ Wrote {name}/"));
    let steps = [
        (format!("cd {name}"), String::new()),
        ("make".to_owned(), format!("builds {name}.wasm")),
        ("make test".to_owned(), "tests the mapping".to_owned()),
        (
            format!("mastra-host test {name}.wasm"),
            "tries it without a backend".to_owned(),
        ),
    ];
    let width = steps
        .iter()
        .map(|(step, _)| step.len())
        .max()
        .unwrap_or_default();
    let mut text = Lines::default();
    let signals = signals.join(", ");
    text.line(format_args!("{wrote} ({}; {signals})", project.language));
    text.line(format_args!(""));
    for (step, meaning) in steps {
        let line = format!("  {step:width$}  {meaning}");
        text.line(format_args!("{}", line.trim_end()));
    }
    text.into_text()
}

/// For programs.
#[must_use]
pub fn json<'a>(project: &Project, files: impl Iterator<Item = &'a String>) -> String {
    let signals: Vec<&str> = project.signals.iter().map(|signal| signal.name()).collect();
    line(&json!({
        "name": project.name.kebab(),
        "language": project.language.name(),
        "signals": signals,
        "files": files.collect::<Vec<_>>(),
    }))
}
