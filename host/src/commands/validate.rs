//! `mastra-host validate --config F`: the file, the files that it names, and the settings of its exporters against their
//! components. Reads files, never the network.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Context, Exit, list_components, read_config};
use crate::cli::{Output, ValidateArgs};
use crate::config::lock::Lock;
use crate::config::select::Request;
use crate::config::{Config, Position, Problem};
use crate::print;

/// Runs the command.
pub fn run(args: &ValidateArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let loaded = match read_config(Some(&args.config), ctx.environment) {
        Ok(loaded) => loaded,
        Err(reason) => return ctx.fail(output, Exit::BadUsage, &reason),
    };
    let mut problems = loaded.problems;
    problems.extend(missing_files(&loaded.config));
    let directory = args
        .plugins_dir
        .as_deref()
        .unwrap_or(&loaded.config.plugins.directory);
    problems.extend(component_problems(&loaded.config, directory, ctx));
    problems.sort_by_key(|problem| problem.at);

    let file = args.config.display().to_string();
    match (output, problems.is_empty()) {
        (Output::Json, _) => ctx.print(&print::problems::json(&file, &problems)),
        (Output::Human, true) => {
            let exporters = u64::try_from(loaded.config.exporters.len()).unwrap_or(u64::MAX);
            let text = format!("✔ {file} is valid: {}", print::count(exporters, "exporter"));
            let text = ctx.look.paint(print::Tone::Good, &text);
            ctx.print(&format!("{text}\n"));
        }
        (Output::Human, false) => ctx.print(&print::problems::human(&file, &problems, ctx.look)),
    }
    if problems.is_empty() {
        Exit::Fine
    } else {
        Exit::BadUsage
    }
}

/// Settings and signals of the exporters that the file names.
fn component_problems(config: &Config, directory: &Path, ctx: &Context<'_>) -> Vec<Problem> {
    if config.exporters.is_empty() {
        return Vec::new();
    }
    // Only for suggestions: an unreadable directory shows in the components that are not found.
    let listing = list_components(directory).unwrap_or_default();
    let named = Request {
        compiling: &BTreeSet::new(),
        config,
        plugins: &[],
        directory,
        listing: &[],
    };
    let components = ctx.load(&named.files());
    let request = Request {
        compiling: &BTreeSet::new(),
        listing: &listing,
        ..named
    };
    let plan = request.plan(&components, &Lock::default(), ctx.environment);
    plan.problems
}

/// Files that the config names and that cannot be read. `run` calls it too.
#[must_use]
pub fn missing_files(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, exporter) in &config.exporters {
        let certificate = exporter.http.client_certificate.as_ref();
        let files = [
            ("ca_file", exporter.http.ca_file.as_deref()),
            (
                "client_cert",
                certificate.map(|certificate| certificate.cert_file.as_path()),
            ),
            (
                "client_key",
                certificate.map(|certificate| certificate.key_file.as_path()),
            ),
        ];
        for (key, file) in files {
            let Some(file) = file else { continue };
            if let Err(error) = std::fs::File::open(file) {
                problems.push(unreadable(
                    exporter.at,
                    format!("exporters.{id}.http.{key}"),
                    file,
                    &error,
                ));
            }
        }
    }
    problems
}

fn unreadable(at: Position, path: String, file: &Path, error: &std::io::Error) -> Problem {
    Problem {
        at,
        path,
        message: format!("cannot read {}: {error}", file.display()),
        fix: None,
    }
}
