//! What a language costs: the project that `mastra-host new` writes, built, under load. The mapping and what arrives are
//! the same in all of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use peers::authored::{LANGUAGES, Project};

use crate::figures::Figure;
use crate::measure::{Plan, Size, exporter_run};
use crate::sink::{RECORDS, Sink};
use crate::subject::Exporters;

/// Languages whose code is as fast as the host's: more spans, so that the CPU time is long enough to be read.
const COMPILED: [&str; 2] = ["c", "rust"];

fn size(language: &str) -> Size {
    Size {
        label: "1.3 kB",
        bytes: 1_300,
        spans_a_body: 1_000,
        divisor: if COMPILED.contains(&language) { 1 } else { 8 },
        goal: "",
    }
}

/// Spans per CPU-second of the whole host, and its peak memory, for each language.
///
/// # Errors
/// A project does not build, or a span does not arrive.
pub(crate) async fn costs(plan: &Plan) -> Result<Vec<Figure>> {
    let sink = Arc::new(Sink::start().await?);
    let home = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for language in LANGUAGES {
        let size = size(language);
        let component = Project::write(language, "traces")?.make("")?;
        let config = home.path().join(format!("{language}.yaml"));
        std::fs::write(&config, yaml(&component, &sink.url()))?;
        let (mut rates, mut peaks) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            let (rate, peak) = exporter_run(plan, Exporters::Config(&config), size, &sink).await?;
            rates.push(rate);
            peaks.push(peak);
        }
        let name = format!("project in {language}, {} spans", size.label);
        for (unit, values) in [("spans/CPU-s", rates), ("MB peak", peaks)] {
            figures.push(Figure {
                name: name.clone(),
                unit,
                goal: size.goal,
                values,
            });
        }
    }
    Ok(figures)
}

fn yaml(component: &Path, url: &str) -> String {
    format!(
        "exporters:\n  board:\n    component: {}\n    settings: {{endpoint: \"{url}{RECORDS}\", token: bench}}\n",
        component.display()
    )
}
