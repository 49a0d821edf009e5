//! `mastra-host plugin ls|approve`

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Exit, causes, control, list_components, read_config};
use crate::cli::{Output, PluginApproveArgs, PluginCommand, PluginLsArgs};
use crate::config::component::ComponentFacts;
use crate::config::lock::Lock;
use crate::config::select::{LoadedComponents, Plan, Request, tidy};
use crate::print::plugins::{PluginFacts, PluginRow, PluginState};
use crate::print::{self, line};

/// Runs the command.
pub fn run(command: &PluginCommand, ctx: &mut Context<'_>) -> Exit {
    match command {
        PluginCommand::Ls(args) => ls(args, ctx),
        PluginCommand::Approve(args) => approve(args, ctx),
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
    // Another directory than the config's is not the one that a host with the config's data directory has.
    let data_dir = args.data_dir.as_deref().or_else(|| {
        let default = loaded.config.storage.directory.as_path();
        args.plugins_dir.is_none().then_some(default)
    });
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
    let lock = match Lock::read(directory) {
        Ok(lock) => lock,
        Err(error) => return ctx.fail(output, Exit::Failed, &causes(&error)),
    };
    let request = Request {
        compiling: &BTreeSet::new(),
        config: &loaded.config,
        plugins: &[],
        directory,
        listing: &listing,
    };
    let components = ctx.load(&request.files());
    let plan = request.plan(&components, &lock, ctx.environment);
    let rows = rows(&components, &plan);
    let text = match output {
        Output::Human => print::plugins::human(&rows, ctx.look),
        Output::Json => print::plugins::json(&rows),
    };
    ctx.print(&text);
    Exit::Fine
}

/// One row a file.
#[must_use]
pub fn rows(components: &LoadedComponents, plan: &Plan) -> Vec<PluginRow> {
    let mut exporters: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for (id, planned) in &plan.exporters {
        exporters
            .entry(&planned.component.file)
            .or_default()
            .push(id.to_string());
    }
    components
        .iter()
        .map(|(file, loaded)| {
            let idle = plan.idle.iter().find(|idle| &idle.file == file);
            let state = match (exporters.remove(file.as_path()), idle, loaded) {
                (Some(exporters), _, _) => PluginState::Active { exporters },
                (None, Some(idle), _) => PluginState::Idle(idle.state.to_string()),
                (None, None, Err(reason)) => {
                    PluginState::Failed(format!("does not load ({reason})"))
                }
                (None, None, Ok(_)) => {
                    PluginState::Failed("its settings are not valid; see validate".to_owned())
                }
            };
            PluginRow {
                file: file.clone(),
                facts: loaded.as_ref().ok().map(facts),
                state,
            }
        })
        .collect()
}

fn facts(component: &ComponentFacts) -> PluginFacts {
    PluginFacts {
        name: component.name.clone(),
        version: component.version.clone(),
        digest: component.digest.clone(),
        signals: component.signals.iter().copied().collect(),
        grants: component.grants(),
    }
}

/// Records all components or, when one does not load, none.
fn approve(args: &PluginApproveArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let files: Vec<PathBuf> = args.components.iter().map(|file| tidy(file)).collect();
    let mut by_directory: BTreeMap<PathBuf, Vec<ComponentFacts>> = BTreeMap::new();
    let mut exit = Exit::Fine;
    for (file, loaded) in files.iter().zip(ctx.components.load(&files)) {
        match loaded {
            Ok(component) => {
                let directory = file
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                by_directory
                    .entry(directory.unwrap_or(Path::new(".")).to_owned())
                    .or_default()
                    .push(component);
            }
            Err(reason) => {
                exit = ctx.fail(
                    output,
                    Exit::Failed,
                    &format!("{}: {reason}", file.display()),
                )
            }
        }
    }
    if exit != Exit::Fine {
        return exit;
    }
    let mut approved = Vec::new();
    let mut text = String::new();
    for (directory, components) in by_directory {
        let written = Lock::read(&directory).and_then(|mut lock| {
            let grants: Vec<_> = components
                .iter()
                .map(|component| lock.approve(component))
                .collect();
            lock.write(&directory).map(|()| grants)
        });
        let grants = match written {
            Ok(grants) => grants,
            Err(error) => return ctx.fail(output, Exit::Failed, &causes(&error)),
        };
        for (component, grants) in components.iter().zip(grants) {
            text.push_str(&print::plugins::granted(
                &component.name,
                &component.version,
                &grants,
                ctx.look,
            ));
            approved.push(json!({ "file": component.file.display().to_string(), "name": component.name, "digest": component.digest, "grants": grants }));
        }
    }
    match output {
        Output::Human => ctx.print(&text),
        Output::Json => ctx.print(&line(&json!({ "approved": approved }))),
    }
    exit
}
