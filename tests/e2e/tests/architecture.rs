//! The borders that ARCHITECTURE.md promises, read from the sources. Function length is clippy's business.

use e2e::sources::{Source, below, has_word};
use kit::paths;

/// The rooms of the host in the direction of the data.
const ROOMS: [&str; 8] = [
    "receive", "queue", "route", "shape", "deliver", "plugin", "http", "store",
];
/// Parts of the host that only `main` and each other may use.
const SURFACE: [&str; 3] = ["cli", "commands", "print"];
/// Folders of `exporters/` that are no destination by name, but words of a trade; the host's own figures have the
/// Prometheus format.
const NO_VENDORS: [&str; 12] = [
    "sdk",
    "examples",
    "envelope",
    "json",
    "llm",
    "metrics",
    "otlp",
    "otel",
    "cloud",
    "default",
    "webhook",
    "prometheus",
];
/// Attributes of senders carry the names of their makers; there the name is on the wire, not a destination.
const NAMES_OF_SENDERS: &str = "host/src/event/decode/conventions.rs";
/// What pure code has no use for.
const IMPURE: [&str; 12] = [
    "SystemTime",
    "Instant",
    "tokio",
    "async fn",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "fastrand",
    "reqwest",
    "http::send",
];
/// Longest file, without its tests.
const MAX_LINES: usize = 600;

/// All sources of ours; each fails alone.
fn everything() -> anyhow::Result<Vec<Source>> {
    let mut sources = below("host")?;
    sources.extend(below("exporters")?);
    sources.extend(below("tests")?);
    Ok(sources)
}

fn assert_none(found: &[String], promise: &str) {
    assert!(found.is_empty(), "{promise}:\n{}", found.join("\n"));
}

/// The files of the host's own code that name `word`, without those below `home`.
fn names_outside(word: &str, home: &str) -> anyhow::Result<Vec<String>> {
    let sources = below("host/src")?;
    let outside = sources
        .iter()
        .filter(|source| !source.path.starts_with(home) && source.names(word));
    Ok(outside.map(|source| source.path.clone()).collect())
}

#[test]
fn only_the_plugin_room_names_the_engine() -> anyhow::Result<()> {
    for word in [
        "wasmtime",
        "wasmtime_wasi",
        "wasmtime_wasi_http",
        "wasmparser",
    ] {
        assert_none(
            &names_outside(word, "host/src/plugin/")?,
            &format!("{word} belongs in host/src/plugin"),
        );
    }
    Ok(())
}

#[test]
fn only_the_http_room_names_the_client() -> anyhow::Result<()> {
    assert_none(
        &names_outside("reqwest", "host/src/http/")?,
        "reqwest belongs in host/src/http",
    );
    Ok(())
}

#[test]
fn only_the_store_room_names_its_database() -> anyhow::Result<()> {
    assert_none(
        &names_outside("rusqlite", "host/src/store/")?,
        "rusqlite belongs in host/src/store",
    );
    Ok(())
}

#[test]
fn the_host_knows_no_backend_by_name() -> anyhow::Result<()> {
    let mut vendors = Vec::new();
    for entry in std::fs::read_dir(paths::repository().join("exporters"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !NO_VENDORS.contains(&name.as_str()) {
            vendors.push(name);
        }
    }
    assert!(
        vendors.iter().any(|vendor| vendor == "langfuse"),
        "{vendors:?}"
    );
    let mut found = Vec::new();
    let own = below("host/src")?;
    for source in own
        .iter()
        .filter(|source| !source.is_test() && source.path != NAMES_OF_SENDERS)
    {
        let code = source.code().to_lowercase();
        let named = vendors
            .iter()
            .filter(|vendor| code.contains(vendor.as_str()));
        found.extend(named.map(|vendor| format!("{} names {vendor}", source.path)));
    }
    assert_none(&found, "a backend is known by its component only");
    Ok(())
}

#[test]
fn routing_and_mapping_do_no_io_and_read_no_clock() -> anyhow::Result<()> {
    let mut pure: Vec<Source> = below("host/src")?;
    pure.extend(below("exporters")?);
    pure.retain(|source| !source.is_test() && is_pure(&source.path));
    assert!(pure.iter().any(|source| source.path == "host/src/route.rs"));
    let mut found = Vec::new();
    for source in &pure {
        let words = IMPURE.iter().filter(|word| source.names(word));
        found.extend(words.map(|word| format!("{} names {word}", source.path)));
    }
    assert_none(&found, "pure code has no use for these");
    Ok(())
}

fn is_pure(path: &str) -> bool {
    path == "host/src/route.rs"
        || path.starts_with("host/src/shape/")
        || path.starts_with("host/src/event/")
        || (path.starts_with("exporters/")
            && (path.ends_with("/mapping.rs") || path.contains("/mapping/")))
}

#[test]
fn imports_point_only_to_the_right() -> anyhow::Result<()> {
    let mut found = Vec::new();
    for source in below("host/src")?.iter().filter(|source| !source.is_test()) {
        let Some(own) = room_of(&source.path) else {
            continue;
        };
        let (left, _) = ROOMS.split_at(own);
        let code = source.code();
        let wrong = left
            .iter()
            .chain(&SURFACE)
            .filter(|room| imports(&code, room));
        found.extend(wrong.map(|room| format!("{} imports {room}", source.path)));
    }
    assert_none(&found, &format!("data flows {}", ROOMS.join(" > ")));
    Ok(())
}

/// The place of the room that a file belongs to.
fn room_of(path: &str) -> Option<usize> {
    let name = path.strip_prefix("host/src/")?.split(['/', '.']).next()?;
    ROOMS.iter().position(|room| *room == name)
}

/// Whether code names `crate::room`, alone or in a group.
fn imports(code: &str, room: &str) -> bool {
    code.split("crate::")
        .skip(1)
        .any(|rest| match rest.strip_prefix('{') {
            Some(group) => top_level_names(group).iter().any(|name| name == room),
            None => rest
                .strip_prefix(room)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')),
        })
}

/// The first names of the paths in `{a::b, c::{d, e}}`, the text after its opening brace.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut name, mut is_first) = (1, Vec::new(), String::new(), true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.push(std::mem::take(&mut name));
                is_first = true;
            }
            ':' => is_first = false,
            c if depth == 1 && is_first && !c.is_whitespace() => name.push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.push(name);
    names
}

#[test]
fn groups_of_imports_are_understood() {
    let code = "use crate::{event::{queue, x}, deliver::y,\n receive};";
    assert!(imports(code, "deliver") && imports(code, "receive") && imports(code, "event"));
    assert!(!imports(code, "queue"), "a module of another room");
    assert!(!imports("use crate::queue_depth;", "queue") && imports("crate::queue::Log", "queue"));
}

#[test]
fn every_file_says_what_it_is_for() -> anyhow::Result<()> {
    let silent =
        |source: &Source| !source.text.starts_with("//! ") && !source.path.ends_with("/tests.rs");
    let found: Vec<String> = everything()?
        .iter()
        .filter(|source| silent(source))
        .map(|source| source.path.clone())
        .collect();
    assert_none(&found, "a file opens with `//! `");
    Ok(())
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() -> anyhow::Result<()> {
    let sources = everything()?;
    let long = sources
        .iter()
        .filter(|source| !source.is_test() && source.line_count() > MAX_LINES);
    let found: Vec<String> = long
        .map(|source| format!("{}: {} lines", source.path, source.line_count()))
        .collect();
    assert_none(&found, &format!("at most {MAX_LINES} lines without tests"));
    Ok(())
}

#[test]
fn no_test_is_ignored_or_sleeps() -> anyhow::Result<()> {
    let mut found = Vec::new();
    for source in everything()? {
        // This file has the words that it looks for.
        if source.path.ends_with("tests/architecture.rs") {
            continue;
        }
        if source.text.contains("#[ignore") {
            found.push(format!("{} ignores a test", source.path));
        }
        // A hostile component sleeps where the host calls it; no test does.
        let is_hostile = source.path.starts_with("tests/security/guest/");
        if has_word(&source.text, "thread::sleep") && !is_hostile {
            found.push(format!("{} sleeps", source.path));
        }
    }
    assert_none(&found, "tests run, and wait for events");
    Ok(())
}

#[test]
fn what_people_see_is_put_together_in_visible_lines() -> anyhow::Result<()> {
    let mut found = Vec::new();
    for source in below("host/src")?.iter().filter(|source| !source.is_test()) {
        let code = source.code();
        let is_printing = source.path.starts_with("host/src/print/");
        if is_printing && (code.contains("writeln!") || code.contains("push('\\n')")) {
            let is_home = matches!(
                source.path.as_str(),
                "host/src/print/mod.rs" | "host/src/print/stored.rs"
            );
            if !is_home {
                found.push(format!("{} writes lines without `Lines`", source.path));
            }
        }
        for stream in ["io::stdout()", "io::stderr()", "print!(", "println!("] {
            let is_border = matches!(
                source.path.as_str(),
                "host/src/main.rs"
                    | "host/src/print/mod.rs"
                    | "host/src/telemetry.rs"
                    | "host/src/telemetry/lines.rs"
                    | "host/src/plugin/imports/output.rs"
                    // A child whose stream its parent reads.
                    | "host/src/plugin/compiler.rs"
            );
            if code.contains(stream) && !is_border {
                found.push(format!("{} writes to {stream}", source.path));
            }
        }
    }
    assert_none(&found, "text of others reaches people through a border");
    Ok(())
}

#[test]
fn every_room_of_the_sdk_opens_with_an_example() -> anyhow::Result<()> {
    let sources = below("exporters/sdk/src")?;
    let (root, rooms): (Vec<_>, Vec<_>) = sources
        .iter()
        .partition(|source| source.path == "exporters/sdk/src/lib.rs");
    let is_public = |source: &Source| {
        let name = source.path.strip_prefix("exporters/sdk/src/");
        let name = name.and_then(|name| name.strip_suffix(".rs"));
        name.is_some_and(|name| {
            root.iter()
                .any(|root| root.text.contains(&format!("\npub mod {name};\n")))
        })
    };
    let public: Vec<_> = rooms.into_iter().filter(|room| is_public(room)).collect();
    assert!(public.len() >= 15, "{} public rooms", public.len());
    // The doc tests run them.
    let without: Vec<String> = public
        .iter()
        .filter(|room| !room.text.contains("\n//! ```\n"))
        .map(|room| room.path.clone())
        .collect();
    assert_none(&without, "a room of the SDK has no example");
    Ok(())
}
