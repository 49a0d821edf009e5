//! Files that are no components, and commands that are pointed at them.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kit::components;
use kit::host::HostCommand;
use serde_json::json;

use crate::field::{ensure_clean, patched};

/// The number of files.
pub const COUNT: usize = 14;

/// What a command may take for a file that is no component.
const TIME: Duration = Duration::from_secs(20);
/// What it may say.
const TEXT_BYTES: usize = 64 << 10;

/// Makes the files; each with its name.
///
/// # Errors
/// The file system does not take one of them.
fn make(dir: &Path) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let good = std::fs::read(components::package("security-guest", "security-guest")?)?;
    let mut files = Vec::new();
    let mut path = |name: &'static str| {
        let path = dir.join(format!("{}.wasm", name.replace(' ', "-")));
        files.push((name, path.clone()));
        path
    };
    let made = Command::new("mkfifo").arg(path("pipe")).status()?;
    anyhow::ensure!(made.success(), "mkfifo failed");
    symlink("/dev/zero", path("link to zeros"))?;
    File::create(path("sparse"))?.set_len(20 << 30)?;
    let sparse = path("sparse with a head");
    std::fs::write(&sparse, good.get(..64).context("the guest is short")?)?;
    File::options()
        .write(true)
        .open(&sparse)?
        .set_len(20 << 30)?;
    std::fs::create_dir(path("directory"))?;
    let unreadable = path("unreadable");
    std::fs::write(&unreadable, &good)?;
    std::fs::set_permissions(&unreadable, Permissions::from_mode(0o000))?;
    std::fs::write(path("text"), "not wasm\n\u{1b}[2J\n".repeat(1000))?;
    std::fs::write(path("empty"), "")?;
    std::fs::write(
        path("cut"),
        good.get(..good.len() / 2).context("the guest is short")?,
    )?;
    std::fs::write(path("core module"), b"\0asm\x01\0\0\0")?;
    symlink(dir.join("link-to-itself.wasm"), path("link to itself"))?;
    symlink(dir.join("nothing"), path("link to nothing"))?;
    let spins = json!({"describe": {"do": "spin"}});
    std::fs::write(path("spins"), patched(&good, &spins)?)?;
    let escapes = dir.join("\u{1b}[2J\nFORGED.wasm");
    std::fs::write(&escapes, &good)?;
    files.push(("name with escapes", escapes));
    Ok(files)
}

/// Points each command at each file, one at a time; what was not contained.
///
/// # Errors
/// The tests' own trouble.
pub async fn run() -> anyhow::Result<Vec<String>> {
    let dir = tempfile::tempdir()?;
    let mut complaints = Vec::new();
    let files = make(dir.path())?;
    for (name, path) in &files {
        for command in ["inspect", "test"] {
            let asked = HostCommand::new(command)?.arg(path.as_os_str());
            ask(&format!("{command} of a {name}"), asked, &mut complaints).await;
        }
        let data = dir.path().join("data");
        let run = HostCommand::new("run")?
            .args([
                "--listen",
                "127.0.0.1:0",
                "--listen-grpc",
                "off",
                "--input",
                "-",
                "--timeout",
                "1s",
            ])
            .arg("--data-dir")
            .arg(data)
            .arg("--plugin")
            .arg(path.as_os_str());
        ask(&format!("run of a {name}"), run, &mut complaints).await;
    }
    let listed = HostCommand::new("plugin")?
        .arg("ls")
        .arg("--plugins-dir")
        .arg(dir.path());
    ask("plugin ls of all", listed, &mut complaints).await;
    Ok(complaints)
}

async fn ask(what: &str, command: HostCommand, complaints: &mut Vec<String>) {
    let asked = Instant::now();
    let finished = match command.finish().await {
        Ok(finished) => finished,
        Err(error) => {
            return complaints.push(
                format!("{what} did not end: {error:#}")
                    .chars()
                    .take(500)
                    .collect(),
            );
        }
    };
    if asked.elapsed() > TIME {
        complaints.push(format!("{what} took {:?}", asked.elapsed()));
    }
    if finished.code().is_err() || finished.stderr.contains("panicked at") {
        let said: String = finished.stderr.chars().take(300).collect();
        complaints.push(format!("{what} ended badly: {said:?}"));
    }
    for text in [&finished.stdout, &finished.stderr] {
        ensure_clean(what, text, TEXT_BYTES, complaints);
    }
}
