//! Traces of the local store: a list of them, and one as a tree with durations, tokens and cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::letters::time;
use super::{Lines, Look, Tone, cell, count, finish, line, number_cell, table, thousands};
use crate::event::records::{Span, SpanPhase};

/// What the spans of a trace add up to.
#[derive(Debug, Default)]
struct Sum {
    tokens: u64,
    /// By unit, `USD` where none is given.
    cost: BTreeMap<String, f64>,
    errors: u64,
    running: u64,
}

impl Sum {
    fn of(spans: &[Span<'_>]) -> Self {
        let mut sum = Self::default();
        for span in spans {
            sum.tokens += tokens(span);
            if let Some((amount, unit)) = cost(span) {
                *sum.cost.entry(unit.to_owned()).or_default() += amount;
            }
            sum.errors += u64::from(span.error.is_some());
            sum.running += u64::from(span.phase != SpanPhase::Ended);
        }
        sum
    }

    fn cost(&self) -> String {
        let parts: Vec<String> = self
            .cost
            .iter()
            .map(|(unit, amount)| money(*amount, unit))
            .collect();
        parts.join(" + ")
    }

    const fn state(&self) -> (&'static str, Tone) {
        match (self.errors, self.running) {
            (1.., _) => ("error", Tone::Bad),
            (_, 1..) => ("running", Tone::Warning),
            _ => ("ok", Tone::Good),
        }
    }
}

/// Tokens of a model call itself; what a span of another type repeats of its children is not counted again.
fn tokens(span: &Span<'_>) -> u64 {
    let usage = match (&*span.span_type, &span.model) {
        ("model_generation", Some(model)) => model.usage,
        _ => None,
    };
    usage.map_or(0, |usage| {
        usage.input_tokens.unwrap_or(0) + usage.output_tokens.unwrap_or(0)
    })
}

fn cost<'a>(span: &'a Span<'_>) -> Option<(f64, &'a str)> {
    let cost = span.model.as_ref()?.cost.as_ref()?;
    Some((
        cost.estimated_cost?,
        cost.cost_unit.as_deref().unwrap_or("USD"),
    ))
}

fn money(amount: f64, unit: &str) -> String {
    format!("{amount:.6} {unit}")
}

/// The root, or the earliest span while the root is not there.
fn head<'s, 'a>(spans: &'s [Span<'a>]) -> Option<&'s Span<'a>> {
    let by_start = |span: &&Span<'_>| span.start_time;
    let root = spans
        .iter()
        .filter(|span| span.is_root)
        .min_by_key(by_start);
    root.or_else(|| spans.iter().min_by_key(by_start))
}

/// From the first start to the last end.
fn duration(spans: &[Span<'_>]) -> Option<Duration> {
    let start = spans.iter().map(|span| span.start_time).min()?;
    let end = spans.iter().filter_map(|span| span.end_time).max()?;
    Some(Duration::from_nanos(end.saturating_sub(start)))
}

/// `850 ms`, `2.33 s`, `4 min 5 s`.
fn span_of_time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds:.2} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

/// A table of traces, each given by its spans.
#[must_use]
pub fn list(traces: &[Vec<Span<'_>>], look: Look) -> String {
    let header = [
        "trace", "started", "name", "time", "spans", "tokens", "cost", "state",
    ];
    let mut table = table(look, &header);
    let mut rows: u64 = 0;
    for spans in traces {
        let Some(head) = head(spans) else { continue };
        let sum = Sum::of(spans);
        let (state, tone) = sum.state();
        let time_taken = duration(spans).map_or_else(|| "–".to_owned(), span_of_time);
        rows += 1;
        table.add_row(vec![
            cell(look, Tone::Strong, &head.trace_id),
            cell(look, Tone::Dim, &time(head.start_time)),
            cell(look, Tone::Plain, &head.name),
            cell(look, Tone::Plain, &time_taken),
            number_cell(look, Tone::Plain, spans.len() as u64),
            number_cell(look, Tone::Plain, sum.tokens),
            cell(look, Tone::Plain, &sum.cost()),
            cell(look, tone, state),
        ]);
    }
    match rows {
        0 => "No traces are stored.\n".to_owned(),
        _ => format!("{}{}\n", finish(&table), count(rows, "trace")),
    }
}

/// `{"traces":[{"trace_id","name","start_time","duration_ms","spans","tokens","cost":{unit:amount},"state"}]}`
#[must_use]
pub fn list_json(traces: &[Vec<Span<'_>>]) -> String {
    let traces: Vec<Value> = traces
        .iter()
        .filter_map(|spans| {
            let (head, sum) = (head(spans)?, Sum::of(spans));
            Some(json!({
                "trace_id": head.trace_id,
                "name": head.name,
                "start_time": time(head.start_time),
                "duration_ms": duration(spans).map(|time| time.as_secs_f64() * 1e3),
                "spans": spans.len(),
                "tokens": sum.tokens,
                "cost": sum.cost,
                "state": sum.state().0,
            }))
        })
        .collect();
    line(&json!({ "traces": traces }))
}

/// One trace as a tree: children under their parent in the order in which they started. A span whose parent is not there
/// stands at the top.
#[must_use]
pub fn tree(trace_id: &str, spans: &[Span<'_>], look: Look) -> String {
    let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.span_id).collect();
    let mut children: BTreeMap<Option<&str>, Vec<&Span<'_>>> = BTreeMap::new();
    for span in spans {
        let parent = span
            .parent_span_id
            .as_deref()
            .filter(|parent| ids.contains(parent) && *parent != span.span_id);
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| span.start_time);
    }
    let sum = Sum::of(spans);
    let mut facts = vec![count(spans.len() as u64, "span")];
    facts.extend(duration(spans).map(span_of_time));
    if sum.tokens > 0 {
        facts.push(count(sum.tokens, "token"));
    }
    facts.extend((!sum.cost.is_empty()).then(|| sum.cost()));
    let mut text = Lines::default();
    text.line(format_args!(
        "{} {}  {}",
        look.paint(Tone::Dim, "trace"),
        look.paint(Tone::Strong, trace_id),
        facts.join(", ")
    ));
    let mut drawn = BTreeSet::new();
    // Depth first, by hand: a trace may be deeper than the stack.
    let mut open: Vec<(&Span<'_>, String, bool, bool)> = Vec::new();
    push(&mut open, children.get(&None), "", true);
    while let Some((span, prefix, is_last, is_top)) = open.pop() {
        // Parents that go round in a circle are drawn once.
        if !drawn.insert(&*span.span_id) {
            continue;
        }
        let (branch, deeper) = match (is_top, is_last) {
            (true, _) => ("", ""),
            (false, true) => ("└─ ", "   "),
            (false, false) => ("├─ ", "│  "),
        };
        text.line(format_args!("{prefix}{branch}{}", described(span, look)));
        let below = format!("{prefix}{deeper}");
        push(
            &mut open,
            children.get(&Some(&*span.span_id)),
            &below,
            false,
        );
    }
    // A circle has no top; none of it may be lost from view.
    for span in spans.iter().filter(|span| !drawn.contains(&*span.span_id)) {
        text.line(format_args!("{}", described(span, look)));
    }
    text.into_text()
}

fn push<'s, 'a>(
    open: &mut Vec<(&'s Span<'a>, String, bool, bool)>,
    siblings: Option<&Vec<&'s Span<'a>>>,
    prefix: &str,
    is_top: bool,
) {
    let siblings = siblings.map(Vec::as_slice).unwrap_or_default();
    for (place, span) in siblings.iter().rev().enumerate() {
        open.push((*span, prefix.to_owned(), place == 0, is_top));
    }
}

fn described(span: &Span<'_>, look: Look) -> String {
    let name = if span.name.is_empty() {
        "(no name)"
    } else {
        &*span.name
    };
    let mut text = format!(
        "{} {}",
        look.paint(Tone::Strong, name),
        look.paint(Tone::Dim, &span.span_type)
    );
    let mut facts = Vec::new();
    match span.end_time {
        Some(end) => facts.push(span_of_time(Duration::from_nanos(
            end.saturating_sub(span.start_time),
        ))),
        None if span.is_event => facts.push("event".to_owned()),
        None => facts.push("running".to_owned()),
    }
    facts.extend(
        span.model
            .as_ref()
            .and_then(|model| model.model.as_deref())
            .map(str::to_owned),
    );
    let tokens = tokens(span);
    if tokens > 0 {
        facts.push(format!("{} tokens", thousands(tokens)));
    }
    facts.extend(cost(span).map(|(amount, unit)| money(amount, unit)));
    let _ = write!(text, "  {}", facts.join("  "));
    if let Some(error) = &span.error {
        let first_line = error.message.lines().next().unwrap_or_default();
        let _ = write!(
            text,
            "  {}",
            look.paint(Tone::Bad, &format!("error: {first_line}"))
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, decode};

    fn span(json: &str) -> Span<'_> {
        decode::span(EventKind::SpanEnded, json).unwrap()
    }

    const SPANS: [&str; 4] = [
        r#"{"id":"1","traceId":"a","name":"run","type":"agent_run","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T00:01:30Z","isRootSpan":true}"#,
        r#"{"id":"2","traceId":"a","parentSpanId":"1","name":"","type":"tool_call","startTime":"2026-01-01T00:00:20Z","endTime":"2026-01-01T00:00:21.5Z","errorInfo":{"message":"no\nroute"}}"#,
        r#"{"id":"3","traceId":"a","parentSpanId":"1","name":"llm","type":"model_generation","startTime":"2026-01-01T00:00:10Z","endTime":"2026-01-01T00:00:10.25Z","attributes":{"model":"m","usage":{"inputTokens":1200,"outputTokens":34},"costContext":{"estimatedCost":0.002,"costUnit":"USD"}}}"#,
        r#"{"id":"4","traceId":"a","parentSpanId":"3","name":"chunk","type":"model_chunk","startTime":"2026-01-01T00:00:10.1Z","isEvent":true}"#,
    ];

    #[test]
    fn a_trace_is_a_tree_in_the_order_of_time() {
        let spans: Vec<Span<'_>> = SPANS.iter().map(|json| span(json)).collect();
        let expected = "\
trace a  4 spans, 1 min 30 s, 1,234 tokens, 0.002000 USD
run agent_run  1 min 30 s
├─ llm model_generation  250 ms  m  1,234 tokens  0.002000 USD
│  └─ chunk model_chunk  event
└─ (no name) tool_call  1.50 s  error: no
";
        assert_eq!(tree("a", &spans, Look::default()), expected);
    }

    #[test]
    fn spans_without_their_parent_and_circles_are_drawn_once() {
        let orphan = r#"{"id":"5","traceId":"a","parentSpanId":"9","name":"orphan","type":"x","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T00:00:00Z"}"#;
        let left = r#"{"id":"6","traceId":"a","parentSpanId":"7","name":"left","type":"x","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T00:00:00Z"}"#;
        let right = r#"{"id":"7","traceId":"a","parentSpanId":"6","name":"right","type":"x","startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T00:00:00Z"}"#;
        let spans = [span(orphan), span(left), span(right)];
        let drawn = tree("a", &spans, Look::default());
        for name in ["orphan", "left", "right"] {
            assert_eq!(drawn.matches(name).count(), 1, "{drawn}");
        }
    }

    #[test]
    fn lists_tell_name_time_and_state() {
        let spans: Vec<Span<'_>> = SPANS.iter().map(|json| span(json)).collect();
        let told: Value = serde_json::from_str(&list_json(&[spans])).unwrap();
        let expected = json!({"traces": [{
            "trace_id": "a", "name": "run", "start_time": "2026-01-01T00:00:00Z", "duration_ms": 90_000.0,
            "spans": 4, "tokens": 1234, "cost": {"USD": 0.002}, "state": "error",
        }]});
        assert_eq!(told, expected);
        assert_eq!(list(&[], Look::default()), "No traces are stored.\n");
    }
}
