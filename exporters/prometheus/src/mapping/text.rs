//! The page: text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>) and OpenMetrics 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>, both read 2026-11).

use std::fmt::Write as _;

use mastra_exporter_sdk::records::Exemplar;

use super::{Family, Kind, Sample, Series};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 0.0.4
    Text,
    /// 1.0
    OpenMetrics,
}

impl Format {
    /// What the scraper prefers, by its `Accept` header.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// `Content-Type` of the page.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The page.
#[must_use]
pub fn page(families: &[Family<'_>], format: Format) -> String {
    let mut page = String::new();
    for family in families {
        let is_total = format == Format::Text && family.kind == Kind::Counter;
        let suffix = if is_total { "_total" } else { "" };
        // Writing into a text cannot fail.
        let _ = writeln!(page, "# HELP {}{suffix} Recorded by Mastra.", family.name);
        let _ = writeln!(
            page,
            "# TYPE {}{suffix} {}",
            family.name,
            family.kind.word()
        );
        for series in family.series.values() {
            for sample in &series.samples {
                line(&mut page, family, series, sample, format);
            }
        }
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

fn line(
    page: &mut String,
    family: &Family<'_>,
    series: &Series<'_>,
    sample: &Sample<'_>,
    format: Format,
) {
    page.push_str(&family.name);
    page.push_str(sample.suffix);
    let own = sample.own_label.as_ref();
    let own = own.map(|(name, value)| (*name, value.as_str()));
    let labels = series
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (place, (name, value)) in labels.chain(own).enumerate() {
        let _ = write!(page, "{}{name}=\"", if place == 0 { '{' } else { ',' });
        escaped(page, value);
        page.push('"');
    }
    if !series.labels.is_empty() || own.is_some() {
        page.push('}');
    }
    page.push(' ');
    number(page, sample.value);
    if let (Format::OpenMetrics, Some(found)) = (format, sample.exemplar) {
        exemplar(page, found, series.divisor);
    }
    page.push('\n');
}

fn escaped(page: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

fn number(page: &mut String, value: f64) {
    if value.is_nan() {
        page.push_str("NaN");
    } else if value.is_infinite() {
        page.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(page, "{value}");
    }
}

/// At most 128 characters of labels: ids have 48.
fn exemplar(page: &mut String, found: &Exemplar, divisor: f64) {
    let Some(trace_id) = &found.trace_id else {
        return;
    };
    let _ = write!(page, " # {{trace_id=\"{trace_id}\"");
    if let Some(span_id) = &found.span_id {
        let _ = write!(page, ",span_id=\"{span_id}\"");
    }
    page.push_str("} ");
    number(page, super::number(found.value) / divisor);
    let (seconds, millis) = (found.time / 1_000_000_000, found.time / 1_000_000 % 1_000);
    let _ = write!(page, " {seconds}.{millis:03}");
}
