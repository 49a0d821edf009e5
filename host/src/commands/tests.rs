//! Commands as users see them: streams and exit codes, with components from a map.

use std::collections::BTreeMap;

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::cli::Cli;
use crate::config::lock::{FILE_NAME, Lock};
use crate::conformance::scorecard::{Check, Group, Verdict};
use crate::event::Signal;

/// Components by file name.
struct Shelf(BTreeMap<String, ComponentFacts>);

impl Components for Shelf {
    fn load(&self, files: &[PathBuf]) -> Vec<Result<ComponentFacts, String>> {
        let by_name = |file: &PathBuf| {
            let name = file.file_name()?.to_string_lossy().into_owned();
            Some(ComponentFacts {
                file: file.clone(),
                ..self.0.get(&name)?.clone()
            })
        };
        files
            .iter()
            .map(|file| by_name(file).ok_or_else(|| "not a component".to_owned()))
            .collect()
    }

    /// Nothing runs: one check, which fails where the setting `fails` is given.
    fn test(&self, _: &ComponentFacts, options: Options) -> Result<Scorecard, TestError> {
        let verdict = if options.settings.contains_key("fails") {
            Verdict::Failed
        } else {
            Verdict::Passed
        };
        let check = Check {
            group: Group::Describe,
            signal: None,
            name: "size".to_owned(),
            verdict,
            found: format!("{} fixtures", options.fixtures.len()),
            fix: None,
        };
        Ok(Scorecard {
            checks: vec![check],
            seen: Vec::new(),
        })
    }
}

/// A temporary directory with `plugins/{json,langfuse,broken}.wasm`.
struct World {
    directory: tempfile::TempDir,
    shelf: Shelf,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let plugins = directory.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["json.wasm", "langfuse.wasm"] {
            std::fs::write(plugins.join(name), "").unwrap();
        }
        let schema = json!({
            "required": ["public_key"],
            "properties": {"public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"]}},
        });
        let langfuse =
            ComponentFacts::sample("langfuse", &[Signal::Traces, Signal::Scores], schema);
        let lines = ComponentFacts::sample("json", &Signal::ALL, json!({}));
        let shelf = Shelf(
            [
                ("langfuse.wasm".to_owned(), langfuse),
                ("json.wasm".to_owned(), lines),
            ]
            .into(),
        );
        Self { directory, shelf }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.directory.path().join(name), text).unwrap();
        self.path(name)
    }

    /// Exit, stdout, stderr.
    fn run(&self, line: &[&str]) -> (Exit, String, String) {
        self.run_with(line, &Environment::new())
    }

    fn run_with(&self, line: &[&str], environment: &Environment) -> (Exit, String, String) {
        let cli = Cli::try_parse_from([&["mastra-host"], line].concat()).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ctx = Context {
            arguments: &[],
            components: &self.shelf,
            environment,
            out: &mut out,
            err: &mut err,
            look: Look::default(),
            err_look: Look::default(),
        };
        let exit = execute(&cli.command, &mut ctx, |_, _| Exit::Undelivered);
        (
            exit,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }
}

fn parse(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn exits_have_their_numbers() {
    for (exit, code) in [
        (Exit::Fine, 0),
        (Exit::Failed, 1),
        (Exit::BadUsage, 2),
        (Exit::Undelivered, 3),
    ] {
        assert_eq!(
            std::process::ExitCode::from(exit),
            std::process::ExitCode::from(code)
        );
    }
}

#[test]
fn run_is_handed_on_with_its_exit() {
    assert_eq!(
        World::new().run(&["run", "--plugin", "json"]).0,
        Exit::Undelivered
    );
}

#[test]
fn inspect_shows_a_component_or_says_why_not() {
    let world = World::new();
    let file = world.path("plugins/langfuse.wasm");
    let (exit, out, err) = world.run(&["inspect", &file]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert!(out.starts_with("langfuse 0.1.0\n"), "{out}");
    let (exit, out, _) = world.run(&["inspect", &file, "--output", "json"]);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(parse(&out)["signals"], json!(["traces", "scores"]));

    let (exit, out, err) = world.run(&["inspect", "nowhere.wasm"]);
    assert_eq!(
        (exit, out.as_str(), err.as_str()),
        (Exit::Failed, "", "error: nowhere.wasm: not a component\n")
    );
    let (exit, out, _) = world.run(&["inspect", "nowhere.wasm", "--output", "json"]);
    assert_eq!(exit, Exit::Failed);
    assert_eq!(
        parse(&out),
        json!({"error": "nowhere.wasm: not a component"})
    );
}

#[test]
fn matrix_lists_the_directory_and_fails_for_what_does_not_load() {
    let world = World::new();
    let plugins = world.path("plugins");
    let (exit, out, _) = world.run(&["matrix", "--plugins-dir", &plugins, "--output", "json"]);
    assert_eq!(exit, Exit::Fine);
    let names: Vec<_> = parse(&out)["exporters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["json", "langfuse"]);

    let broken = world.write("plugins/broken.wasm", "");
    let (exit, out, err) =
        world.run(&["matrix", "--plugins-dir", &plugins, "--output", "markdown"]);
    assert_eq!(exit, Exit::Failed);
    assert!(out.contains("| langfuse | ✅ | – | – | ✅ | – |"), "{out}");
    assert_eq!(err, format!("error: {broken}: not a component\n"));

    let empty = world.path("nowhere");
    assert_eq!(
        world.run(&["matrix", "--plugins-dir", &empty]).0,
        Exit::BadUsage
    );
}

#[test]
fn validate_lists_problems_of_the_file_its_settings_and_its_files() {
    let world = World::new();
    let plugins = world.path("plugins");
    let text = "exporters:\n  langfuse:\n    setings: {}\n  json:\n    http: { ca_file: /nowhere/ca.pem }\n    settings: { a: 1 }\n";
    let file = world.write("host.yaml", text);
    let (exit, out, err) = world.run(&["validate", "--config", &file, "--plugins-dir", &plugins]);
    assert_eq!((exit, err.as_str()), (Exit::BadUsage, ""));
    let wanted = [
        format!(
            "{file}:2:3: exporters.langfuse.settings.public_key: missing LANGFUSE_PUBLIC_KEY (setting public_key); write `public_key: ${{env:LANGFUSE_PUBLIC_KEY}}` under settings"
        ),
        format!("{file}:3:5: exporters.langfuse.setings: unknown key; did you mean `settings`?"),
        format!(
            "{file}:4:3: exporters.json.http.ca_file: cannot read /nowhere/ca.pem: No such file or directory (os error 2)"
        ),
        format!(
            "{file}:6:17: exporters.json.settings.a: unknown setting; nothing can be written here"
        ),
        "4 problems".to_owned(),
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted, "{out}");

    let (exit, out, _) = world.run(&[
        "validate",
        "--config",
        &file,
        "--plugins-dir",
        &plugins,
        "--output",
        "json",
    ]);
    assert_eq!(exit, Exit::BadUsage);
    let value = parse(&out);
    assert_eq!(value["valid"], false);
    assert_eq!(
        value["problems"][1],
        json!({"line": 3, "column": 5, "path": "exporters.langfuse.setings", "message": "unknown key", "fix": "did you mean `settings`?"})
    );
}

#[test]
fn validate_accepts_a_good_file() {
    let world = World::new();
    let file = world.write("host.yaml", "exporters: { langfuse: , json: }\n");
    let environment = Environment::from([("LANGFUSE_PUBLIC_KEY".to_owned(), "pk".to_owned())]);
    let line = [
        "validate",
        "--config",
        &file,
        "--plugins-dir",
        &world.path("plugins"),
    ];
    let (exit, out, _) = world.run_with(&line, &environment);
    assert_eq!(
        (exit, out),
        (Exit::Fine, format!("✔ {file} is valid: 2 exporters\n"))
    );
    assert_eq!(
        world.run(&["validate", "--config", "/nowhere.yaml"]).0,
        Exit::BadUsage
    );
}

#[test]
fn plugin_ls_shows_states_and_approve_changes_them() {
    let world = World::new();
    let plugins = world.path("plugins");
    let states = |world: &World| -> Vec<(String, String)> {
        let (exit, out, _) = world.run(&[
            "plugin",
            "ls",
            "--plugins-dir",
            &plugins,
            "--output",
            "json",
        ]);
        assert_eq!(exit, Exit::Fine);
        let value = parse(&out);
        let rows = value["plugins"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                (
                    row["name"].as_str().unwrap().to_owned(),
                    row["state"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(
        states(&world),
        [
            pair("json", "needs approval"),
            pair("langfuse", "needs approval")
        ]
    );

    let files = ["plugins/json.wasm", "plugins/langfuse.wasm"].map(|name| world.path(name));
    let (exit, out, err) = world.run(&["plugin", "approve", &files[0], &files[1]]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert!(out.contains("langfuse 0.1.0 may use\n  host in setting base_url\n  import http\n  env LANGFUSE_PUBLIC_KEY\n"), "{out}");
    assert_eq!(
        states(&world),
        [
            pair("json", "active"),
            pair("langfuse", "inactive (missing LANGFUSE_PUBLIC_KEY)")
        ]
    );
    let (_, out, _) = world.run(&["plugin", "ls", "--plugins-dir", &plugins]);
    assert!(
        out.contains("inactive (missing LANGFUSE_PUBLIC_KEY)"),
        "{out}"
    );
}

#[test]
fn approve_is_all_or_nothing() {
    let world = World::new();
    let file = world.path("plugins/json.wasm");
    let (exit, _, err) = world.run(&["plugin", "approve", &file, "nowhere.wasm"]);
    assert_eq!(
        (exit, err.as_str()),
        (Exit::Failed, "error: nowhere.wasm: not a component\n")
    );
    assert_eq!(
        Lock::read(&world.directory.path().join("plugins")).unwrap(),
        Lock::default()
    );
}

#[test]
fn a_broken_lock_stops_and_names_the_file() {
    let world = World::new();
    world.write(&format!("plugins/{FILE_NAME}"), "{");
    let (exit, _, err) = world.run(&["plugin", "ls", "--plugins-dir", &world.path("plugins")]);
    assert_eq!(exit, Exit::Failed);
    assert!(
        err.contains(
            "mastra-host.lock is not a lock file: remove it and approve the components again: EOF"
        ),
        "{err}"
    );
}

#[test]
fn a_test_ends_as_its_scorecard_says() {
    let world = World::new();
    let plugin = world.path("plugins/json.wasm");
    let (exit, out, _) = world.run(&["test", &plugin]);
    assert_eq!(exit, Exit::Fine, "{out}");
    let (exit, out, _) = world.run(&["test", &plugin, "--set", "fails=1", "--output", "json"]);
    assert_eq!(exit, Exit::Failed);
    let card: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&card["result"], &card["counts"]["failed"]),
        (&json!("failed"), &json!(1))
    );
}

#[test]
fn a_test_without_what_it_needs_is_bad_usage() {
    let world = World::new();
    let plugin = world.path("plugins/json.wasm");
    let reply = world.write("reply.json", r#"{"status": "fine"}"#);
    for (line, wanted) in [
        (["--fixtures", "/nowhere"], "/nowhere"),
        (["--reply", "/nowhere"], "/nowhere"),
        (["--reply", &*reply], "status"),
    ] {
        let (exit, _, err) = world.run(&[&["test", &*plugin], &line[..]].concat());
        assert_eq!(exit, Exit::BadUsage, "{err}");
        assert!(err.contains(wanted), "{err}");
    }
    let (exit, _, err) = world.run(&["test", &world.path("plugins/broken.wasm")]);
    assert_eq!(exit, Exit::Failed, "{err}");
    assert!(err.contains("not a component"), "{err}");
}

#[test]
fn show_says_which_rows_it_cannot_read() {
    use crate::store::{Retention, Row, Store};
    let world = World::new();
    let data = world.directory.path();
    let week = std::time::Duration::from_secs(7 * 24 * 3600);
    let row = |id: &str, content: &str| Row {
        id: id.to_owned(),
        time: 1,
        trace_id: None,
        rank: 0,
        content: content.to_owned(),
    };
    let good = r#"{"type":"log","log":{"logId":"1","timestamp":"2026-01-01T00:00:00Z","level":"info","message":"fine"}}"#;
    let rows = [
        row("1", good),
        row("2", r#"{"mine":"a\u001b[2J"}"#),
        row("3", "[]"),
    ];
    let store = Store::open(data, Retention::new(week, 1 << 20)).unwrap();
    store
        .upsert(("default", 1 << 20), Signal::Logs, &rows, 1)
        .unwrap();
    let directory = data.display().to_string();
    for output in ["human", "json"] {
        let line = ["show", "logs", "--data-dir", &directory, "--output", output];
        let (exit, out, err) = world.run(&line);
        assert_eq!(exit, Exit::Fine, "{err}");
        assert!(out.contains("fine") && !out.contains("mine"), "{out}");
        assert!(
            err.contains("2 rows of the store cannot be read as an event"),
            "{err}"
        );
        assert!(!err.contains('\u{1b}'), "{err}");
    }
}
