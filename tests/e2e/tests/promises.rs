//! Each promise of SECURITY.md names tests, and each of them exists.

use std::collections::BTreeSet;

use e2e::sources::below;
use kit::paths;

/// The names of all tests of ours.
fn tests() -> anyhow::Result<BTreeSet<String>> {
    let mut tests = BTreeSet::new();
    for folder in ["host", "exporters", "tests"] {
        for source in below(folder)? {
            let mut is_test = false;
            for line in source.text.lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    let name = rest.split(['(', '<']).next().unwrap_or_default();
                    tests.insert(name.trim().to_owned());
                    is_test = false;
                }
            }
        }
    }
    Ok(tests)
}

/// The rows of the document's tables, without their heads: what is promised, and by which tests.
fn promises(document: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_matches('|').split_once('|'));
    let promises = cells.filter(|(promise, _)| promise.trim() != "promise");
    promises
        .map(|(promise, tests)| {
            let quoted = tests.split('`').skip(1).step_by(2).collect();
            (promise.trim(), quoted)
        })
        .collect()
}

#[test]
fn every_promise_of_the_security_page_has_tests_that_exist() -> anyhow::Result<()> {
    let document = std::fs::read_to_string(paths::repository().join("SECURITY.md"))?;
    let tests = tests()?;
    let promises = promises(&document);
    assert!(promises.len() >= 20, "{} promises", promises.len());
    let mut wrong = Vec::new();
    for (promise, named) in promises {
        if named.is_empty() {
            wrong.push(format!("no test is named: {promise}"));
        }
        let missing = named.iter().filter(|name| !tests.contains(**name));
        wrong.extend(missing.map(|name| format!("there is no test `{name}`: {promise}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_promise_is_read_with_its_tests() {
    let document = "| promise | tests |\n|---|---|\n| It holds. | `a`, `b` |\n| It does not. | |\n";
    assert_eq!(
        promises(document),
        [("It holds.", vec!["a", "b"]), ("It does not.", vec![])]
    );
}
