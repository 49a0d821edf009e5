//! The commands, one file each. They take components through [`Components`] and write to the streams that they are
//! given, so that tests run them without the engine and look at what a user would see.

mod approve;
mod control;
mod data;
pub mod dlq;
pub mod inspect;
pub mod matrix;
pub mod new;
mod places;
pub mod plugin;
pub mod purge;
pub mod queue;
pub mod run;
pub mod show;
mod standing;
mod survey;
pub mod test;
pub mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use crate::cli::{Command, Output, RunArgs};
use crate::config::claims::Declared;
use crate::config::component::ComponentFacts;
use crate::config::select::{Files, Source};
use crate::config::{self, Environment, Loaded};
use crate::conformance::scorecard::Scorecard;
use crate::conformance::{Options, TestError};
use crate::print::{Lines, Look, Tone, line};
use crate::telemetry::lines::ERROR_MARK;

/// How the process ends. The only place that knows the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Fine,
    /// 1: it failed.
    Failed,
    /// 2: bad usage or config.
    BadUsage,
    /// 3: finished, but something was not delivered.
    Undelivered,
}

impl Exit {
    const ALL: [Self; 4] = [Self::Fine, Self::Failed, Self::BadUsage, Self::Undelivered];

    const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::BadUsage => 2,
            Self::Undelivered => 3,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// How commands get at components. The engine stands behind it; in tests a map.
pub trait Components {
    /// Looks at files by their bytes alone, without running anything. Files that are not there are left out.
    fn examine(&self, files: &BTreeSet<PathBuf>) -> Files;

    /// Loads components, in the order given: facts, or why it cannot be loaded. Several at once, because compiling can go
    /// on in parallel. Each runs its `describe`.
    fn load(&self, sources: &[Source]) -> Vec<Result<ComponentFacts, String>>;

    /// The bytes of a component.
    ///
    /// # Errors
    /// Why they cannot be read, for people.
    fn bytes(&self, source: &Source) -> Result<Bytes, String>;

    /// The components that are built in.
    fn built_in(&self) -> Vec<Declared>;

    /// Tests a component that [`Components::load`] has loaded.
    ///
    /// # Errors
    /// There is no result; what the component does wrong is in the scorecard.
    fn test(&self, component: &ComponentFacts, options: Options) -> Result<Scorecard, TestError>;
}

/// What every command gets.
pub struct Context<'a> {
    /// Loads components.
    pub components: &'a dyn Components,
    /// The process environment.
    pub environment: &'a Environment,
    /// Stdout.
    pub out: &'a mut dyn Write,
    /// Stderr.
    pub err: &'a mut dyn Write,
    /// Of stdout.
    pub look: Look,
    /// Of stderr.
    pub err_look: Look,
    /// The command line, for a host that runs and is asked to do what it says.
    pub arguments: &'a [String],
}

/// Runs a command. `run` composes the rooms that move events and is handed in.
pub fn execute(
    command: &Command,
    ctx: &mut Context<'_>,
    run: impl FnOnce(&RunArgs, &mut Context<'_>) -> Exit,
) -> Exit {
    match command {
        Command::Run(args) => run(args, ctx),
        Command::New(args) => new::run(args, ctx),
        Command::Inspect(args) => inspect::run(args, ctx),
        Command::Test(args) => test::run(args, ctx),
        Command::Matrix(args) => matrix::run(args, ctx),
        Command::Validate(args) => validate::run(args, ctx),
        Command::Plugin(command) => plugin::run(command, ctx),
        Command::Dlq(command) => dlq::run(command, ctx),
        Command::Queue(command) => queue::run(command, ctx),
        Command::Purge(args) => purge::run(args, ctx),
        Command::Show(command) => show::run(command, ctx),
    }
}

impl Context<'_> {
    /// Writes a result. A reader that has gone away (`| head`) is no failure.
    pub fn print(&mut self, text: &str) {
        // Nobody is left to tell.
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }

    /// Says on stderr what went wrong; with JSON output stdout says it too: `{"error":"..."}`.
    pub fn fail(&mut self, output: Output, exit: Exit, message: &str) -> Exit {
        self.warn(message);
        if output == Output::Json {
            self.print(&line(&json!({ "error": message })));
        }
        exit
    }

    /// Says on stderr what went wrong without ending.
    pub fn warn(&mut self, message: &str) {
        complain(self.err, self.err_look, message);
    }

    /// Says on stderr what a user should know; nothing went wrong.
    pub fn note(&mut self, message: &str) {
        let mut text = Lines::default();
        let mark = self.err_look.paint(Tone::Dim, "note:");
        text.line(format_args!("{mark} {message}"));
        // Nobody is left to tell.
        let _ = self.err.write_all(text.into_text().as_bytes());
    }

    /// Loads one component.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub fn load_one(&self, source: &Source) -> Result<ComponentFacts, String> {
        let loaded = self.components.load(std::slice::from_ref(source)).pop();
        loaded.unwrap_or_else(|| Err("was not loaded".to_owned()))
    }
}

/// Writes an error for people. Lines after the first are set in, so that no part of a message looks like another one.
pub fn complain(err: &mut dyn Write, look: Look, message: &str) {
    let mut text = Lines::default();
    let mut lines = message.trim_end().split('\n');
    let mark = look.paint(Tone::Bad, ERROR_MARK.trim_end());
    text.line(format_args!("{mark} {}", lines.next().unwrap_or_default()));
    for line in lines {
        text.line(format_args!("  {line}"));
    }
    // Nobody is left to tell.
    let _ = err.write_all(text.into_text().as_bytes());
}

/// The message of an error and of all its causes: `cannot read x: no such file`.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The `.wasm` files of a directory by name; none when there is no such directory.
///
/// # Errors
/// The directory cannot be read.
pub fn list_components(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a config file; without one, what an empty file says.
///
/// # Errors
/// The file cannot be read.
pub fn read_config(file: Option<&Path>, environment: &Environment) -> Result<Loaded, String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
        None => String::new(),
    };
    Ok(config::load(&text, environment))
}
