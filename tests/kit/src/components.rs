//! Builds the exporters to components, once however many tests ask, and finds components that are already built.
//!
//! A file lock keeps test processes apart; cargo decides whether anything is to be done. Refuses to go on without the
//! wasm target, and names it. Blocking: call from a test's start, not from a busy task.
//!
//! Called by tests that run the host with real components.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::paths;

/// What components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";
/// Directory with components that are built already, named `<name>.wasm`. Nothing is built when it is set.
pub const PLUGINS_VARIABLE: &str = "MASTRA_PLUGINS_DIR";

/// The component of `exporters/<name>`, as a file called `<name>.wasm`.
///
/// # Errors
/// When it does not build, or the target is not installed.
pub fn exporter(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os(PLUGINS_VARIABLE) {
        let built = paths::repository().join(dir).join(format!("{name}.wasm"));
        ensure!(
            built.is_file(),
            "{PLUGINS_VARIABLE} is set, but there is no {}",
            built.display()
        );
        return Ok(built);
    }
    package(&format!("{name}-exporter"), name)
}

/// The component of any package of the workspace, such as a guest of `tests/guests`, as a file called `<name>.wasm`.
///
/// # Errors
/// When it does not build, or the target is not installed.
pub fn package(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    let dir = paths::target().join("components");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let lock = locked(&dir.join(".lock"))?;
    cargo_build(package)?;
    let artifact = format!("{}.wasm", package.replace('-', "_"));
    let built = paths::target()
        .join(TARGET)
        .join("component")
        .join(artifact);
    let named = dir.join(format!("{name}.wasm"));
    replace(&built, &named)?;
    drop(lock);
    Ok(named)
}

/// The archive of all our components, which the host embeds. The makefile knows how it is packed.
///
/// # Errors
/// When a component does not build.
pub(crate) fn archive() -> anyhow::Result<PathBuf> {
    let dir = paths::target().join("components");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let lock = locked(&dir.join(".lock"))?;
    let archive = paths::target().join("components.tar.zst");
    let output = Command::new("make")
        .arg("components")
        .arg(format!("ARCHIVE={}", archive.display()))
        .current_dir(paths::repository())
        .output()
        .context("cannot start make")?;
    drop(lock);
    ensure!(
        output.status.success(),
        "the components do not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(archive)
}

/// Several exporters in a directory of their own, as `--plugins-dir` wants them.
///
/// # Errors
/// As [`exporter`], or when the directory cannot be written.
pub fn directory(names: &[&str], dir: &Path) -> anyhow::Result<()> {
    for name in names {
        replace(&exporter(name)?, &dir.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// The component, with about `megabytes` of code added that nothing calls: as slow to compile as an interpreter. Written to
/// `to`, different each time, so that no cache knows it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn ballast(component: &Path, megabytes: usize, to: &Path) -> anyhow::Result<()> {
    /// Of one function; compilers take functions one by one.
    const STEPS: usize = 2_000;
    // local.get 0, then i64.const 1, i64.add, local.get 0, i64.xor again and again.
    let mut body = vec![0x00, 0x20, 0x00];
    for _ in 0..STEPS {
        body.extend([0x42, 0x01, 0x7c, 0x20, 0x00, 0x85]);
    }
    body.push(0x0b);
    let functions = megabytes * (1 << 20) / body.len();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let name = format!("ballast-{}", now.as_nanos());
    let sized = |bytes: &[u8]| [leb128(bytes.len()), bytes.to_vec()].concat();
    let section = |id: u8, content: &[u8]| [vec![id], sized(content)].concat();
    let types = [1, 0x60, 1, 0x7e, 1, 0x7e];
    let declarations = [leb128(functions), vec![0; functions]].concat();
    let code = [leb128(functions), sized(&body).repeat(functions)].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(0, &sized(name.as_bytes())),
        section(1, &types),
        section(3, &declarations),
        section(10, &code),
    ]
    .concat();
    let plain =
        std::fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    std::fs::write(to, [plain, section(1, &module)].concat())
        .with_context(|| format!("cannot write {}", to.display()))
}

/// As WebAssembly writes numbers.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// An exclusive lock that lasts as long as the file is open.
pub(crate) fn locked(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Copies so that nobody ever sees half a file; leaves an equal one alone, since its time stamp may be somebody's key.
fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let dir = to.parent().context("a component has no directory")?;
    let mut file = tempfile::NamedTempFile::new_in(dir)
        .with_context(|| format!("cannot write in {}", dir.display()))?;
    std::io::Write::write_all(&mut file, &bytes).context("cannot write a component")?;
    file.persist(to)
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

fn cargo_build(package: &str) -> anyhow::Result<()> {
    let output = cargo()
        .args([
            "build",
            "--quiet",
            "--profile",
            "component",
            "--target",
            TARGET,
            "--package",
            package,
        ])
        .output()
        .context("cannot start cargo")?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    if is_target_missing(&stderr) {
        bail!("components need the {TARGET} target: run `rustup target add {TARGET}`");
    }
    bail!("{package} does not build:\n{stderr}");
}

/// Cargo as the tests themselves were built with, in the repository.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(paths::repository())
        .env("CARGO_TARGET_DIR", paths::target());
    command
}

/// What rustc says when a target has no standard library.
fn is_target_missing(stderr: &str) -> bool {
    stderr.contains(&format!("the `{TARGET}` target may not be installed"))
        || stderr.contains(&format!("target '{TARGET}' is not installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_is_told_from_other_errors() {
        let missing = "error[E0463]: can't find crate for `core`\n = note: the `wasm32-wasip2` target may not be installed";
        assert!(is_target_missing(missing));
        assert!(!is_target_missing(
            "error[E0425]: cannot find value `wasm32` in this scope"
        ));
    }

    #[test]
    fn an_equal_component_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&from, "one").unwrap();
        replace(&from, &to).unwrap();
        let before = std::fs::metadata(&to).unwrap();
        replace(&from, &to).unwrap();
        let inode = |meta: &std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(meta);
        assert_eq!(inode(&before), inode(&std::fs::metadata(&to).unwrap()));
        std::fs::write(&from, "two").unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "two");
    }

    #[test]
    fn two_holders_of_a_lock_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = locked(&path).unwrap();
        assert!(File::create(&path).unwrap().try_lock().is_err());
        drop(held);
        assert!(File::create(&path).unwrap().try_lock().is_ok());
    }
}
