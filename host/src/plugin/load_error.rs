//! Why a component is not loaded. Written for its author: each message names the export, import or field at fault, what
//! it should be, and how to get there. Whoever prints one puts the file's name in front.

use semver::Version;

use super::outcome::CallError;
use super::typing::TypeDifference;

/// A component cannot be used. Nothing of it has run, except in the last two cases.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not those of a whole component.
    #[error("not a valid component: {reason}; build it again")]
    Damaged {
        /// What is wrong with them.
        reason: String,
    },
    /// The component is damaged inside, or uses what the engine does not know.
    #[error("cannot be compiled: {reason}")]
    Compile {
        /// What the compiler says.
        reason: String,
    },
    /// An interface of the contract, of a version that this host is too old for.
    #[error(
        "`{item}` is of contract {found}, this host speaks {host}: upgrade mastra-host, \
         or build the component against contract {host}"
    )]
    NewerContract {
        /// The import or export.
        item: String,
        /// Its version.
        found: Version,
        /// The host's contract version.
        host: Version,
    },
    /// An interface of the contract, of a version that the host does not speak any more.
    #[error(
        "`{item}` is of contract {found}, this host speaks {host}: build the component against contract {host}"
    )]
    OlderContract {
        /// The import or export.
        item: String,
        /// Its version.
        found: Version,
        /// The host's contract version.
        host: Version,
    },
    /// The component wants something that this host does not offer.
    #[error("the component imports `{import}`, which this host does not offer: {fix}")]
    UnknownImport {
        /// The import.
        import: String,
        /// What to do.
        fix: &'static str,
    },
    /// An import of a name that the host offers with other types.
    #[error(
        "the component imports `{import}` with other types than the host offers: {reason}{}",
        listed(differences)
    )]
    WrongImport {
        /// The import.
        import: String,
        /// What the linker says; empty when the differences say it.
        reason: String,
        /// Where they differ; empty for imports that are not the contract's.
        differences: Vec<TypeDifference>,
    },
    /// An export of a name of the contract with other types.
    #[error(
        "the component exports `{export}` with other types than the contract has:{}",
        listed(differences)
    )]
    WrongExport {
        /// The export.
        export: String,
        /// Where they differ.
        differences: Vec<TypeDifference>,
    },
    /// The required interface is missing.
    #[error(
        "the component does not export `{expected}`, which every exporter must: \
         include one of the contract's worlds, such as `traces-exporter`{}",
        instead(exports)
    )]
    NoLifecycle {
        /// The interface's full name.
        expected: String,
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// None of the five signals is exported.
    #[error(
        "the component exports none of the five signals: export at least one of `traces`, `logs`, `metrics`, \
         `scores`, `feedback` of mastra:observability@{host}{}",
        instead(exports)
    )]
    NoSignal {
        /// The host's contract version.
        host: Version,
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// `describe` gave no answer.
    #[error("the component's `describe` failed")]
    Describe(#[source] CallError),
    /// `describe` gave an answer that cannot be used.
    #[error("the component's `describe` returned a bad `{field}`: {reason}")]
    Description {
        /// The field of `description`.
        field: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

fn instead(exports: &[String]) -> String {
    /// A component may export hundreds.
    const MOST: usize = 10;
    let named = exports.iter().take(MOST).map(|name| format!("`{name}`"));
    let named: Vec<String> = named.collect();
    match exports.len().saturating_sub(MOST) {
        _ if exports.is_empty() => "; it exports nothing".to_owned(),
        0 => format!("; it exports {}", named.join(", ")),
        more => format!("; it exports {} and {more} more", named.join(", ")),
    }
}

fn listed(differences: &[TypeDifference]) -> String {
    differences
        .iter()
        .map(|difference| format!("\n  {difference}"))
        .collect()
}
