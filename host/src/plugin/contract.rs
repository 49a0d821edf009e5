//! What the names of a component's imports and exports say: which are the contract's, of which version, and whether this
//! host speaks it. Called by `statics`, which reads the names, and by `detect`, which checks the types behind them.

use semver::Version;

use super::load_error::LoadError;
use crate::event::Signal;

/// The contract's package.
const PACKAGE: &str = "mastra:observability";
/// The contract version that this host speaks; a test compares it with `wit/`.
pub(super) const CONTRACT_VERSION: Version = Version::new(0, 1, 0);

/// Interfaces of WASI 0.2 that are linked, with nothing granted but what `http` grants.
const WASI_PACKAGES: [&str; 7] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:http",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// The name of an interface of the contract, as a component that is built against it has it.
pub(super) fn full_name(interface: &str) -> String {
    format!("{PACKAGE}/{interface}@{CONTRACT_VERSION}")
}

/// Interface and version, if the name is one of the contract's package.
pub(super) fn of_contract(name: &str) -> Option<(&str, Option<Version>)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    match rest.split_once('@') {
        Some((interface, version)) => Some((interface, Version::parse(version).ok())),
        None => Some((rest, None)),
    }
}

/// Whether the name is the contract's interface in a version that the host speaks.
pub(super) fn speaks(name: &str, interface: &str) -> bool {
    matches!(
        of_contract(name),
        Some((found, Some(version))) if found == interface && is_spoken(&version)
    )
}

/// Checks the name of an import.
pub(super) fn check_import(import: &str) -> Result<(), LoadError> {
    let unknown = |fix| {
        Err(LoadError::UnknownImport {
            import: import.to_owned(),
            fix,
        })
    };
    if let Some((interface, version)) = of_contract(import) {
        check_version(import, version)?;
        return match interface {
            "http" | "log" | "output" | "store" | "types" => Ok(()),
            _ => unknown("upgrade mastra-host if a later contract has it, or leave it out"),
        };
    }
    let (package, version) = import.split_once('@').unwrap_or((import, ""));
    let package = package
        .split_once('/')
        .map_or(package, |(package, _)| package);
    if WASI_PACKAGES.contains(&package) {
        if version.starts_with("0.2.") {
            return Ok(());
        }
        return unknown("this host links WASI 0.2; build for it (Rust: target wasm32-wasip2)");
    }
    match package {
        _ if import.starts_with("wasi:") => {
            unknown("this host links WASI 0.2's cli, clocks, http, io and random only")
        }
        _ => unknown(
            "an exporter may import mastra:observability and WASI 0.2; leave it out or compose it in",
        ),
    }
}

/// The version of `lifecycle` among the exports, if there is one that the host speaks.
///
/// # Errors
/// An interface of the contract is exported only in versions that the host does not speak.
pub(super) fn check_exports(exports: &[String]) -> Result<Option<Version>, LoadError> {
    let mut contract = None;
    let known = Signal::ALL.map(Signal::name);
    for name in exports {
        let Some((interface, version)) = of_contract(name) else {
            continue;
        };
        let matters = known.contains(&interface) || matches!(interface, "lifecycle" | "page");
        // A component may serve several hosts by exporting an interface in several versions.
        if matters && !exports.iter().any(|other| speaks(other, interface)) {
            check_version(name, version)?;
        } else if interface == "lifecycle" && version.as_ref().is_some_and(is_spoken) {
            contract = version;
        }
    }
    Ok(contract)
}

fn is_spoken(version: &Version) -> bool {
    track(version) == track(&CONTRACT_VERSION)
}

/// What semver holds to be compatible: the major version, or the minor one while the major is 0.
fn track(version: &Version) -> (u64, u64) {
    (
        version.major,
        if version.major == 0 { version.minor } else { 0 },
    )
}

fn check_version(item: &str, found: Option<Version>) -> Result<Version, LoadError> {
    // A name without a version is older than any contract.
    let found = found.unwrap_or(Version::new(0, 0, 0));
    let (item, host) = (item.to_owned(), CONTRACT_VERSION);
    match track(&found).cmp(&track(&host)) {
        std::cmp::Ordering::Equal => Ok(found),
        std::cmp::Ordering::Greater => Err(LoadError::NewerContract { item, found, host }),
        std::cmp::Ordering::Less => Err(LoadError::OlderContract { item, found, host }),
    }
}
