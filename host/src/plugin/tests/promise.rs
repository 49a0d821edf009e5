//! The version promise (`wit/README.md`), kept by machine: what is released does not change, and what was built against
//! it loads. A component that was really built then is in `tests/components/`, and runs in the end-to-end tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;
use sha2::{Digest as _, Sha256};

use super::dummies::of_contract;
use super::{engine, examine};
use crate::event::signal_set::SignalSet;
use crate::plugin::contract::CONTRACT_VERSION;

/// The released files with their SHA-256: none before the first release, whose commit copies `wit/*.wit` to
/// `wit/since-v<version>/`. A release adds lines; no line is ever changed.
const RELEASED: [(&str, &str); 0] = [];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

/// The `.wit` files of each `since-v<version>`, by name.
fn releases() -> BTreeMap<Version, Vec<(String, String)>> {
    let mut releases = BTreeMap::new();
    for entry in std::fs::read_dir(wit()).unwrap() {
        let path = entry.unwrap().path();
        let folder = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(version) = folder.strip_prefix("since-v") else {
            continue;
        };
        releases.insert(Version::parse(version).unwrap(), files(&path));
    }
    releases
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "wit") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    files
}

#[test]
fn what_is_released_does_not_change() {
    let mut found = Vec::new();
    for (version, files) in releases() {
        for (name, text) in files {
            let digest = Sha256::digest(text.as_bytes());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            found.push((format!("since-v{version}/{name}"), digest));
        }
    }
    found.sort();
    let released = RELEASED.map(|(name, digest)| (name.to_owned(), digest.to_owned()));
    assert_eq!(
        found, released,
        "a released contract is frozen: change the files in `wit/` instead"
    );
}

#[tokio::test]
async fn whatever_was_built_against_a_release_or_this_contract_loads() {
    let engine = engine(None);
    let now = (CONTRACT_VERSION, files(&wit()));
    for (version, files) in releases().into_iter().chain([now]) {
        for world in ["everything", "traces-exporter", "page-exporter"] {
            let bytes = of_contract(files.clone(), world);
            let examined = examine(&engine, &bytes).await;
            match (world, examined) {
                ("everything", Ok(outside)) => {
                    assert_eq!(outside.signals, SignalSet::ALL, "{version}");
                    assert_eq!(outside.contract, version);
                }
                ("page-exporter", Err(error)) => {
                    assert!(error.to_string().contains("none of the five"), "{error}");
                }
                (_, examined) => {
                    assert_eq!(examined.unwrap().signals.len(), 1, "{version} {world}")
                }
            }
        }
    }
}

#[tokio::test]
async fn a_component_for_a_later_contract_is_told_what_to_upgrade() {
    let later = Version::new(CONTRACT_VERSION.major, CONTRACT_VERSION.minor + 1, 0);
    let edited = files(&wit()).into_iter().map(|(name, text)| {
        let text = text.replace(&format!("@{CONTRACT_VERSION}"), &format!("@{later}"));
        (name, text)
    });
    let bytes = of_contract(edited, "logs-exporter");
    let error = examine(&engine(None), &bytes).await.unwrap_err();
    let message = error.to_string();
    for part in [
        &later.to_string(),
        &CONTRACT_VERSION.to_string(),
        "upgrade mastra-host",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
