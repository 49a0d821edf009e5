//! What a component is, is read from its types alone; what does not fit is refused with both sides shown.

use bytes::Bytes;
use semver::Version;

use super::dummies::{component, plain};
use super::{engine, examine as examine_with, guest_build};
use crate::event::Signal;
use crate::event::signal_set::SignalSet;
use crate::plugin::LoadError;
use crate::plugin::contract::CONTRACT_VERSION;
use crate::plugin::file::ComponentFile;
use crate::plugin::statics::{self, StaticFacts};

async fn examine(bytes: &[u8]) -> Result<StaticFacts, LoadError> {
    examine_with(&engine(None), bytes).await
}

async fn refusal(bytes: &[u8]) -> String {
    examine(bytes).await.unwrap_err().to_string()
}

fn world(signals: SignalSet) -> String {
    signals
        .iter()
        .map(|signal| format!("include {signal}-exporter; "))
        .collect()
}

#[tokio::test]
async fn each_of_the_31_subsets_of_signals_is_detected_exactly() {
    let engine = engine(None);
    for bits in 1..32_u8 {
        let signals: SignalSet = Signal::ALL
            .into_iter()
            .filter(|signal| bits & (1 << signal.index()) != 0)
            .collect();
        let outside = examine_with(&engine, &plain(&world(signals)))
            .await
            .unwrap();
        assert_eq!(outside.signals, signals, "{signals}");
        assert_eq!(outside.contract, CONTRACT_VERSION);
        assert!(
            outside
                .imports
                .contains(&"mastra:observability/http@0.1.0".to_owned()),
            "{:?}",
            outside.imports
        );
    }
}

#[test]
fn the_contract_version_is_the_one_of_the_wit() {
    let package = format!("package mastra:observability@{CONTRACT_VERSION};");
    assert!(
        include_str!("../../../../wit/worlds.wit").contains(&package),
        "{package}"
    );
}

#[tokio::test]
async fn other_exports_are_tolerated() {
    let component =
        plain("include logs-exporter; export acme:weather/rain@1.0.0; export run: func();");
    let outside = examine(&component);
    assert_eq!(
        outside.await.unwrap().signals,
        [Signal::Logs].into_iter().collect()
    );
}

#[tokio::test]
async fn a_capacity_of_another_type_is_shown_with_both_types() {
    let bytes = component("include traces-exporter; export batch-memory;", |text| {
        text.replace("capacity: func() -> u32", "capacity: func() -> u64")
    });
    let message = refusal(&bytes).await;
    assert!(
        message.contains("`mastra:observability/batch-memory@0.1.0` with other types")
            && message.contains("expected `u32`, found `u64`"),
        "{message}"
    );
}

#[tokio::test]
async fn no_signal_is_an_error_that_names_the_five() {
    let message = refusal(&plain("include exporter;")).await;
    for signal in Signal::ALL {
        assert!(message.contains(&format!("`{signal}`")), "{message}");
    }
}

#[tokio::test]
async fn a_missing_lifecycle_is_named() {
    let message = refusal(&plain("import http; export traces;")).await;
    assert!(
        message.contains("does not export `mastra:observability/lifecycle@0.1.0`"),
        "{message}"
    );
    assert!(
        message.contains("it exports `mastra:observability/traces@0.1.0`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_field_of_another_type_is_shown_with_both_types() {
    let bytes = component("include traces-exporter;", |text| {
        text.replace(
            "start-time: unix-nanos,\n    /// Absent while",
            "start-time: string,\n    /// Absent while",
        )
        .replace("    span-type: string,", "    span-type: option<u8>,")
    });
    let message = refusal(&bytes).await;
    assert!(
        message.contains("`mastra:observability/traces@0.1.0` with other types"),
        "{message}"
    );
    assert!(
        message.contains("send(batch).spans[].span-type: expected `string`, found `option<u8>`"),
        "{message}"
    );
}

#[tokio::test]
async fn missing_and_extra_fields_and_cases_are_shown() {
    let bytes = component("include scores-exporter;", |text| {
        text.replace("    scorer-id: string,\n", "    grader: u32,\n")
            .replace("    too-large,\n", "")
    });
    let message = refusal(&bytes).await;
    assert!(
        message.contains("send(batch).scores[].scorer-id: expected `string`, found `nothing`"),
        "{message}"
    );
    assert!(
        message.contains("send(batch).scores[].grader: expected `nothing`, found `u32`"),
        "{message}"
    );
    assert!(
        message.contains("send() result.outcome.too-large"),
        "{message}"
    );
}

#[tokio::test]
async fn another_order_of_fields_is_shown() {
    let bytes = component("include logs-exporter;", |text| {
        text.replace(
            "    code: status-code,\n    message: string,",
            "    message: string,\n    code: status-code,",
        )
        .replace(
            "enum delay-scope { this-signal, whole-exporter }",
            "enum delay-scope { whole-exporter, this-signal }",
        )
    });
    let message = refusal(&bytes).await;
    let expected = "expected `enum { this-signal, whole-exporter }`, found `enum { whole-exporter, this-signal }`";
    assert!(message.contains(expected), "{message}");
}

#[tokio::test]
async fn an_interface_without_send_is_not_unsupported_but_wrong() {
    let bytes = component("include metrics-exporter;", |text| {
        text.replace(
            "send: func(batch: metric-batch)",
            "deliver: func(batch: metric-batch)",
        )
    });
    let message = refusal(&bytes).await;
    assert!(
        message.contains("send: expected `send: func(batch: record {"),
        "{message}"
    );
    assert!(message.contains("found `nothing`"), "{message}");
}

#[tokio::test]
async fn another_name_of_a_parameter_is_shown() {
    let bytes = component("include logs-exporter;", |text| {
        text.replace(
            "configure: func(settings: json)",
            "configure: func(options: json)",
        )
    });
    let message = refusal(&bytes).await;
    assert!(message.contains("func(settings: string)"), "{message}");
    assert!(message.contains("func(options: string)"), "{message}");
}

#[tokio::test]
async fn a_wrong_import_is_shown_with_both_types() {
    let bytes = component("include logs-exporter;", |text| {
        text.replace("verb: string", "verb: u8")
    });
    let message = refusal(&bytes).await;
    assert!(
        message.contains("`mastra:observability/http@0.1.0`"),
        "{message}"
    );
    assert!(
        message.contains("send(request).verb: expected `string`, found `u8`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_newer_contract_is_refused_with_what_to_upgrade() {
    for newer in ["0.2.0", "1.0.0"] {
        let bytes = component("include traces-exporter;", |text| {
            text.replace("@0.1.0", &format!("@{newer}"))
        });
        let message = refusal(&bytes).await;
        assert!(
            message.contains(&format!("contract {newer}, this host speaks 0.1.0")),
            "{message}"
        );
        assert!(message.contains("upgrade mastra-host"), "{message}");
    }
}

#[tokio::test]
async fn an_older_contract_is_refused_and_a_newer_patch_is_not() {
    let older = component("include traces-exporter;", |text| {
        text.replace("@0.1.0", "@0.0.9")
    });
    assert!(
        refusal(&older)
            .await
            .contains("build the component against contract 0.1.0")
    );
    let patch = component("include traces-exporter;", |text| {
        text.replace("@0.1.0", "@0.1.7")
    });
    let outside = examine(&patch).await.unwrap();
    assert_eq!(outside.contract, Version::new(0, 1, 7));
    assert_eq!(outside.signals.len(), 1);
}

#[tokio::test]
async fn foreign_imports_are_refused_by_name() {
    for (import, hint) in [
        ("acme:weather/rain@1.0.0", "leave it out"),
        ("wasi:http/handler@0.3.0", "this host links WASI 0.2"),
        ("wasi:clocks/system-clock@0.3.0", "wasm32-wasip2"),
    ] {
        let message = refusal(&plain(&format!("include logs-exporter; import {import};"))).await;
        assert!(
            message.contains(&format!("imports `{import}`")),
            "{message}"
        );
        assert!(message.contains(hint), "{message}");
    }
}

#[tokio::test]
async fn an_import_of_wasi_with_other_types_is_named() {
    let import = "wasi:http/outgoing-handler@0.2.0";
    let message = refusal(&plain(&format!("include logs-exporter; import {import};"))).await;
    assert!(
        message.contains(&format!("imports `{import}` with other types")),
        "{message}"
    );
}

#[tokio::test]
async fn files_that_are_no_components_are_told_apart() {
    let refused = |bytes: &'static [u8]| {
        let file = ComponentFile::from_bytes(Bytes::from_static(bytes));
        file.unwrap_err().to_string()
    };
    assert!(refused(b"\0asm\x01\0\0\0").contains("wasm-tools component new"));
    assert!(refused(b"\0asm\x0b\0\x01\0").contains("another version"));
    assert!(refused(b"").contains("an empty file"));
    assert!(refused(b"#!/bin/sh\n").contains("not a WebAssembly component"));
}

#[tokio::test]
async fn a_component_that_is_damaged_inside_a_module_does_not_compile() {
    let mut damaged = plain("include logs-exporter;");
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xff);
    assert!(refusal(&damaged).await.contains("cannot be compiled"));
}

fn read(bytes: Vec<u8>) -> Result<StaticFacts, String> {
    let file = ComponentFile::from_bytes(bytes.into()).unwrap();
    statics::examine(&file).map_err(|error| error.to_string())
}

#[test]
fn a_component_that_is_cut_off_within_a_section_is_refused() {
    let whole = plain("include logs-exporter; export page;");
    let facts = read(whole.clone()).unwrap();
    assert!(facts.serves_page);
    let mut refused = 0;
    for end in 8..whole.len() {
        match read(whole[..end].to_vec()) {
            // Between two of the sections behind the exports, which name the producers.
            Ok(read) => assert_eq!(
                (read.signals, read.imports),
                (facts.signals, facts.imports.clone())
            ),
            Err(error) if error.contains("not a valid component") => refused += 1,
            // Between two of the sections before them.
            Err(error) => assert!(error.contains("does not export"), "{end}: {error}"),
        }
    }
    assert!(refused > whole.len() - 200, "{refused} of {}", whole.len());
}

/// A component of these sections and nothing else: what encoders would not write.
fn of_sections<'a>(sections: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for (id, content) in sections {
        bytes.push(id);
        push_leb(&mut bytes, content.len());
        bytes.extend_from_slice(content);
    }
    bytes
}

fn push_leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

const CUSTOM: u8 = 0;
const IMPORTS: u8 = 10;

/// The section of these imports, all of instance type 0.
fn imports<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut section = Vec::new();
    push_leb(&mut section, names.len());
    for name in names {
        section.push(0);
        push_leb(&mut section, name.len());
        section.extend_from_slice(name.as_bytes());
        section.extend_from_slice(&[5, 0]);
    }
    section
}

#[test]
fn sections_and_names_without_end_are_refused() {
    let empty: &[u8] = &[0];
    let sections = of_sections(std::iter::repeat_n((CUSTOM, empty), 1_000_000));
    let error = read(sections).unwrap_err();
    assert!(error.contains("more than 20000 sections"), "{error}");

    let name = "wasi:io/poll@0.2.0";
    let many = imports(std::iter::repeat_n(name, 200));
    let error = read(of_sections([(IMPORTS, &*many), (IMPORTS, &*many)])).unwrap_err();
    assert!(error.contains("more than 256 imports"), "{error}");

    // A count of four billion in a section of a few bytes.
    let claimed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let error = read(of_sections([(IMPORTS, &claimed[..])])).unwrap_err();
    assert!(error.contains("more than 256 imports"), "{error}");

    let long = "x".repeat(90_000);
    let error = read(of_sections([(IMPORTS, &*imports([&*long]))])).unwrap_err();
    assert!(
        error.contains("at most 256 bytes") && error.len() < 1000,
        "{error}"
    );
}

#[test]
fn a_name_that_is_not_visible_ascii_is_refused_and_shown_without_it() {
    for name in [
        "wasi:io/\u{1b}[31mpoll@0.2.0",
        "a\nb",
        "wäsi:io/poll@0.2.0",
        "a b",
    ] {
        let error = read(of_sections([(IMPORTS, &*imports([name]))])).unwrap_err();
        assert!(error.contains("visible ASCII"), "{error}");
        assert!(!error.contains(['\u{1b}', '\n']), "{error}");
    }
}

#[tokio::test]
async fn what_is_read_of_a_component_is_what_the_engine_finds() {
    let engine = engine(None);
    for path in [
        guest_build::misbehaving(),
        guest_build::keeper(),
        guest_build::wanderer(),
    ] {
        let file = ComponentFile::read(&path).unwrap();
        let facts = statics::examine(&file).unwrap();
        // Loading compares both, and fails where they differ.
        let component = engine.load(&file, "test", |_| {}).await.unwrap();
        assert_eq!(component.imports(), facts.imports);
        assert_eq!(component.digest(), file.digest());
        assert!(facts.signals.contains(Signal::Traces), "{facts:?}");
    }
}

#[tokio::test]
async fn a_describe_that_traps_is_a_load_error() {
    let file = ComponentFile::from_bytes(plain("include logs-exporter;").into()).unwrap();
    let error = engine(None)
        .load(&file, "test", |_| {})
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, LoadError::Describe(_)), "{error}");
}
