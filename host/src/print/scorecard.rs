//! The scorecard of the conformance kit: counts, then what is to be fixed, then what a backend would have seen.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Lines, Look, Tone, count, line};
use crate::config::component::ComponentFacts;
use crate::config::units::show_size;
use crate::conformance::scorecard::{Check, Group, Scorecard, Seen, Verdict};
use crate::event::Signal;

/// For programs.
#[must_use]
pub fn json(component: &ComponentFacts, card: &Scorecard) -> String {
    let checks = card.checks.iter().map(|check| {
        json!({
            "group": check.group.word(), "signal": check.signal.map(Signal::name), "name": check.name,
            "result": check.verdict.word(), "found": check.found, "fix": check.fix,
        })
    });
    let seen = card.seen.iter().map(|seen| {
        let mut shown = json!({ "signal": seen.signal.name() });
        if let (Some(shown), Some(content)) = (shown.as_object_mut(), seen.content.as_object()) {
            shown.extend(content.clone());
        }
        shown
    });
    line(&json!({
        "component": {
            "file": component.source.to_string(), "name": component.name, "version": component.version,
            "contract": component.contract, "digest": component.digest,
        },
        "result": result(card),
        "counts": {
            "passed": card.count(Verdict::Passed), "warned": card.count(Verdict::Warned),
            "failed": card.count(Verdict::Failed),
        },
        "checks": checks.collect::<Value>(),
        "seen": seen.collect::<Value>(),
    }))
}

fn result(card: &Scorecard) -> &'static str {
    if card.is_passed() { "passed" } else { "failed" }
}

/// For people.
#[must_use]
pub fn human(component: &ComponentFacts, card: &Scorecard, look: Look) -> String {
    let mut text = Lines::default();
    let tone = if card.is_passed() {
        Tone::Good
    } else {
        Tone::Bad
    };
    let name = look.paint(
        Tone::Strong,
        &format!("{} {}", component.name, component.version),
    );
    let result = look.paint(tone, result(card));
    text.line(format_args!("{name}  {result}  {}", summary(card)));
    text.line(format_args!(""));
    text.append(&groups(card, look));
    for verdict in [Verdict::Failed, Verdict::Warned] {
        for finding in findings(card, verdict) {
            text.line(format_args!(""));
            text.append(&finding.text(look));
        }
    }
    if !card.seen.is_empty() {
        let title = look.paint(Tone::Strong, "What left the component");
        text.line(format_args!(""));
        text.line(format_args!("{title}"));
        for seen in &card.seen {
            text.append(&sight(seen, look));
        }
    }
    text.into_text()
}

fn summary(card: &Scorecard) -> String {
    let number = |verdict| u64::try_from(card.count(verdict)).unwrap_or(u64::MAX);
    let all = u64::try_from(card.checks.len()).unwrap_or(u64::MAX);
    format!(
        "{}: {} passed, {} warned, {} failed",
        count(all, "check"),
        number(Verdict::Passed),
        number(Verdict::Warned),
        number(Verdict::Failed)
    )
}

/// One line a group: how many passed, and of what was not so.
fn groups(card: &Scorecard, look: Look) -> String {
    let mut text = Lines::default();
    for group in Group::ALL {
        let of = |verdict| {
            let checks = card.checks.iter();
            checks
                .filter(|check| check.group == group && check.verdict == verdict)
                .count()
        };
        let (passed, warned, failed) = (
            of(Verdict::Passed),
            of(Verdict::Warned),
            of(Verdict::Failed),
        );
        if passed + warned + failed == 0 {
            continue;
        }
        let (mark, tone) = match (failed, warned) {
            (1.., _) => ("✘", Tone::Bad),
            (0, 1..) => ("!", Tone::Warning),
            _ => ("✔", Tone::Good),
        };
        let mut line = format!(
            "  {} {:<10} {passed} passed",
            look.paint(tone, mark),
            group.word()
        );
        for (number, word) in [(warned, "warned"), (failed, "failed")] {
            if number > 0 {
                let _ = write!(line, ", {number} {word}");
            }
        }
        text.line(format_args!("{line}"));
    }
    text.into_text()
}

/// Of those that ended alike; JSON has all.
const MOST_PLACES: usize = 6;

/// Checks that ended alike, told once.
struct Finding<'a> {
    first: &'a Check,
    places: Vec<String>,
}

fn findings(card: &Scorecard, verdict: Verdict) -> Vec<Finding<'_>> {
    let mut findings: Vec<Finding<'_>> = Vec::new();
    for check in card.checks.iter().filter(|check| check.verdict == verdict) {
        let place = match check.signal {
            Some(signal) => format!("{signal} {}", check.name),
            None => check.name.clone(),
        };
        let is_same = |known: &&mut Finding<'_>| {
            let known = known.first;
            known.group == check.group && known.found == check.found && known.fix == check.fix
        };
        match findings.iter_mut().find(is_same) {
            Some(finding) => finding.places.push(place),
            None => findings.push(Finding {
                first: check,
                places: vec![place],
            }),
        }
    }
    findings
}

impl Finding<'_> {
    fn text(&self, look: Look) -> String {
        let (mark, tone) = match self.first.verdict {
            Verdict::Failed => ("✘", Tone::Bad),
            _ => ("!", Tone::Warning),
        };
        let some: Vec<&str> = self
            .places
            .iter()
            .take(MOST_PLACES)
            .map(String::as_str)
            .collect();
        let mut head = format!("{mark} {}: {}", self.first.group.word(), some.join(", "));
        let more = self.places.len() - some.len();
        if more > 0 {
            let _ = write!(head, " and {more} more");
        }
        let fix = self.first.fix.as_deref().unwrap_or_default();
        let mut text = Lines::default();
        text.line(format_args!("{}", look.paint(tone, &head)));
        text.line(format_args!("    {}", self.first.found));
        text.line(format_args!("    Fix: {fix}"));
        text.into_text()
    }
}

fn sight(seen: &Seen, look: Look) -> String {
    let mut text = Lines::default();
    let signal = seen.signal.name();
    let list = |key: &str| seen.content.get(key).and_then(Value::as_array);
    let mut before: Vec<String> = Vec::new();
    for request in list("requests").into_iter().flatten() {
        let part = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
        let headers = request.get("headers").and_then(Value::as_object);
        let headers: Vec<String> = headers
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some(format!("{name}: {}", value.as_str()?)))
            .collect();
        let body = request.get("body").map_or(0, |body| body.to_string().len());
        let size = show_size(u64::try_from(body).unwrap_or(u64::MAX));
        let (verb, url) = (part("verb"), part("url"));
        text.line(format_args!("  {signal:<9} {verb} {url} ({size})"));
        if headers != before {
            let headers = look.paint(Tone::Dim, &headers.join("; "));
            text.line(format_args!("            {headers}"));
        }
        before = headers;
    }
    if let Some(lines) = seen
        .content
        .pointer("/output/lines")
        .and_then(Value::as_array)
    {
        let lines = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let lines = count(lines, "line");
        text.line(format_args!("  {signal:<9} {lines} of output"));
    }
    if let Some(rows) = list("store") {
        let rows = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let rows = count(rows, "row");
        text.line(format_args!("  {signal:<9} {rows} in the store"));
    }
    if text.is_empty() {
        text.line(format_args!("  {signal:<9} nothing yet"));
    }
    text.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Scorecard {
        let check = |signal, name: &str, verdict, found: &str, fix: Option<&str>| Check {
            group: Group::Replies,
            signal,
            name: name.to_owned(),
            verdict,
            found: found.to_owned(),
            fix: fix.map(str::to_owned),
        };
        let lost = "answered `delivered`: the backend took nothing, the events would be lost";
        let fix = Some("read the status of every reply before you answer `delivered`");
        Scorecard {
            checks: vec![
                check(
                    Some(Signal::Traces),
                    "401",
                    Verdict::Passed,
                    "answered `unauthorized`",
                    None,
                ),
                check(Some(Signal::Traces), "500", Verdict::Failed, lost, fix),
                check(Some(Signal::Traces), "503", Verdict::Failed, lost, fix),
                check(
                    Some(Signal::Logs),
                    "408",
                    Verdict::Warned,
                    "answered `rejected`",
                    Some("answer `retry`"),
                ),
            ],
            seen: vec![Seen {
                signal: Signal::Traces,
                content: json!({"requests": [{
                    "verb": "POST", "url": "https://a.example/v1", "headers": {"authorization": "Bearer ***"}, "body": {"a": 1},
                }]}),
            }],
        }
    }

    #[test]
    fn people_see_what_to_fix_and_what_was_sent() {
        let component = ComponentFacts::sample("acme", &[Signal::Traces], json!({}));
        let wanted = "\
acme 0.1.0  failed  4 checks: 1 passed, 1 warned, 2 failed

  ✘ replies    1 passed, 1 warned, 2 failed

✘ replies: traces 500, traces 503
    answered `delivered`: the backend took nothing, the events would be lost
    Fix: read the status of every reply before you answer `delivered`

! replies: logs 408
    answered `rejected`
    Fix: answer `retry`

What left the component
  traces    POST https://a.example/v1 (7 B)
            authorization: Bearer ***
";
        let text = human(&component, &card(), Look::default());
        assert_eq!(text, wanted, "\n{text}");
    }

    #[test]
    fn programs_get_the_promised_keys() {
        let component = ComponentFacts::sample("acme", &[Signal::Traces], json!({}));
        let value: Value = serde_json::from_str(&json(&component, &card())).unwrap();
        assert_eq!(value["result"], "failed");
        assert_eq!(
            value["counts"],
            json!({"passed": 1, "warned": 1, "failed": 2})
        );
        assert_eq!(value["component"]["name"], "acme");
        let check = &value["checks"][1];
        assert_eq!(
            (
                &check["group"],
                &check["signal"],
                &check["name"],
                &check["result"]
            ),
            (
                &json!("replies"),
                &json!("traces"),
                &json!("500"),
                &json!("failed")
            )
        );
        assert_eq!(value["checks"][0]["fix"], Value::Null);
        assert_eq!(value["seen"][0]["requests"][0]["verb"], "POST");
    }
}
