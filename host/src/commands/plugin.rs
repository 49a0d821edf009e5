//! `mastra-host plugin ls|approve|revoke`

use std::path::Path;

use super::places::Shelf;
use super::survey::Survey;
use super::{Context, Exit, approve, control, list_components, read_config};
use crate::cli::{Output, PluginApproveArgs, PluginCommand, PluginLsArgs, PluginRevokeArgs};
use crate::config::select::Request;
use crate::print;

/// Runs the command.
pub fn run(command: &PluginCommand, ctx: &mut Context<'_>) -> Exit {
    match command {
        PluginCommand::Ls(args) => ls(args, ctx),
        PluginCommand::Approve(args) => run_approve(args, ctx),
        PluginCommand::Revoke(args) => run_revoke(args, ctx),
    }
}

/// Shows what the host that runs does with each component, or what `run` with the same options would do.
fn ls(args: &PluginLsArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let loaded = match read_config(args.config.as_deref(), ctx.environment) {
        Ok(loaded) => loaded,
        Err(reason) => return ctx.fail(output, Exit::BadUsage, &reason),
    };
    if !loaded.problems.is_empty() {
        let file = args
            .config
            .as_deref()
            .unwrap_or(Path::new(""))
            .display()
            .to_string();
        let text = print::problems::human(&file, &loaded.problems, ctx.err_look);
        return ctx.fail(
            output,
            Exit::BadUsage,
            &format!("the config is not valid\n{text}"),
        );
    }
    let storage = loaded.config.storage.directory.as_path();
    // Another directory than the config's is not the one that a host with the config's data directory has.
    let data_dir = args
        .data_dir
        .as_deref()
        .or_else(|| args.plugins_dir.is_none().then_some(storage));
    if let Some(data_dir) = data_dir.filter(|data_dir| control::is_there(data_dir)) {
        match control::ask(data_dir, ctx) {
            Ok(exit) => return exit,
            Err(reason) => ctx.warn(&format!("the host was not asked what it does: {reason}")),
        }
    }
    let directory = args
        .plugins_dir
        .as_deref()
        .unwrap_or(&loaded.config.plugins.directory);
    let listing = match list_components(directory) {
        Ok(listing) => listing,
        Err(error) => {
            return ctx.fail(
                output,
                Exit::Failed,
                &format!("cannot read {}: {error}", directory.display()),
            );
        }
    };
    let state_dir = args.state_dir.as_deref();
    let shelf = match Shelf::open(directory, state_dir, data_dir.unwrap_or(storage), ctx) {
        Ok(shelf) => shelf,
        Err(reason) => return ctx.fail(output, Exit::Failed, &reason),
    };
    let request = Request {
        config: &loaded.config,
        plugins: &[],
        directory,
        listing: &listing,
        approvals: &shelf.approvals,
        built_in: &shelf.built_in,
    };
    let survey = Survey::make(&request, &shelf.claims, ctx);
    let rows = survey.rows();
    let text = match output {
        Output::Human => print::plugins::human(&rows, ctx.look),
        Output::Json => print::plugins::json(&rows),
    };
    ctx.print(&text);
    Exit::Fine
}

/// The host that runs with the data directory keeps its own approvals: it does what the command line says.
fn run_approve(args: &PluginApproveArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    if !args.print_config
        && let Some(exit) = ask_running(&args.data_dir.data_dir, &args.components, ctx)
    {
        return exit;
    }
    match Shelf::of(&args.places, ctx) {
        Ok(shelf) => approve::approve(args, &shelf, approve::Where::Here, ctx),
        Err(reason) => ctx.fail(output, Exit::Failed, &reason),
    }
}

fn run_revoke(args: &PluginRevokeArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    if let Some(exit) = ask_running(&args.data_dir.data_dir, &args.components, ctx) {
        return exit;
    }
    match Shelf::of(&args.places, ctx) {
        Ok(shelf) => approve::revoke(args, &shelf, approve::Where::Here, ctx),
        Err(reason) => ctx.fail(output, Exit::Failed, &reason),
    }
}

/// Asks the host that runs with this data directory. It may run in another folder: files are named in full.
fn ask_running(
    data_dir: &Path,
    components: &[std::path::PathBuf],
    ctx: &mut Context<'_>,
) -> Option<Exit> {
    if !control::is_there(data_dir) {
        return None;
    }
    let full = |argument: &String| {
        let is_file = components
            .iter()
            .any(|component| component.as_os_str() == argument.as_str() && component.exists());
        match std::path::absolute(argument) {
            Ok(path) if is_file => path.to_string_lossy().into_owned(),
            _ => argument.clone(),
        }
    };
    let arguments: Vec<String> = ctx.arguments.iter().map(full).collect();
    match control::ask_to(data_dir, &arguments, ctx) {
        Ok(exit) => Some(exit),
        Err(reason) => {
            ctx.warn(&format!(
                "the host that runs was not asked: {reason}; the approval is recorded here"
            ));
            None
        }
    }
}
