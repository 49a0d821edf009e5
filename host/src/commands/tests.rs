//! Commands as users see them: streams and exit codes, with components from a map.

use std::collections::BTreeMap;

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::approvals::digest;
use crate::approvals::store::FILE_NAME;
use crate::approvals::{Approvals, StateDirectory};
use crate::cli::Cli;
use crate::config::select::FileFacts;
use crate::conformance::scorecard::{Check, Group, Verdict};
use crate::event::Signal;

/// Components by file name.
struct Shelf(BTreeMap<String, ComponentFacts>);

impl Shelf {
    fn find(&self, source: &Source) -> Option<ComponentFacts> {
        let (Source::File(file) | Source::Kept { file, .. }) = source else {
            return None;
        };
        let name = file.file_name()?.to_string_lossy().into_owned();
        Some(ComponentFacts {
            source: source.clone(),
            real_file: file.canonicalize().ok(),
            ..self.0.get(&name)?.clone()
        })
    }
}

impl Components for Shelf {
    fn examine(&self, files: &BTreeSet<PathBuf>) -> Files {
        let is_there = |file: &&PathBuf| file.exists();
        let look = |file: &PathBuf| {
            let found = self.find(&Source::File(file.clone()));
            let found = found.ok_or_else(|| "not a component".to_owned());
            let facts = found.map(|facts| FileFacts {
                real: file.canonicalize().unwrap(),
                digest: facts.digest,
                size_bytes: facts.size_bytes,
                contract: facts.contract,
                signals: facts.signals,
                imports: facts.imports,
            });
            (file.clone(), facts)
        };
        files.iter().filter(is_there).map(look).collect()
    }

    fn load(&self, sources: &[Source]) -> Vec<Result<ComponentFacts, String>> {
        let load = |source| {
            self.find(source)
                .ok_or_else(|| "not a component".to_owned())
        };
        sources.iter().map(load).collect()
    }

    /// A component's bytes are its name.
    fn bytes(&self, source: &Source) -> Result<Bytes, String> {
        let found = self
            .find(source)
            .ok_or_else(|| "not a component".to_owned())?;
        Ok(Bytes::from(found.name))
    }

    fn built_in(&self) -> Vec<Declared> {
        Vec::new()
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
        let [langfuse, lines] = [langfuse, lines].map(|component| ComponentFacts {
            digest: digest(component.name.as_bytes()),
            ..component
        });
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
        self.run_with(line, &self.environment())
    }

    /// With a home of its own, where the approvals are.
    fn environment(&self) -> Environment {
        [("HOME".to_owned(), self.path("home"))].into()
    }

    fn approvals(&self) -> Approvals {
        let state = StateDirectory::choose(None, &self.environment(), Path::new("data"));
        Approvals::read(&state).unwrap()
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
        (
            Exit::Failed,
            "",
            "error: no file nowhere.wasm, and no plugins/nowhere.wasm\n"
        )
    );
    let (exit, out, _) = world.run(&["inspect", "nowhere.wasm", "--output", "json"]);
    assert_eq!(exit, Exit::Failed);
    assert_eq!(
        parse(&out),
        json!({"error": "no file nowhere.wasm, and no plugins/nowhere.wasm"})
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
    for name in ["json", "langfuse"] {
        let approved = world.run(&["plugin", "approve", name, "--plugins-dir", &plugins]);
        assert_eq!(approved.0, Exit::Fine, "{}", approved.2);
    }
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

fn states(world: &World) -> Vec<(String, String)> {
    let plugins = world.path("plugins");
    let line = [
        "plugin",
        "ls",
        "--plugins-dir",
        &plugins,
        "--output",
        "json",
    ];
    let (exit, out, err) = world.run(&line);
    assert_eq!(exit, Exit::Fine, "{err}");
    let value = parse(&out);
    let rows = value["plugins"].as_array().unwrap().iter();
    rows.map(|row| {
        let file = Path::new(row["file"].as_str().unwrap());
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        (stem, row["state"].as_str().unwrap().to_owned())
    })
    .collect()
}

fn pair(name: &str, state: &str) -> (String, String) {
    (name.to_owned(), state.to_owned())
}

#[test]
fn plugin_ls_shows_states_and_approve_and_revoke_change_them() {
    let world = World::new();
    let waiting = [
        pair("json", "needs approval"),
        pair("langfuse", "needs approval"),
    ];
    assert_eq!(states(&world), waiting);

    let plugins = world.path("plugins");
    let file = world.path("plugins/json.wasm");
    let approve = [
        "plugin",
        "approve",
        &file,
        "langfuse",
        "--plugins-dir",
        &plugins,
    ];
    let (exit, out, err) = world.run(&approve);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert!(out.contains("langfuse 0.1.0 (sha256:"), "{out}");
    assert!(
        out.contains("  reach   the host in setting base_url\n"),
        "{out}"
    );
    assert!(out.contains("  read    LANGFUSE_PUBLIC_KEY\n"), "{out}");
    assert!(
        out.contains("Approved. It runs with the next `mastra-host run`."),
        "{out}"
    );
    assert_eq!(
        states(&world),
        [
            pair("json", "active"),
            pair("langfuse", "inactive (missing LANGFUSE_PUBLIC_KEY)")
        ]
    );

    let (exit, out, _) = world.run(&["plugin", "revoke", "langfuse", &file]);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert_eq!(states(&world), waiting);
    let (exit, _, err) = world.run(&["plugin", "revoke", "langfuse"]);
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("nothing of that name"), "{err}");
}

#[test]
fn a_changed_file_needs_approval_and_the_difference_is_shown() {
    let mut world = World::new();
    let file = world.path("plugins/langfuse.wasm");
    assert_eq!(world.run(&["plugin", "approve", &file]).0, Exit::Fine);
    let changed = world.shelf.0.get_mut("langfuse.wasm").unwrap();
    changed.digest = digest(b"langfuse-2");
    changed.version = "0.2.0".to_owned();
    changed.settings_schema["properties"]["team"] =
        json!({"type": "string", "x-env": ["LANGFUSE_TEAM"]});
    let changed = states(&world);
    assert_eq!(
        changed[1],
        pair(
            "langfuse",
            "needs approval (the file has changed; the approved bytes run on)"
        )
    );
    let (_, out, _) = world.run(&["plugin", "approve", &file, "--print-config"]);
    assert!(out.contains("digest: \"sha256:"), "{out}");
    assert!(
        out.contains("env: [\"LANGFUSE_PUBLIC_KEY\", \"LANGFUSE_TEAM\"]"),
        "{out}"
    );
    assert_eq!(states(&world), changed, "--print-config records nothing");
}

#[test]
fn approve_is_all_or_nothing() {
    let world = World::new();
    let file = world.path("plugins/json.wasm");
    let (exit, _, err) = world.run(&["plugin", "approve", &file, "nowhere.wasm"]);
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("no file nowhere.wasm"), "{err}");
    assert_eq!(world.approvals().iter().count(), 0);
}

#[test]
fn a_variable_that_the_component_does_not_declare_is_not_approved() {
    let world = World::new();
    let file = world.path("plugins/langfuse.wasm");
    let (exit, _, err) = world.run(&["plugin", "approve", &file, "--env", "AWS_KEY"]);
    assert_eq!(exit, Exit::Failed);
    assert!(
        err.contains("AWS_KEY; it declares LANGFUSE_PUBLIC_KEY"),
        "{err}"
    );
}

#[test]
fn approvals_that_cannot_be_read_stop_and_name_the_file() {
    let world = World::new();
    let state = world.path("home/.local/state/mastra-host");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(Path::new(&state).join(FILE_NAME), "{").unwrap();
    let (exit, _, err) = world.run(&["plugin", "ls", "--plugins-dir", &world.path("plugins")]);
    assert_eq!(exit, Exit::Failed);
    assert!(
        err.contains("approvals.json does not hold approvals: remove it"),
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
    assert!(err.contains("no file"), "{err}");
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
