//! `mastra-host validate --config F`: the file, the files that it names, and the settings of its exporters against their
//! components. Reads files, never the network.

use std::path::Path;

use super::places::Shelf;
use super::survey::Survey;
use super::{Context, Exit, list_components, read_config};
use crate::cli::{Output, ValidateArgs};
use crate::config::select::Request;
use crate::config::{Config, Discovery, Plugins, Position, Problem};
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
    problems.extend(component_problems(
        &loaded.config,
        directory,
        args.state_dir.as_deref(),
        ctx,
    ));
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
fn component_problems(
    config: &Config,
    directory: &Path,
    state_dir: Option<&Path>,
    ctx: &Context<'_>,
) -> Vec<Problem> {
    if config.exporters.is_empty() {
        return Vec::new();
    }
    // Only for suggestions: an unreadable directory shows in the components that are not found.
    let listing = list_components(directory).unwrap_or_default();
    let shelf = match Shelf::open(directory, state_dir, &config.storage.directory, ctx) {
        Ok(shelf) => shelf,
        Err(reason) => {
            return vec![Problem {
                at: Position::default(),
                path: String::new(),
                message: reason,
                fix: None,
            }];
        }
    };
    let config = &Config {
        plugins: Plugins {
            discovery: Discovery::Off,
            ..config.plugins.clone()
        },
        ..config.clone()
    };
    let request = Request {
        config,
        plugins: &[],
        directory,
        listing: &listing,
        approvals: &shelf.approvals,
        built_in: &shelf.built_in,
    };
    Survey::make(&request, &shelf.claims, ctx).problems()
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
