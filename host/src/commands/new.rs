//! `mastra-host new NAME --lang L`: writes the project of a new exporter. Nothing is overwritten.

use std::io;
use std::path::Path;

use super::{Context, Exit};
use crate::cli::{NewArgs, Output};
use crate::event::Signal;
use crate::print;
use crate::scaffold::{Files, Project};

/// Runs the command. The project's folder is made in the directory of the process.
pub fn run(args: &NewArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let project = Project {
        name: args.name.clone(),
        language: args.language,
        signals: Signal::ALL
            .into_iter()
            .filter(|signal| args.signals.contains(signal))
            .collect(),
    };
    let folder = Path::new(project.name.kebab());
    let files = match project.files() {
        Ok(files) => files,
        Err(error) => return ctx.fail(output, Exit::Failed, &super::causes(error.as_ref())),
    };
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let reason = format!(
                "{} exists already: choose another name, or remove it",
                folder.display()
            );
            return ctx.fail(output, Exit::BadUsage, &reason);
        }
        Err(error) => {
            let reason = format!("cannot make {}: {error}", folder.display());
            return ctx.fail(output, Exit::Failed, &reason);
        }
    }
    if let Err(reason) = write(folder, &files) {
        return ctx.fail(output, Exit::Failed, &reason);
    }
    let text = match output {
        Output::Human => print::new::human(&project, ctx.look),
        Output::Json => print::new::json(&project, files.keys()),
    };
    ctx.print(&text);
    Exit::Fine
}

fn write(folder: &Path, files: &Files) -> Result<(), String> {
    for (path, bytes) in files {
        let file = folder.join(path);
        let written = match file.parent() {
            Some(parent) => std::fs::create_dir_all(parent),
            None => Ok(()),
        };
        written
            .and_then(|()| std::fs::write(&file, bytes))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}
