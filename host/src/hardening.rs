//! What the process gives up before it does anything: core dumps, being read by other processes of its user, and, as a
//! running host, write access to all but a few folders.
//!
//! The folders are the host's own and those of the outputs that the operator named. On Linux the kernel keeps to it
//! (Landlock), for this process and its children, and cannot be asked to take it back: so it is called before the first
//! thread starts, and a change that needs another folder needs a restart. Called by `main`; `commands` asks what is
//! allowed.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::OnceLock;

use serde_json::Value;

use crate::plugin::OutputTarget;

/// Folders and devices below which this process may write; nothing here: anywhere.
static WRITABLE: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Opened for writing by the standard library for children without a stream.
const DEVICES: [&str; 1] = ["/dev/null"];

/// Keeps secrets in memory from core dumps and from other processes of the same user. Returns what could not be applied.
#[must_use]
pub fn close_memory() -> Vec<String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let mut notes = Vec::new();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        notes.push(format!("cannot turn core dumps off: {error}"));
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            notes.push(format!(
                "cannot keep other processes from reading memory: {error}"
            ));
        }
    }
    notes
}

/// The outputs among texts of the operator: settings in a config file, values of environment variables.
pub fn outputs<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<OutputTarget> {
    texts
        .filter_map(|text| OutputTarget::from_str(text).ok())
        .filter(|target| *target != OutputTarget::Stdout)
        .collect()
}

/// All texts in a setting, however deep.
pub fn texts(value: &Value) -> Vec<&str> {
    let (mut texts, mut open) = (Vec::new(), vec![value]);
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    texts
}

/// Limits writing to these folders, which are made, and those of these outputs. Returns what could not be applied.
/// Call it before any thread starts.
#[must_use]
pub fn limit_writing(folders: &[PathBuf], outputs: &[OutputTarget]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut writable = Vec::new();
    let made = outputs.iter().filter_map(|output| match output {
        OutputTarget::Directory(path) => Some(path),
        OutputTarget::File(_) | OutputTarget::Stdout => None,
    });
    for folder in folders.iter().chain(made) {
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            notes.push(format!("cannot make {}: {error}", folder.display()));
        } else {
            writable.push(folder.clone());
        }
    }
    for output in outputs {
        if let OutputTarget::File(path) = output {
            writable.push(place_of_file(path));
        }
    }
    writable.extend(DEVICES.map(PathBuf::from));
    let (mut writable, missing): (Vec<PathBuf>, Vec<PathBuf>) =
        writable.into_iter().partition(|path| path.exists());
    notes.extend(missing.iter().map(|path| {
        format!(
            "cannot allow writing in {}: it does not exist; make it and restart",
            path.display()
        )
    }));
    for path in &mut writable {
        if let Ok(real) = path.canonicalize() {
            *path = real;
        }
    }
    match kernel::limit(&writable) {
        Ok(()) => {
            // Set once: `main` calls this once.
            let _ = WRITABLE.set(writable);
        }
        Err(reason) => notes.push(reason),
    }
    notes
}

/// The folder in which the file is made and made anew after a rotation; what is no regular file stands for itself.
fn place_of_file(path: &Path) -> PathBuf {
    let is_special = path
        .metadata()
        .is_ok_and(|found| !found.is_file() && !found.is_dir());
    if is_special {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether this process may write to the output.
#[must_use]
pub fn allows(output: &OutputTarget) -> bool {
    let place = match output {
        OutputTarget::Stdout => return true,
        OutputTarget::Directory(path) => path.clone(),
        OutputTarget::File(path) => place_of_file(path),
    };
    let Some(writable) = WRITABLE.get() else {
        return true;
    };
    is_below(&place, writable)
}

/// Follows links as far as the path exists; `..` behind that is not followed.
fn is_below(place: &Path, writable: &[PathBuf]) -> bool {
    let Ok(place) = std::path::absolute(place) else {
        return false;
    };
    let existing = place.ancestors().find_map(|path| path.canonicalize().ok());
    let is_plain = !place
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    let is_there = place.exists();
    existing.is_some_and(|existing| {
        (is_plain || is_there) && writable.iter().any(|folder| existing.starts_with(folder))
    })
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::path::PathBuf;

    use landlock::{
        ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    };

    /// The newest whose rights are known here; an older kernel enforces those that it knows.
    const NEWEST: ABI = ABI::V5;

    pub(super) fn limit(writable: &[PathBuf]) -> Result<(), String> {
        let advice = "writing is not limited to the host's own folders";
        let status = restrict(writable)
            .map_err(|error| format!("cannot set up Landlock ({error}): {advice}"))?;
        match status {
            RulesetStatus::NotEnforced => Err(format!(
                "the kernel does not support Landlock (Linux 5.13 and later do, where it is on): {advice}"
            )),
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
        }
    }

    fn restrict(writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
        let all = AccessFs::from_write(NEWEST);
        let mut rules: RulesetCreated = Ruleset::default().handle_access(all)?.create()?;
        for path in writable {
            // What went away since it was looked at needs no rule.
            let Ok(opened) = PathFd::new(path) else {
                continue;
            };
            let access = if path.is_dir() {
                all
            } else {
                all & AccessFs::from_file(NEWEST)
            };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
        Ok(rules.restrict_self()?.ruleset)
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::path::PathBuf;

    pub(super) fn limit(_: &[PathBuf]) -> Result<(), String> {
        Err("writing is not limited to the host's own folders: only Linux can do that".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_are_found_wherever_the_operator_wrote_them() {
        let settings =
            json!({"a": "file:/x/y", "b": [{"c": "dir:/z"}, "stdout", 3], "d": "profile:/x"});
        let found = outputs(texts(&settings).into_iter());
        assert_eq!(found.len(), 2);
        assert!(found.contains(&OutputTarget::File("/x/y".into())));
        assert!(found.contains(&OutputTarget::Directory("/z".into())));
    }

    #[test]
    fn memory_is_closed() {
        assert_eq!(close_memory(), Vec::<String>::new());
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
        let core = rustix::process::getrlimit(rustix::process::Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    }

    #[test]
    fn only_what_lies_below_a_folder_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (inside, outside) = (folder.join("in"), folder.join("out"));
        for made in [&inside, &outside] {
            std::fs::create_dir(made).unwrap();
        }
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let writable = [inside.clone()];
        assert!(is_below(&inside, &writable));
        assert!(is_below(&inside.join("new/deep"), &writable));
        for place in ["link", "link/new", "../out", "new/../../out"] {
            assert!(!is_below(&inside.join(place), &writable), "{place}");
        }
        assert!(!is_below(&outside, &writable));
    }

    #[test]
    fn a_file_is_made_anew_in_its_folder_and_a_device_is_not() {
        assert_eq!(place_of_file(Path::new("a.ndjson")), Path::new("."));
        assert_eq!(place_of_file(Path::new("/x/a.ndjson")), Path::new("/x"));
        assert_eq!(
            place_of_file(Path::new("/dev/null")),
            Path::new("/dev/null")
        );
    }
}
