//! Asks the host that has a data directory to run a command on it: `dlq`, `queue`, `purge` and `plugin ls` work while it runs.
//!
//! A Unix socket in the data directory, which is the owner's alone, as the prompts beside it are. The question is one line:
//! `{"arguments":[...],"color":...,"width":...}`, the command line itself. The answer is lines `{"out":"..."}` and
//! `{"err":"..."}`, what the command writes, and at last `{"exit":0}`. One question at a time.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::places::Shelf;
use super::standing::Standing;
use super::{Components, Context, Exit, approve, causes, dlq, purge, queue};
use crate::approvals::StateDirectory;
use crate::approvals::directory::own_directory;
use crate::cli::{Cli, Command, PluginCommand};
use crate::config::Environment;
use crate::config::claims::Declared;
use crate::config::component::ComponentFacts;
use crate::config::select::{Files, Source};
use crate::conformance::scorecard::Scorecard;
use crate::conformance::{Options, TestError};
use crate::print::{Look, line};
use crate::queue::durable::DurableQueue;
use crate::run::components::Loader;

/// The socket's place in the data directory, in a folder of its own that others cannot write.
const SOCKET: &str = "control/host.sock";

/// For the question to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of the question.
const MAX_QUESTION_BYTES: u64 = 1 << 20;

/// Lines that wait for a reader who is slow.
const MAX_WAITING_LINES: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    arguments: Vec<String>,
    color: bool,
    width: Option<u16>,
}

impl Question {
    fn look(&self) -> Look {
        Look {
            color: self.color,
            width: self.width,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Out(String),
    Err(String),
    Exit(u8),
}

/// Where the host that runs has its components and approvals.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) plugins: PathBuf,
    pub(super) state: StateDirectory,
    pub(super) loader: Loader,
}

/// The socket of a host that runs. Gone with it.
pub(super) struct Control {
    listener: UnixListener,
    data_dir: PathBuf,
    path: PathBuf,
    queue: DurableQueue,
    standing: Standing,
    places: Places,
}

impl Control {
    /// Without a socket, which is logged, the host runs all the same.
    pub(super) fn listen(
        data_dir: &Path,
        queue: &DurableQueue,
        standing: &Standing,
        places: Places,
    ) -> Option<Self> {
        let path = socket(data_dir);
        let bind = || {
            let directory = path.parent().unwrap_or(data_dir);
            own_directory(directory).map_err(|error| causes(&error))?;
            // This process holds the queue's lock, so a socket found here was left by a host that died.
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).map_err(|error| causes(&error))?;
            let only_ours = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, only_ours).map_err(|error| causes(&error))?;
            Ok(listener)
        };
        let listener: Result<UnixListener, String> = bind();
        match listener {
            Ok(listener) => Some(Self {
                listener,
                data_dir: data_dir.to_owned(),
                path,
                queue: queue.clone(),
                standing: standing.clone(),
                places,
            }),
            Err(error) => {
                let path = path.display();
                warn!(%path, %error, "`dlq`, `queue` and `plugin ls` cannot reach this host while it runs.");
                None
            }
        }
    }

    /// Answers until `stop` is ready.
    pub(super) async fn serve(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let answered = async {
                let (stream, _) = self.listener.accept().await?;
                answer(
                    stream,
                    &self.data_dir,
                    &self.queue,
                    &self.standing,
                    &self.places,
                )
                .await
            };
            tokio::select! {
                () = &mut stop => return,
                answered = answered => {
                    if let Err(error) = answered {
                        debug!(%error, "A command was not answered.");
                    }
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Best effort: the next host removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

async fn answer(
    mut stream: UnixStream,
    data_dir: &Path,
    queue: &DurableQueue,
    standing: &Standing,
    places: &Places,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut question = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(MAX_QUESTION_BYTES));
    timeout(PATIENCE, reader.read_line(&mut question)).await??;
    let question: Question = serde_json::from_str(&question)?;
    let (lines, mut answers) = mpsc::sync_channel(MAX_WAITING_LINES);
    let (queue, standing, places) = (queue.clone(), standing.clone(), places.clone());
    let data_dir = data_dir.to_owned();
    let runtime = tokio::runtime::Handle::current();
    let command = tokio::task::spawn_blocking(move || {
        // Loading a component blocks: not on the runtime.
        let approving = approve_or_revoke(&question, &places, &lines);
        let exit = approving.unwrap_or_else(|| {
            runtime.block_on(execute(&question, &data_dir, &queue, &standing, &lines))
        });
        // Nobody waits for the end of a command that nobody reads.
        let _ = lines.send(line(&json!({ "exit": exit.code() })));
    });
    while let Some((line, rest)) = next(answers).await? {
        write.write_all(line.as_bytes()).await?;
        answers = rest;
    }
    command.await?;
    write.shutdown().await
}

/// The next line; `None` at the end.
async fn next(answers: Receiver<String>) -> io::Result<Option<(String, Receiver<String>)>> {
    let received = tokio::task::spawn_blocking(move || {
        let line = answers.recv().ok()?;
        Some((line, answers))
    });
    Ok(received.await?)
}

/// Runs `plugin approve` and `plugin revoke` on the approvals of this host; `None` for other commands.
fn approve_or_revoke(
    question: &Question,
    places: &Places,
    lines: &SyncSender<String>,
) -> Option<Exit> {
    let parsed = Cli::try_parse_from(&question.arguments).ok()?;
    let Command::Plugin(command) = &parsed.command else {
        return None;
    };
    let look = question.look();
    let mut ctx = Context {
        components: &places.loader,
        environment: &Environment::new(),
        out: &mut Stream { name: "out", lines },
        err: &mut Stream { name: "err", lines },
        look,
        err_look: look,
        arguments: &[],
    };
    let shelf = Shelf::at(&places.plugins, &places.state, &ctx);
    let shelf = match shelf {
        Ok(shelf) => shelf,
        Err(reason) => {
            ctx.warn(&reason);
            return Some(Exit::Failed);
        }
    };
    match command {
        PluginCommand::Ls(_) => None,
        PluginCommand::Approve(args) => Some(approve::approve(
            args,
            &shelf,
            approve::Where::InHost,
            &mut ctx,
        )),
        PluginCommand::Revoke(args) => Some(approve::revoke(
            args,
            &shelf,
            approve::Where::InHost,
            &mut ctx,
        )),
    }
}

/// Runs the command of a question on the queue that is open.
async fn execute(
    question: &Question,
    data_dir: &Path,
    queue: &DurableQueue,
    standing: &Standing,
    lines: &SyncSender<String>,
) -> Exit {
    let look = question.look();
    let mut ctx = Context {
        components: &NoComponents,
        environment: &Environment::new(),
        out: &mut Stream { name: "out", lines },
        err: &mut Stream { name: "err", lines },
        look,
        err_look: look,
        arguments: &[],
    };
    let parsed = Cli::try_parse_from(&question.arguments);
    let done = match parsed.as_ref().map(|cli| &cli.command) {
        Ok(Command::Dlq(command)) => dlq::work(command, queue, &mut ctx).await,
        Ok(Command::Queue(command)) => queue::work(command, queue, &mut ctx).await,
        Ok(Command::Purge(args)) => purge::work(args, Some(queue), data_dir, &mut ctx).await,
        Ok(Command::Plugin(PluginCommand::Ls(args))) => {
            Ok(standing.print(args.output.format, &mut ctx))
        }
        Ok(_) => Err("the host that runs does not do this".to_owned()),
        Err(error) => Err(format!("the host that runs is another version: {error}")),
    };
    done.unwrap_or_else(|message| {
        ctx.warn(&message);
        Exit::Failed
    })
}

/// Sends what is written as lines of the answer. Blocks while the reader is slow.
struct Stream<'a> {
    name: &'static str,
    lines: &'a SyncSender<String>,
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let sent = self.lines.send(line(&json!({ self.name: text })));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const NO_COMPONENTS: &str = "components are not loaded for this command";

struct NoComponents;

impl Components for NoComponents {
    fn examine(&self, _: &BTreeSet<PathBuf>) -> Files {
        Files::new()
    }

    fn load(&self, sources: &[Source]) -> Vec<Result<ComponentFacts, String>> {
        sources
            .iter()
            .map(|_| Err(NO_COMPONENTS.to_owned()))
            .collect()
    }

    fn bytes(&self, _: &Source) -> Result<Bytes, String> {
        Err(NO_COMPONENTS.to_owned())
    }

    fn built_in(&self) -> Vec<Declared> {
        Vec::new()
    }

    fn test(&self, _: &ComponentFacts, _: Options) -> Result<Scorecard, TestError> {
        let none = "components are not tested by a host that runs";
        Err(TestError::Surroundings(none.to_owned()))
    }
}

/// Whether a host runs with this data directory, or has ended without a word.
pub(super) fn is_there(data_dir: &Path) -> bool {
    BlockingStream::connect(socket(data_dir)).is_ok()
}

/// Asks the host that has the data directory to run this process's command.
///
/// # Errors
/// No host answers.
pub(super) fn ask(data_dir: &Path, ctx: &mut Context<'_>) -> Result<Exit, String> {
    ask_to(data_dir, ctx.arguments, ctx)
}

/// The same for another command line.
///
/// # Errors
/// No host answers.
pub(super) fn ask_to(
    data_dir: &Path,
    arguments: &[String],
    ctx: &mut Context<'_>,
) -> Result<Exit, String> {
    let path = socket(data_dir);
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let mut stream = BlockingStream::connect(&path).map_err(failed)?;
    let question = Question {
        arguments: arguments.to_vec(),
        color: ctx.look.color,
        width: ctx.look.width,
    };
    let question = serde_json::to_string(&question).map_err(|error| error.to_string())?;
    writeln!(stream, "{question}").map_err(failed)?;
    for answer in BufReader::new(stream).lines() {
        let answer = answer.map_err(failed)?;
        match serde_json::from_str(&answer).map_err(|error| error.to_string())? {
            Answer::Out(text) => ctx.print(&text),
            Answer::Err(text) => {
                // Nobody is left to tell.
                let _ = ctx.err.write_all(text.as_bytes());
            }
            Answer::Exit(code) => {
                let mut all = Exit::ALL.into_iter();
                return all
                    .find(|exit| exit.code() == code)
                    .ok_or_else(|| format!("the host answered with exit code {code}"));
            }
        }
    }
    Err("the host stopped before it had answered".to_owned())
}
