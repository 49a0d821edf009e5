//! Configs, directories and environments in; plans out.

use serde_json::{Value, json};

use super::*;

mod world;

use world::{KEY, Plan, World, digest, digest_of, json_lines, langfuse, path};

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
fn built_in_components_of_the_directory_run_once_they_have_their_settings() {
    let world = World::new();
    let plan = world.plan("", &[], &[]);
    assert_eq!(ids(&plan), ["json"]);
    assert_eq!(
        idle(&plan),
        [
            "plugins/broken.wasm: inactive (not a component)",
            "plugins/langfuse.wasm: inactive (missing LANGFUSE_PUBLIC_KEY)"
        ]
    );
    assert_eq!(problems(&plan), [""; 0]);
    let plan = world.plan("", &[], &KEY);
    assert_eq!(ids(&plan), ["json", "langfuse"]);
    let planned = &plan.exporters[&"langfuse".parse().unwrap()];
    assert_eq!(planned.consent, Consent::BuiltIn);
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
fn a_dropped_file_needs_approval_and_a_path_of_the_operator_does_not() {
    let world = World::strange();
    let plan = world.plan("", &[], &KEY);
    assert_eq!(ids(&plan), [""; 0]);
    assert_eq!(
        idle(&plan)[1..],
        [
            "plugins/json.wasm: needs approval",
            "plugins/langfuse.wasm: needs approval"
        ]
    );
    let config = "exporters: {langfuse: {component: plugins/langfuse.wasm}}";
    let configured = world.plan(config, &[], &KEY);
    assert_eq!(ids(&configured), ["langfuse"]);
    assert_eq!(configured.record[0].digest, digest_of(&langfuse()));
    let named = world.plan("", &["plugins/langfuse.wasm"], &KEY);
    assert_eq!(ids(&named), ["langfuse"]);
    assert_eq!(named.record, [], "`--plugin` approves for one run");
    let all = world.plan("plugins: {discovery: all}", &[], &KEY);
    assert_eq!(ids(&all), ["json", "langfuse"]);
}

#[test]
fn a_name_never_means_an_unapproved_file() {
    let world = World::strange();
    let plan = world.plan("", &["langfuse"], &KEY);
    assert_eq!(
        problems(&plan),
        [
            "no component named langfuse is approved or built in; plugins/langfuse.wasm is there: approve it with `mastra-host plugin approve plugins/langfuse.wasm`, or name the file itself"
        ]
    );
    let plan = world.plan("exporters: {langfuse: }", &[], &KEY);
    assert_eq!(ids(&plan), [""; 0]);
    assert_eq!(plan.waiting.len(), 1, "its place in the queue is kept");
    let mut world = world;
    world.approve("langfuse", &["LANGFUSE_PUBLIC_KEY"]);
    assert_eq!(ids(&world.plan("", &["langfuse"], &KEY)), ["langfuse"]);
}

#[test]
fn a_file_of_the_directory_alone_is_approved_or_asked_about() {
    let mut world = World::strange();
    let plan = world.plan("", &["langfuse.wasm"], &KEY);
    assert_eq!(plan.unapproved, [path("langfuse")]);
    assert_eq!(ids(&plan), [""; 0]);
    world.approve("langfuse", &["LANGFUSE_PUBLIC_KEY"]);
    assert_eq!(ids(&world.plan("", &["langfuse.wasm"], &KEY)), ["langfuse"]);
    let world = World::new();
    for named in [
        "langfuse.wasm",
        "./langfuse.wasm",
        "plugins/langfuse.wasm",
        "langfuse",
    ] {
        assert_eq!(
            ids(&world.plan("", &[named], &KEY)),
            ["langfuse"],
            "{named}"
        );
    }
}

#[test]
fn a_built_in_component_runs_without_its_file_by_each_of_its_names() {
    let world = World::new();
    for named in ["json.wasm", "./json.wasm", "plugins/json.wasm", "json"] {
        let mut world = World {
            components: world.components.clone(),
            built_in: world.built_in.clone(),
            ..World::new()
        };
        let json = world.components.remove(&path("json")).unwrap();
        world.components.insert("elsewhere/json.wasm".into(), json);
        let request = world.plan("", &[named], &[]);
        assert_eq!(
            problems(&request),
            ["json (built in): not a component"],
            "{named}"
        );
    }
}

#[test]
fn a_changed_file_waits_and_the_approved_bytes_run_on() {
    let mut world = World::strange();
    world.approve("json", &[]);
    let approved = digest_of(&json_lines());
    world.change("json", |_| {});
    for config in ["", "exporters: {json: {component: plugins/json.wasm}}"] {
        let plan = world.plan(config, &[], &[]);
        assert_eq!(digest(&plan, "json"), approved, "{config}");
        assert_eq!(plan.record, []);
        assert_eq!(
            idle(&plan)[1],
            "plugins/json.wasm: needs approval (the file has changed; the approved bytes run on)"
        );
    }
    let plan = world.plan("plugins: {upgrades: within_grants}", &[], &[]);
    assert_eq!(digest(&plan, "json"), "sha256:new-json");
    assert_eq!(plan.record[0].digest, "sha256:new-json");

    world.change("json", |json| {
        json.imports
            .push("wasi:http/outgoing-handler@0.2.6".to_owned());
    });
    let plan = world.plan("plugins: {upgrades: within_grants}", &[], &[]);
    assert_eq!(digest(&plan, "json"), approved);
    assert_eq!(
        idle(&plan)[1],
        "plugins/json.wasm: needs approval (now also asks for import wasi:http/outgoing-handler@0.2.6)"
    );
}

#[test]
fn a_config_approves_what_a_file_holds_when_it_first_runs() {
    let mut world = World::strange();
    let config = "exporters: {langfuse: {component: plugins/langfuse.wasm}}";
    let recorded = world.plan(config, &[], &KEY).record.remove(0);
    world.kept.insert(recorded.digest.clone(), langfuse());
    world.approvals.add(recorded);
    world.change("langfuse", |langfuse| langfuse.version = "9.9.9".to_owned());
    let plan = world.plan(config, &[], &KEY);
    assert_eq!(digest(&plan, "langfuse"), digest_of(&langfuse()));
    assert_eq!(plan.record, []);
}

#[test]
fn a_built_in_component_in_a_file_runs_on_when_the_file_changes() {
    let mut world = World::new();
    let recorded = world.plan("", &[], &[]).record.remove(0);
    assert_eq!(
        (recorded.name.as_str(), &recorded.digest),
        ("json", &json_lines().digest)
    );
    world.kept.insert(recorded.digest.clone(), json_lines());
    world.approvals.add(recorded);
    world.change("json", |_| {});
    for config in ["", "exporters: {json: {component: plugins/json.wasm}}"] {
        let plan = world.plan(config, &[], &[]);
        assert_eq!(digest(&plan, "json"), json_lines().digest, "{config}");
    }
}

#[test]
fn a_digest_in_the_config_is_the_only_one_that_runs() {
    let world = World::strange();
    let config = |digest: &str, hosts: &str| {
        format!(
            "exporters: {{json: {{component: {{file: plugins/json.wasm, digest: \"sha256:{digest}\", allow: {{hosts: [{hosts}]}}}}}}}}"
        )
    };
    let hex = "ab".repeat(32);
    let plan = world.plan(&config(&hex, ""), &[], &[]);
    assert_eq!(ids(&plan), [""; 0]);
    assert!(
        plan.waiting
            .values()
            .all(|reason| reason.contains("and the config wants sha256:abab")),
        "{:?}",
        plan.waiting
    );

    let mut world = World::strange();
    let pinned = format!("sha256:{hex}");
    world.change("json", |json| json.digest = pinned.clone());
    let plan = world.plan(&config(&hex, ""), &[], &[]);
    assert_eq!(ids(&plan), [""; 0]);
    assert!(
        idle(&plan)[1].contains("host setting:base_url, which `allow` does not list"),
        "{:?}",
        idle(&plan)
    );
    let plan = world.plan(&config(&hex, "\"setting:base_url\""), &[], &[]);
    assert_eq!(digest(&plan, "json"), pinned);
}

#[test]
fn an_output_target_that_the_config_does_not_allow_is_not_written() {
    let mut world = World::strange();
    let hex = "ab".repeat(32);
    world.change("json", |json| json.digest = format!("sha256:{hex}"));
    let config = |output: &str| {
        format!(
            "exporters: {{json: {{settings: {{target: \"{output}\"}}, component: {{file: plugins/json.wasm, digest: \"sha256:{hex}\", allow: {{hosts: [\"setting:base_url\"], output: [\"file:a\"]}}}}}}}}"
        )
    };
    assert_eq!(ids(&world.plan(&config("file:a"), &[], &[])), ["json"]);
    let plan = world.plan(&config("file:b"), &[], &[]);
    assert_eq!(ids(&plan), [""; 0]);
    assert!(
        idle(&plan)[1].contains("output file:b, which `allow` does not list"),
        "{:?}",
        idle(&plan)
    );
}

#[test]
fn only_approved_variables_fill_settings() {
    let foreign = json!({
        "properties": {
            "own": {"type": "string", "x-env": ["ACME_KEY"]},
            "other": {"type": "string", "x-env": ["AWS_SECRET_ACCESS_KEY"]},
        },
    });
    let acme = ComponentFacts::sample("acme", &[Signal::Traces], foreign);
    let mut world = World::strange();
    world.components.insert(path("acme"), acme);
    let environment = [("ACME_KEY", "a"), ("AWS_SECRET_ACCESS_KEY", "aws")];
    let config = "exporters: {acme: {component: plugins/acme.wasm}}";
    let values = |plan: &Plan| {
        let planned = &plan.exporters[&"acme".parse().unwrap()];
        let values = planned.settings.values.iter();
        values
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    for (config, plugins) in [
        (config, &[][..]),
        ("", &["plugins/acme.wasm"]),
        ("plugins: {discovery: all}", &[]),
    ] {
        assert_eq!(
            values(&world.plan(config, plugins, &environment)),
            ["own=a"]
        );
    }
    let written = "exporters: {acme: {component: plugins/acme.wasm, settings: {other: \"${env:AWS_SECRET_ACCESS_KEY}\"}}}";
    assert_eq!(
        values(&world.plan(written, &[], &environment)),
        ["own=a", "other=aws"]
    );
    world.approve("acme", &["ACME_KEY", "AWS_SECRET_ACCESS_KEY"]);
    assert_eq!(
        values(&world.plan(config, &[], &environment)),
        ["own=a", "other=aws"]
    );
}

#[test]
fn a_required_variable_that_is_held_back_is_named_with_its_approval() {
    let schema = json!({
        "required": ["key"],
        "properties": {"key": {"type": "string", "x-env": ["OTHER_KEY"]}},
    });
    let mut world = World::strange();
    world.components.insert(
        path("acme"),
        ComponentFacts::sample("acme", &[Signal::Traces], schema),
    );
    let plan = world.plan("", &["plugins/acme.wasm"], &[("OTHER_KEY", "x")]);
    assert_eq!(
        problems(&plan),
        [
            "plugins/acme.wasm: missing setting key; OTHER_KEY is set, but this component may not read it: approve it with `mastra-host plugin approve --env OTHER_KEY`"
        ]
    );
}

#[test]
fn with_plugin_only_those_run_and_the_others_are_mentioned() {
    let world = World::new();
    for name in ["plugins/langfuse.wasm", "./plugins/langfuse.wasm"] {
        let plan = world.plan("", &[name], &KEY);
        assert_eq!(ids(&plan), ["langfuse"]);
        assert_eq!(
            idle(&plan),
            [
                "plugins/broken.wasm: inactive (--plugin names others)",
                "plugins/json.wasm: inactive (--plugin names others)"
            ]
        );
    }
}

#[test]
fn a_named_plugin_without_its_settings_is_a_problem() {
    let world = World::new();
    let plan = world.plan("", &["langfuse"], &[]);
    assert_eq!(
        problems(&plan),
        ["langfuse (built in): missing LANGFUSE_PUBLIC_KEY (setting public_key)"]
    );
    assert_eq!(
        problems(&world.plan("", &["nowhere.wasm"], &[])),
        ["no file nowhere.wasm, and no plugins/nowhere.wasm; built in are json, langfuse"]
    );
    assert_eq!(
        problems(&world.plan("", &["langfus.wasm"], &[])),
        ["no file langfus.wasm, and no plugins/langfus.wasm; did you mean `langfuse`?"]
    );
    assert_eq!(
        problems(&world.plan("", &["plugins/broken.wasm"], &[])),
        ["plugins/broken.wasm: not a component"]
    );
}

#[test]
fn with_plugin_the_configs_entries_for_it_count() {
    let config = "exporters:\n  langfuse/eu: { settings: { public_key: pk-eu }, num_consumers: 2 }\n  json: {}\n";
    for named in ["langfuse", "plugins/langfuse.wasm"] {
        let plan = World::new().plan(config, &[named], &KEY);
        assert_eq!(ids(&plan), ["langfuse/eu"]);
        let planned = &plan.exporters[&"langfuse/eu".parse().unwrap()];
        assert_eq!(planned.settings.values["public_key"], "pk-eu");
        assert_eq!(planned.config.delivery.num_consumers, 2);
    }
}

#[test]
fn one_component_serves_several_exporters_and_only_its_own_name_reads_the_environment() {
    let config = "plugins: {discovery: off}\nexporters:\n  langfuse: {}\n  langfuse/eu: {}\n";
    let plan = World::new().plan(config, &[], &KEY);
    assert_eq!(ids(&plan), ["langfuse"]);
    let wanted = "4:3: exporters.langfuse/eu.settings.public_key: missing setting public_key; write `public_key: ${env:LANGFUSE_PUBLIC_KEY}` under settings";
    assert_eq!(problems(&plan), [wanted]);
}

#[test]
fn problems_of_named_components_carry_their_line() {
    let config = "exporters:\n  langfus: {}\n  json: { signals: [traces], settings: { taget: x } }\n  langfuse: { signals: [metrics] }\n";
    let plan = World::new().plan(config, &[], &KEY);
    let wanted = [
        "2:3: exporters.langfus: no component named langfus is approved or built in; did you mean `langfuse`?",
        "3:42: exporters.json.settings.taget: unknown setting; did you mean `target`?",
        "4:3: exporters.langfuse.signals: langfuse does not export metrics; it exports traces, scores",
    ];
    assert_eq!(problems(&plan), wanted, "{:#?}", problems(&plan));
}

#[test]
fn what_the_component_alone_did_wrong_leaves_its_exporter_waiting() {
    let mut world = World::new();
    let schema = json!({"properties": {"rate": {"type": "number", "default": "much"}}});
    let bad = ComponentFacts::sample("bad", &[Signal::Traces], schema);
    world.components.insert(path("bad"), bad);
    let plan = world.plan("exporters: {bad: {component: plugins/bad.wasm}}", &[], &[]);
    assert_eq!(problems(&plan), [""; 0]);
    assert_eq!(plan.waiting.len(), 1);
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
    world.components.insert(path("zz"), json_lines());
    let plan = world.plan("", &[], &[]);
    assert_eq!(ids(&plan), ["json"]);
    assert_eq!(
        idle(&plan)[2],
        "plugins/zz.wasm: inactive (exporter json is already there)"
    );
}

#[test]
fn a_component_that_lies_about_its_name_cannot_run() {
    let mut world = World::new();
    let liar = ComponentFacts {
        name: "Not A Name".to_owned(),
        ..ComponentFacts::sample("liar", &[], Value::Null)
    };
    world.components.insert(path("liar"), liar);
    let plan = world.plan("", &["plugins/liar.wasm"], &[]);
    assert!(
        problems(&plan)[0].contains("`Not A Name` is not an exporter id"),
        "{:?}",
        problems(&plan)
    );
}
