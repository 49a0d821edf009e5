//! Configs, directories and environments in; plans out.

use serde_json::{Value, json};

use super::*;
use crate::config::load;

const KEY: [(&str, &str); 1] = [("LANGFUSE_PUBLIC_KEY", "pk-1")];

fn langfuse() -> ComponentFacts {
    let schema = json!({
        "required": ["public_key"],
        "properties": {"public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"]}, "rate": {"type": "number", "x-env": ["LANGFUSE_RATE"]}},
    });
    ComponentFacts::sample("langfuse", &[Signal::Traces, Signal::Scores], schema)
}

fn json_lines() -> ComponentFacts {
    ComponentFacts::sample(
        "json",
        &Signal::ALL,
        json!({"properties": {"target": {"type": "string", "default": "stdout", "x-output": true}}}),
    )
}

/// A directory `plugins` with langfuse, json, and a file that does not load.
struct World {
    components: LoadedComponents,
    lock: Lock,
}

impl World {
    fn new() -> Self {
        let mut lock = Lock::default();
        lock.approve(&langfuse());
        lock.approve(&json_lines());
        let mut components = LoadedComponents::new();
        components.insert(
            "plugins/broken.wasm".into(),
            Err("not a component".to_owned()),
        );
        for component in [langfuse(), json_lines()] {
            components.insert(component.file.clone(), Ok(component));
        }
        Self { components, lock }
    }

    fn plan(&self, config: &str, plugins: &[&str], environment: &[(&str, &str)]) -> Plan {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let loaded = load(config, &environment);
        assert_eq!(loaded.problems, vec![]);
        let plugins: Vec<PathBuf> = plugins.iter().map(PathBuf::from).collect();
        let listing: Vec<PathBuf> = self.components.keys().cloned().collect();
        let compiling = BTreeSet::new();
        let request = Request {
            compiling: &compiling,
            config: &loaded.config,
            plugins: &plugins,
            directory: Path::new("./plugins"),
            listing: &listing,
        };
        let mut components = self.components.clone();
        for file in request.files() {
            components
                .entry(file)
                .or_insert_with(|| Err("no such file".to_owned()));
        }
        request.plan(&components, &self.lock, &environment)
    }
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.exporters.keys().map(ExporterId::as_str).collect()
}

fn idle(plan: &Plan) -> Vec<String> {
    plan.idle
        .iter()
        .map(|idle| format!("{}: {}", idle.file.display(), idle.state))
        .collect()
}

fn problems(plan: &Plan) -> Vec<String> {
    plan.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn approved_components_of_the_directory_run_once_they_have_their_settings() {
    let world = World::new();
    let plan = world.plan("", &[], &[]);
    assert_eq!(ids(&plan), ["json"]);
    assert_eq!(
        idle(&plan),
        [
            "plugins/broken.wasm: does not load (not a component)",
            "plugins/langfuse.wasm: inactive (missing LANGFUSE_PUBLIC_KEY)"
        ]
    );
    assert_eq!(problems(&plan), [""; 0]);
    let plan = world.plan("", &[], &KEY);
    assert_eq!(ids(&plan), ["json", "langfuse"]);
    let planned = &plan.exporters[&"langfuse".parse().unwrap()];
    assert_eq!(planned.reason, Reason::Lock);
    assert_eq!(planned.settings.values["public_key"], "pk-1");
}

#[test]
fn bad_settings_from_the_environment_leave_a_directory_component_idle() {
    let plan = World::new().plan("", &[], &[KEY[0], ("LANGFUSE_RATE", "much")]);
    assert_eq!(ids(&plan), ["json"]);
    assert!(
        idle(&plan)[1].contains("LANGFUSE_RATE (setting rate): `much` is not a number"),
        "{:?}",
        idle(&plan)
    );
}

#[test]
fn a_dropped_file_needs_approval_and_a_named_one_does_not() {
    let world = World {
        lock: Lock::default(),
        ..World::new()
    };
    let plan = world.plan("", &[], &KEY);
    assert_eq!(ids(&plan), [""; 0]);
    assert_eq!(
        idle(&plan)[1..],
        [
            "plugins/json.wasm: needs approval",
            "plugins/langfuse.wasm: needs approval"
        ]
    );
    assert_eq!(
        ids(&world.plan("exporters: {langfuse: }", &[], &KEY)),
        ["langfuse"]
    );
    assert_eq!(
        ids(&world.plan("", &["plugins/langfuse.wasm"], &KEY)),
        ["langfuse"]
    );
}

#[test]
fn an_upgrade_that_wants_more_needs_approval() {
    let mut world = World::new();
    let Some(Ok(component)) = world.components.get_mut(Path::new("plugins/json.wasm")) else {
        panic!()
    };
    component.digest = "sha256:new".to_owned();
    component
        .imports
        .push("wasi:http/outgoing-handler@0.2.6".to_owned());
    let plan = world.plan("", &[], &[]);
    assert_eq!(
        idle(&plan)[1],
        "plugins/json.wasm: needs approval (now also asks for import wasi:http/outgoing-handler@0.2.6)"
    );
}

#[test]
fn with_plugin_only_those_run() {
    let world = World::new();
    for name in [
        "plugins/langfuse.wasm",
        "./plugins/langfuse.wasm",
        "langfuse",
    ] {
        let plan = world.plan("", &[name], &KEY);
        assert_eq!(ids(&plan), ["langfuse"]);
        assert_eq!(
            plan.exporters[&"langfuse".parse().unwrap()].reason,
            Reason::CommandLine
        );
        assert_eq!(idle(&plan), [""; 0]);
    }
}

#[test]
fn a_named_plugin_without_its_settings_is_a_problem() {
    let world = World::new();
    let plan = world.plan("", &["langfuse"], &[]);
    assert_eq!(
        problems(&plan),
        ["plugins/langfuse.wasm: missing LANGFUSE_PUBLIC_KEY (setting public_key)"]
    );
    assert_eq!(
        problems(&world.plan("", &["nowhere.wasm"], &[])),
        ["nowhere.wasm: no such file"]
    );
    assert_eq!(
        problems(&world.plan("", &["broken"], &[])),
        ["plugins/broken.wasm: not a component"]
    );
    let twice = world.plan("", &["json", "plugins/json.wasm"], &[]);
    assert_eq!(
        problems(&twice),
        ["plugins/json.wasm: exporter json is already there; name each component once"]
    );
}

#[test]
fn with_plugin_the_configs_entries_for_it_count() {
    let config = "exporters:\n  langfuse/eu: { settings: { public_key: pk-eu }, num_consumers: 2 }\n  json: {}\n";
    let plan = World::new().plan(config, &["langfuse"], &KEY);
    assert_eq!(ids(&plan), ["langfuse/eu"]);
    let planned = &plan.exporters[&"langfuse/eu".parse().unwrap()];
    assert_eq!(planned.settings.values["public_key"], "pk-eu");
    assert_eq!(planned.config.delivery.num_consumers, 2);
}

#[test]
fn one_component_serves_several_exporters_and_only_its_own_name_reads_the_environment() {
    let config = "exporters:\n  langfuse: {}\n  langfuse/eu: {}\n";
    let plan = World::new().plan(config, &[], &KEY);
    assert_eq!(ids(&plan), ["json", "langfuse"]);
    let wanted = "3:3: exporters.langfuse/eu.settings.public_key: missing setting public_key; write `public_key: ${env:LANGFUSE_PUBLIC_KEY}` under settings";
    assert_eq!(problems(&plan), [wanted]);
}

#[test]
fn problems_of_named_components_carry_their_line() {
    let config = "exporters:\n  langfus: {}\n  json: { signals: [traces], settings: { taget: x } }\n  langfuse: { signals: [metrics] }\n";
    let plan = World::new().plan(config, &[], &KEY);
    let wanted = [
        "3:42: exporters.json.settings.taget: unknown setting; did you mean `target`?",
        "2:3: exporters.langfus: plugins/langfus.wasm: no such file; did you mean `component: langfuse`?",
        "4:3: exporters.langfuse.signals: langfuse does not export metrics; it exports traces, scores",
    ];
    assert_eq!(problems(&plan), wanted, "{:#?}", problems(&plan));
}

#[test]
fn signals_are_narrowed_by_the_config() {
    let plan = World::new().plan("exporters: {json: {signals: [logs]}}", &[], &[]);
    assert_eq!(
        plan.exporters[&"json".parse().unwrap()].signals,
        [Signal::Logs].into()
    );
}

#[test]
fn discovery_can_be_turned_off() {
    let plan = World::new().plan(
        "plugins: {discovery: off}\nexporters: {langfuse: }",
        &[],
        &KEY,
    );
    assert_eq!(ids(&plan), ["langfuse"]);
    assert_eq!(idle(&plan)[1], "plugins/json.wasm: inactive (not named)");
}

#[test]
fn two_files_of_one_name_do_not_share_an_exporter() {
    let mut world = World::new();
    let twin = ComponentFacts {
        file: "plugins/zz.wasm".into(),
        ..json_lines()
    };
    world.components.insert(twin.file.clone(), Ok(twin));
    let plan = world.plan("", &[], &[]);
    assert_eq!(ids(&plan), ["json"]);
    assert_eq!(
        idle(&plan)[2],
        "plugins/zz.wasm: does not load (exporter json is already there)"
    );
}

#[test]
fn a_component_that_lies_about_its_name_cannot_run() {
    let mut world = World::new();
    let liar = ComponentFacts {
        name: "Not A Name".to_owned(),
        ..ComponentFacts::sample("liar", &[], Value::Null)
    };
    world.components.insert(liar.file.clone(), Ok(liar));
    let plan = world.plan("", &["liar"], &[]);
    assert!(
        problems(&plan)[0].contains("`Not A Name` is not an exporter id"),
        "{:?}",
        problems(&plan)
    );
}
