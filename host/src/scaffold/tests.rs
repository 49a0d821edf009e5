use super::*;

fn project(language: Language, signals: &[Signal]) -> Files {
    let project = Project {
        name: Name::parse("acme-board").unwrap(),
        language,
        signals: signals.to_vec(),
    };
    project.files().unwrap()
}

fn text<'a>(files: &'a Files, path: &str) -> &'a str {
    let bytes = files.get(path).unwrap_or_else(|| panic!("no {path}"));
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn names_are_kebab_case() {
    for good in ["a", "acme", "acme-board", "s3-x9"] {
        assert_eq!(Name::parse(good).unwrap().kebab(), good);
    }
    let long = "a".repeat(65);
    for bad in [
        "",
        "Acme",
        "acme_board",
        "acme-",
        "-acme",
        "a--b",
        "9a",
        "a-9",
        "../a",
        "é",
        &long,
    ] {
        assert!(Name::parse(bad).is_err(), "{bad}");
    }
    for (typed, meant) in [
        ("Acme", "`acme`"),
        ("acme_board", "`acme-board`"),
        ("Acme Board 2", "`acme-board2`"),
        ("a-9", "`a9`"),
        ("../a", "`a`"),
        ("9", "`acme-board`"),
        (&long, "`acme-board`"),
    ] {
        let refusal = Name::parse(typed).unwrap_err();
        assert!(refusal.ends_with(meant), "{typed}: {refusal}");
    }
    let name = Name::parse("acme-board").unwrap();
    assert_eq!(
        (name.snake(), name.pascal()),
        ("acme_board".into(), "AcmeBoard".into())
    );
}

#[test]
fn every_project_has_what_a_stranger_looks_for() {
    for language in Language::ALL {
        let files = project(language, &Signal::ALL);
        for path in ["README.md", "Makefile", ".gitignore", "wit/plugin.wit"] {
            assert!(files.contains_key(path), "{language}: {path}");
        }
        assert!(
            files.keys().any(|path| path.contains("test")),
            "{language} has no test"
        );
        for (path, bytes) in &files {
            let is_ours = !path.starts_with("vendor/") && !path.starts_with("bindings/");
            let left = bytes.windows(3).any(|w| w == b"{{#" || w == b"{{/");
            assert!(!(is_ours && left), "{language}: {path} has marks left");
        }
    }
}

#[test]
fn exactly_the_chosen_signals_are_in_it() {
    for language in Language::ALL {
        for chosen in Signal::ALL {
            let files = project(language, &[chosen]);
            let world = text(&files, "wit/plugin.wit");
            for signal in Signal::ALL {
                let is_in = world.contains(&format!("/{}-exporter@", signal.name()));
                assert_eq!(is_in, signal == chosen, "{language} {chosen} {signal}");
            }
        }
    }
    let go = project(Language::Go, &[Signal::Logs]);
    assert!(go.contains_key("exports/export_mastra_observability_logs/send.go"));
    assert!(!go.contains_key("exports/export_mastra_observability_traces/send.go"));
}

#[test]
fn a_name_of_the_sdk_is_no_trouble() {
    for name in ["traces", "exporter", "settings", "self"] {
        let project = Project {
            name: Name::parse(name).unwrap(),
            language: Language::Rust,
            signals: vec![Signal::Traces],
        };
        let files = project.files().unwrap();
        let own = format!("impl Traces for {}Exporter {{", project.name.pascal());
        assert!(text(&files, "src/lib.rs").contains(&own), "{name}");
    }
}

#[test]
fn the_contract_and_the_sdk_are_those_of_the_repository() {
    let files = project(Language::Rust, &[Signal::Traces]);
    let contract = include_str!("../../../wit/types.wit");
    assert_eq!(
        text(&files, "wit/deps/mastra-observability/types.wit"),
        contract
    );
    let sdk = include_str!("../../../exporters/sdk/src/outcome.rs");
    assert_eq!(text(&files, "vendor/sdk/src/outcome.rs"), sdk);
}

#[test]
fn the_rust_workspace_has_all_that_the_sdk_inherits() {
    let files = project(Language::Rust, &[Signal::Traces]);
    let manifest = text(&files, "Cargo.toml");
    for line in text(&files, "vendor/sdk/Cargo.toml").lines() {
        let Some((inherited, _)) = line.split_once(".workspace") else {
            continue;
        };
        assert!(
            manifest
                .lines()
                .any(|line| line.split(" = ").next() == Some(inherited)),
            "{inherited} is missing"
        );
    }
    assert!(manifest.contains("[workspace.lints.clippy]"), "{manifest}");
}

#[test]
fn two_signals_take_an_author_sixty_lines_at_most() {
    const MAX_LINES: usize = 60;
    for (language, folder) in [
        (Language::Rust, "src/"),
        (Language::Js, "src/"),
        (Language::Python, "src/"),
        (Language::Go, "exporter/"),
        (Language::C, "src/"),
    ] {
        let files = project(language, &[Signal::Traces, Signal::Logs]);
        let is_author = |path: &str| {
            path.starts_with(folder)
                && !["delivery", "outcome", "_test"]
                    .iter()
                    .any(|given| path.contains(given))
        };
        let lines: usize = files
            .keys()
            .filter(|path| is_author(path))
            .map(|path| {
                text(&files, path)
                    .lines()
                    .filter(|line| is_code(line))
                    .count()
            })
            .sum();
        assert!(
            (20..=MAX_LINES).contains(&lines),
            "{language}: {lines} lines"
        );
    }
}

/// Neither empty nor a comment.
fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty()
        && !["//", "#include", "\"\"\""]
            .iter()
            .any(|start| line.starts_with(start))
}

#[test]
fn go_gets_its_world_as_a_custom_section() {
    let files = project(Language::Go, &[Signal::Traces]);
    let section = files.get("bindings/component-type.section").unwrap();
    let module = [b"\0asm\x01\0\0\0".as_slice(), section].concat();
    let (_, decoded) = bindgen_wit_component::metadata::decode(&module).unwrap();
    let names: Vec<_> = decoded
        .resolve
        .worlds
        .iter()
        .map(|(_, world)| world.name.clone())
        .collect();
    assert!(names.contains(&"plugin".to_owned()), "{names:?}");
}
