//! `mastra-host matrix`

use super::{Context, Exit, list_components};
use crate::cli::{MatrixArgs, MatrixOutput, Output};
use crate::config::select::Source;
use crate::print::matrix::{MatrixRow, human, json, markdown};

/// Runs the command. Components that do not load are named on stderr and make it fail; the others are shown.
pub fn run(args: &MatrixArgs, ctx: &mut Context<'_>) -> Exit {
    let output = if args.output == MatrixOutput::Json {
        Output::Json
    } else {
        Output::Human
    };
    let directory = args.plugins_dir.display();
    let files = match list_components(&args.plugins_dir) {
        Ok(files) => files,
        Err(error) => {
            return ctx.fail(
                output,
                Exit::Failed,
                &format!("cannot read {directory}: {error}"),
            );
        }
    };
    if files.is_empty() {
        return ctx.fail(
            output,
            Exit::BadUsage,
            &format!("no components in {directory}; name their directory with --plugins-dir"),
        );
    }
    let sources: Vec<Source> = files.iter().cloned().map(Source::File).collect();
    let mut exit = Exit::Fine;
    let mut rows = Vec::new();
    for (file, loaded) in files.iter().zip(ctx.components.load(&sources)) {
        match loaded {
            Ok(component) => rows.push(MatrixRow {
                name: component.name,
                signals: component.signals,
            }),
            Err(reason) => {
                ctx.warn(&format!("{}: {reason}", file.display()));
                exit = Exit::Failed;
            }
        }
    }
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    let text = match args.output {
        MatrixOutput::Human => human(&rows, ctx.look),
        MatrixOutput::Json => json(&rows),
        MatrixOutput::Markdown => markdown(&rows),
    };
    ctx.print(&text);
    exit
}
