//! `exporters.<id>.component`: a name, a path, or a mapping that names the file and declares the approval.
//!
//! ```yaml
//! component: acme                      # approved, or built in
//! component: ./acme.wasm               # a file
//! component:
//!   file: ./acme.wasm
//!   digest: "sha256:..."               # only these bytes run
//!   allow: {hosts: [https://acme.example], env: [ACME_TEAM_ID], output: [stdout]}
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use super::problem::Problems;
use super::read::{Section, text_of};
use super::tree::Kind;
use super::{Allow, ComponentRef, ConfigGrant, Position, id};

const HEX_DIGITS: usize = 64;

/// Reads the key. `name` is the exporter's, which is the component's unless something else is written.
pub(super) fn read(
    section: &mut Section<'_>,
    name: &str,
    problems: &Problems,
) -> (ComponentRef, ConfigGrant) {
    let by_name = ComponentRef::Name(name.to_owned());
    let path = section.path_of("component");
    let Some(entry) = section.entry("component") else {
        return (by_name, ConfigGrant::default());
    };
    if !matches!(entry.value.kind, Kind::Map(_)) {
        let found = text_of(&entry.value, &path, problems);
        let component = found.map(|found| reference(&found.value, found.at, &path, problems));
        return (component.unwrap_or(by_name), ConfigGrant::default());
    }
    let mut own = Section::open(&entry.value, &path, problems);
    let file = own.text("file");
    let file = file.map(|found| reference(&found.value, found.at, &own.path_of("file"), problems));
    let digest = digest(&mut own, problems);
    let allow = own.entry("allow").is_some().then(|| {
        let mut allow = own.child("allow");
        let hosts = texts(&mut allow, "hosts", problems);
        let env = texts(&mut allow, "env", problems);
        let output = texts(&mut allow, "output", problems);
        allow.finish();
        Allow { hosts, env, output }
    });
    own.finish();
    (file.unwrap_or(by_name), ConfigGrant { digest, allow })
}

fn reference(text: &str, at: Position, path: &str, problems: &Problems) -> ComponentRef {
    let component = ComponentRef::parse(Path::new(text));
    if let ComponentRef::Name(name) = &component
        && !id::is_kebab_case(name)
    {
        problems.add_with_fix(
            at,
            path,
            format!("`{name}` is not the name of a component"),
            "write a name such as `acme`, or a path such as `./acme.wasm`",
        );
    }
    component
}

fn digest(section: &mut Section<'_>, problems: &Problems) -> Option<String> {
    let found = section.text("digest")?;
    let hex = found.value.strip_prefix("sha256:").unwrap_or_default();
    let is_digest = hex.len() == HEX_DIGITS
        && hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !is_digest {
        problems.add_with_fix(
            found.at,
            &section.path_of("digest"),
            format!("`{}` is not a digest", found.value),
            "write `sha256:` and 64 hex digits in small letters, as `mastra-host inspect` prints it",
        );
    }
    // A digest that cannot be read must not let every file run.
    Some(found.value)
}

fn texts(section: &mut Section<'_>, key: &'static str, problems: &Problems) -> BTreeSet<String> {
    let path = section.path_of(key);
    let nodes = section.list(key).unwrap_or_default().iter().enumerate();
    nodes
        .filter_map(|(index, node)| text_of(node, &format!("{path}[{index}]"), problems))
        .map(|found| found.value)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn read_text(component: &str) -> (ComponentRef, ConfigGrant, Vec<String>) {
        let loaded = load(
            &format!("exporters:\n  acme:\n    component: {component}\n"),
            &Environment::new(),
        );
        let exporter = loaded.config.exporters.values().next().unwrap().clone();
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        (exporter.component, exporter.grant, problems)
    }

    #[test]
    fn a_name_a_path_and_a_declared_approval_are_told_apart() {
        let name = ComponentRef::Name("other".to_owned());
        assert_eq!(read_text("other"), (name, ConfigGrant::default(), vec![]));
        let file = ComponentRef::File("acme.wasm".into());
        assert_eq!(
            read_text("acme.wasm"),
            (file.clone(), ConfigGrant::default(), vec![])
        );
        let hex = "0f".repeat(32);
        let (component, grant, problems) = read_text(&format!(
            "{{file: acme.wasm, digest: \"sha256:{hex}\", allow: {{hosts: [\"https://a.example\"], env: [ACME_X], output: [stdout]}}}}"
        ));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(component, file);
        assert_eq!(grant.digest, Some(format!("sha256:{hex}")));
        let allow = grant.allow.unwrap();
        assert_eq!(allow.hosts, ["https://a.example".to_owned()].into());
        assert_eq!(allow.env, ["ACME_X".to_owned()].into());
        assert_eq!(allow.output, ["stdout".to_owned()].into());
    }

    #[test]
    fn a_bad_digest_is_a_problem_and_still_pins() {
        for digest in ["\"sha256:12\"", "abc", "\"sha512:00\""] {
            let (_, grant, problems) =
                read_text(&format!("{{file: a.wasm, digest: {digest}, hosts: []}}"));
            assert!(grant.digest.is_some());
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.contains("is not a digest")),
                "{problems:?}"
            );
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.contains("unknown key")),
                "{problems:?}"
            );
        }
    }
}
