//! Problems of a config, one a line, in the form that editors and terminals make a link of: `host.yaml:12:5: ...`.

use std::fmt::Write as _;

use serde_json::json;

use super::{Lines, Look, MAX_TEXT_CHARS, Tone, bounded, count, line};
use crate::config::Problem;

/// All problems, then how many. `file` is what the user typed; problems that are not of a file stand without it.
#[must_use]
pub fn human(file: &str, problems: &[Problem], look: Look) -> String {
    let mut text = Lines::default();
    for problem in problems {
        let mut line = String::new();
        if problem.at.line > 0 {
            let place = format!("{file}:{}:{}:", problem.at.line, problem.at.column);
            let _ = write!(line, "{} ", look.paint(Tone::Dim, &place));
        } else if !file.is_empty() {
            let _ = write!(line, "{} ", look.paint(Tone::Dim, &format!("{file}:")));
        }
        if !problem.path.is_empty() {
            let _ = write!(line, "{}: ", look.paint(Tone::Strong, &problem.path));
        }
        line.push_str(&bounded(&problem.message, MAX_TEXT_CHARS));
        if let Some(fix) = &problem.fix {
            let _ = write!(line, "; {}", look.paint(Tone::Good, fix));
        }
        text.line(format_args!("{line}"));
    }
    let total = count(u64::try_from(problems.len()).unwrap_or(u64::MAX), "problem");
    text.line(format_args!("{}", look.paint(Tone::Bad, &total)));
    text.into_text()
}

/// `{"file","valid","problems":[{"line","column","path","message","fix"}]}`
#[must_use]
pub fn json(file: &str, problems: &[Problem]) -> String {
    let list: Vec<_> = problems
        .iter()
        .map(|problem| {
            json!({
                "line": problem.at.line,
                "column": problem.at.column,
                "path": problem.path,
                "message": problem.message,
                "fix": problem.fix,
            })
        })
        .collect();
    line(&json!({ "file": file, "valid": problems.is_empty(), "problems": list }))
}
