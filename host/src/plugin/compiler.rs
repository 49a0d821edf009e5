//! Compiles components in a process of its own, which has limits of memory and CPU that a compiler inside this process
//! cannot have: a small file can be made so that compiling it takes gigabytes and minutes, and nothing stops a compilation
//! but the end of its process.
//!
//! The child is this same program, started with [`COMMAND`]. It reads the component from its standard input and writes
//! machine code to its standard output; it has no environment, no data directory and no cache. What it writes is trusted
//! as much as what this process would have compiled itself: it is our own code at work on hostile input, and the file that
//! runs is the one that runs here.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::engine;
use super::file::{ComponentFile, MAX_COMPONENT_BYTES};
use super::limits::short;
use super::load_error::LoadError;

/// The hidden command, the first argument of the child.
const COMMAND: &str = "compile-component";

/// This program's file, also when an upgrade has replaced or removed its name.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Address space of the child. The largest components that authors build, with an interpreter of Python in them, have
/// 40 MB and take three quarters of it.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// CPU of the child, all threads together. An interpreter takes about 10 s.
const MAX_CPU_SECONDS: u64 = 60;
/// Machine code of one component.
const MAX_CODE_BYTES: u64 = 256 << 20;
/// What the child may say of a failure.
const MAX_SAID_BYTES: u64 = 4 << 10;
/// More threads compile side by side in more memory.
const MAX_THREADS: usize = 2;

/// Where components are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileIn {
    /// In a child process with limits. Only for a program whose `main` calls [`run_if_asked`] first.
    ChildProcess,
    /// In this process without limits, for tests and benchmarks of components that are known.
    ThisProcess,
}

/// Compiles and returns how that ended, if this process was started for it. To be called before anything else.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let configuration = arguments.next().unwrap_or_default();
    Some(match compile_stdin(&configuration) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nobody listens if this fails.
            let _ = io::stderr().write_all(reason.as_bytes());
            ExitCode::FAILURE
        }
    })
}

fn compile_stdin(configuration: &OsStr) -> Result<(), String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    limit_this_process().map_err(|error| failed("cannot limit the compiler", &error))?;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_COMPONENT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| failed("cannot read the component", &error))?;
    let engine = engine::compiling().map_err(|error| failed("cannot set up", &error))?;
    if *configuration != *engine::configuration(&engine) {
        return Err("it compiles for another configuration than the host's".to_owned());
    }
    let code = compile(&engine, &bytes)?;
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(&code).and_then(|()| stdout.flush());
    written.map_err(|error| failed("cannot hand the machine code over", &error))
}

/// Before any input is read.
fn limit_this_process() -> io::Result<()> {
    // Also where the parent is killed. If it is gone already, the input ends and there is little to do.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, most, at_last) in [
        (Resource::As, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES),
        // Over the first it is told to end, over the second it is ended.
        (Resource::Cpu, MAX_CPU_SECONDS, MAX_CPU_SECONDS + 2),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
    ] {
        let (current, maximum) = (Some(most), Some(at_last));
        rustix::process::setrlimit(resource, Rlimit { current, maximum })?;
    }
    Ok(())
}

/// On threads of its own, which end with the compilation: the compiler's memory goes with them, and the threads that move
/// data keep a core.
pub(super) fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads((cores - 1).clamp(1, MAX_THREADS))
        .thread_name(|_| "compile".to_owned())
        .build();
    let code = match threads {
        Ok(threads) => threads.install(|| engine.precompile_component(bytes)),
        Err(_) => engine.precompile_component(bytes),
    };
    code.map_err(|error| format!("{error:#}"))
}

/// Compiles in a child process. Dropping the future kills it.
///
/// To be polled by a thread that lives as long: the system kills the child with the thread that has started it.
pub(super) async fn compile_in_child(
    engine: &wasmtime::Engine,
    file: &ComponentFile,
) -> Result<Vec<u8>, LoadError> {
    let failed = |what: &str, error: io::Error| compile_error(format!("{what}: {error}"));
    let mut child = spawn(engine).map_err(|error| failed("cannot start the compiler", error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(compile_error("the compiler has no pipes".to_owned()));
    };
    let feed = async {
        // A child that has ended early does not read all; its status says why.
        let _ = stdin.write_all(file.bytes()).await;
        drop(stdin);
    };
    let (mut code, mut said) = (Vec::new(), Vec::new());
    let read_code = async {
        let mut stdout = stdout.take(MAX_CODE_BYTES + 1);
        stdout.read_to_end(&mut code).await
    };
    let read_said = async {
        let mut stderr = stderr.take(MAX_SAID_BYTES);
        stderr.read_to_end(&mut said).await
    };
    let ((), read, heard) = tokio::join!(feed, read_code, read_said);
    read.and(heard)
        .map_err(|error| failed("cannot read from the compiler", error))?;
    if code.len() as u64 > MAX_CODE_BYTES {
        let most = MAX_CODE_BYTES >> 20;
        return Err(compile_error(format!(
            "its machine code has more than {most} MiB"
        )));
    }
    let status = child.wait().await;
    let status = status.map_err(|error| failed("cannot wait for the compiler", error))?;
    if status.success() {
        Ok(code)
    } else {
        Err(compile_error(why(status, &String::from_utf8_lossy(&said))))
    }
}

fn spawn(engine: &wasmtime::Engine) -> io::Result<Child> {
    Command::new(THIS_PROGRAM)
        .arg0("mastra-host")
        .args([COMMAND, &engine::configuration(engine)])
        // Secrets are in the environment, and the compiler needs nothing of it.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // An interrupt at the terminal is the host's to answer.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn compile_error(reason: String) -> LoadError {
    LoadError::Compile { reason }
}

/// Why the child has no code to give.
fn why(status: ExitStatus, said: &str) -> String {
    let signal = status.signal();
    let is = |wanted: Signal| signal == Some(wanted.as_raw());
    if is(Signal::XCPU) {
        return format!("compiling it takes more than {MAX_CPU_SECONDS} s of CPU");
    }
    if is(Signal::ABORT) && said.contains("memory allocation") || said.contains("os error 12") {
        let most = MAX_MEMORY_BYTES >> 30;
        return format!("compiling it takes more than {most} GiB of memory");
    }
    match (signal, said.trim()) {
        (None, said) if !said.is_empty() => short(said),
        _ => format!("the compiler ended with {status}: {}", short(said.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_child_says_which_limit_it_hit() {
        let signalled = ExitStatus::from_raw;
        let cpu = why(signalled(Signal::XCPU.as_raw()), "");
        assert!(cpu.contains("60 s of CPU"), "{cpu}");
        let memory = why(
            signalled(Signal::ABORT.as_raw()),
            "memory allocation of 99 bytes failed",
        );
        assert!(memory.contains("1 GiB of memory"), "{memory}");
        let said = why(signalled(1 << 8), "invalid opcode at 7");
        assert_eq!(said, "invalid opcode at 7");
        let crash = why(signalled(Signal::SEGV.as_raw()), "");
        assert!(crash.contains("signal: 11"), "{crash}");
    }
}
