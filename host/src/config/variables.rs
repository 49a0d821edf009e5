//! Which environment variables may fill a component's settings, and on whose word. Pure: the caller says what the
//! component declares (`x-env`) and which other components it knows.
//!
//! - The variables of an embedded component are built in.
//! - Any other component owns the variables that begin with its name, such as `ACME_BOARD_` for `acme-board`. Whoever
//!   names the component (`--plugin`, a config entry, `discovery: all`) approves these and no others.
//! - Every other variable needs `plugin approve --env NAME`, or `${env:NAME}` in the config.
//!
//! A name is chosen by the component, so it owns nothing where its prefix is somebody else's:
//! - a name of an embedded component, or one that begins with such a name and `-`, because `langfuse-secret` would own
//!   `LANGFUSE_SECRET_KEY`;
//! - a name whose first word is [`TAKEN`], because its variables belong to the system or to other programs;
//! - a name whose first word has fewer than four letters, such as `ld`, `gh` or `aws`.
//!
//! Even under its own prefix a component does not own a variable that another known component declares, or that begins
//! with the longer name of another known component. Known are embedded components and those that the operator trusts,
//! so that a file that merely appears takes nothing away.

use std::fmt;

/// First words that are no component's own: what systems, clouds, tools and apps call their variables. Words of fewer
/// than [`LEAST_LETTERS`] letters need no entry.
const TAKEN: [&str; 109] = [
    // The system, shells and languages.
    "bash",
    "cargo",
    "conda",
    "dbus",
    "editor",
    "gradle",
    "home",
    "homebrew",
    "host",
    "hostname",
    "http",
    "https",
    "java",
    "lang",
    "library",
    "locale",
    "mail",
    "maven",
    "node",
    "path",
    "perl",
    "pnpm",
    "proxy",
    "python",
    "ruby",
    "rust",
    "shell",
    "systemd",
    "temp",
    "term",
    "user",
    "virtual",
    "yarn",
    // Clouds, platforms and what runs things.
    "aliyun",
    "alibaba",
    "azure",
    "bitbucket",
    "buildkite",
    "cloudflare",
    "consul",
    "digitalocean",
    "docker",
    "gcloud",
    "github",
    "gitlab",
    "google",
    "helm",
    "heroku",
    "jenkins",
    "kube",
    "kubernetes",
    "netlify",
    "nomad",
    "oracle",
    "podman",
    "railway",
    "render",
    "slack",
    "supabase",
    "terraform",
    "travis",
    "twilio",
    "vault",
    "vercel",
    // Models and what serves them.
    "anthropic",
    "bedrock",
    "claude",
    "cohere",
    "deepseek",
    "fireworks",
    "gemini",
    "groq",
    "hugging",
    "huggingface",
    "mistral",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "pinecone",
    "replicate",
    "together",
    "vertex",
    "voyage",
    // What apps call their own.
    "admin",
    "auth",
    "client",
    "cookie",
    "credential",
    "credentials",
    "database",
    "email",
    "encryption",
    "mongo",
    "mongodb",
    "mysql",
    "next",
    "nextauth",
    "postgres",
    "postgresql",
    "private",
    "redis",
    "secret",
    "service",
    "session",
    "smtp",
    "stripe",
    "token",
    "mastra",
];

/// A first word with fewer letters is taken.
const LEAST_LETTERS: usize = 4;

/// What one component declares.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The component's name.
    pub component: &'a str,
    /// The variables that its settings declare.
    pub variables: &'a [String],
}

/// On whose word a variable may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// The component is embedded, and its variables are trusted with the binary.
    BuiltIn,
    /// The variable begins with the component's name: naming the component approves it.
    OwnPrefix,
    /// The operator has to approve the variable by its name.
    ByName,
}

/// A declared variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// On whose word it may be read.
    pub consent: Consent,
    /// What the operator should know before approving it. Empty unless [`Consent::ByName`].
    pub warnings: Vec<Warning>,
}

/// What speaks against approving a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Another component declares it.
    DeclaredBy(String),
    /// It begins with the name of another component.
    PrefixOf(String),
    /// Its name says that it is a credential.
    Credential,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeclaredBy(component) => write!(f, "the component `{component}` reads it, too"),
            Self::PrefixOf(component) => {
                write!(f, "its name is one of the component `{component}`")
            }
            Self::Credential => f.write_str("it is named like a credential"),
        }
    }
}

/// Why a component owns no variables by its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrefix {
    /// An embedded component has this name.
    #[error("`{0}` is the name of a component that this host embeds, and this is another file")]
    NameOfOurs(String),
    /// The name begins with that of an embedded component.
    #[error("variables with this name belong to the embedded component `{0}`")]
    InsideOurs(String),
    /// The first word is taken.
    #[error("variables that begin with `{0}_` belong to the system or to other programs")]
    Taken(String),
}

/// Sorts the variables of a component by the consent that they need, in the order of its declaration.
///
/// `is_embedded` says whether the component's digest is that of an embedded one: a name proves nothing. `embedded` are
/// the claims of all embedded components, `trusted` those of the other components that the operator named or approved.
/// Claims of the component itself may be among them.
#[must_use]
pub fn classify(
    claim: Claim<'_>,
    is_embedded: bool,
    embedded: &[Claim<'_>],
    trusted: &[Claim<'_>],
) -> Vec<Variable> {
    let prefix = own_prefix(claim.component, embedded).ok();
    // An embedded component of the same name is another one: this one is not embedded.
    let is_other = |other: &&Claim<'_>| other.component != claim.component;
    let others: Vec<Claim<'_>> = embedded
        .iter()
        .chain(trusted.iter().filter(is_other))
        .copied()
        .collect();
    let variable = |name: &String| {
        let mut warnings = warnings(name, &others);
        let consent = match &prefix {
            _ if is_embedded => Consent::BuiltIn,
            Some(prefix) if owns(prefix, name, &others) => Consent::OwnPrefix,
            _ => Consent::ByName,
        };
        if consent != Consent::ByName {
            warnings.clear();
        }
        Variable {
            name: name.clone(),
            consent,
            warnings,
        }
    };
    claim.variables.iter().map(variable).collect()
}

/// Returns what the component's own variables begin with, such as `ACME_BOARD_`.
///
/// # Errors
/// Returns why a component of this name that is not embedded owns none.
pub fn own_prefix(component: &str, embedded: &[Claim<'_>]) -> Result<String, NoPrefix> {
    let prefix = prefix_of(component);
    for ours in embedded.iter().map(|claim| claim.component) {
        if ours == component {
            return Err(NoPrefix::NameOfOurs(ours.to_owned()));
        }
        if prefix.starts_with(&prefix_of(ours)) {
            return Err(NoPrefix::InsideOurs(ours.to_owned()));
        }
    }
    let first = component.split('-').next().unwrap_or(component);
    if first.len() < LEAST_LETTERS || TAKEN.contains(&first) {
        return Err(NoPrefix::Taken(first.to_ascii_uppercase()));
    }
    Ok(prefix)
}

/// Returns what the operator should know before approving this variable for a component, given the other components.
#[must_use]
pub fn warnings(variable: &str, others: &[Claim<'_>]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for other in others {
        if declares(other, variable) {
            warnings.push(Warning::DeclaredBy(other.component.to_owned()));
        } else if begins_with(variable, &prefix_of(other.component)) {
            warnings.push(Warning::PrefixOf(other.component.to_owned()));
        }
    }
    if is_credential(variable) {
        warnings.push(Warning::Credential);
    }
    warnings
}

fn owns(prefix: &str, variable: &str, others: &[Claim<'_>]) -> bool {
    begins_with(variable, prefix)
        && !others.iter().any(|other| {
            let theirs = prefix_of(other.component);
            declares(other, variable)
                || (theirs.len() > prefix.len() && begins_with(variable, &theirs))
        })
}

fn declares(claim: &Claim<'_>, variable: &str) -> bool {
    let mut declared = claim.variables.iter();
    declared.any(|name| name.eq_ignore_ascii_case(variable))
}

/// Whether something follows the prefix.
fn begins_with(variable: &str, prefix: &str) -> bool {
    variable.len() > prefix.len() && variable.starts_with(prefix)
}

fn prefix_of(component: &str) -> String {
    let mut prefix = component.replace('-', "_").to_ascii_uppercase();
    prefix.push('_');
    prefix
}

/// Whether the name says that the value is a credential.
fn is_credential(variable: &str) -> bool {
    const ANYWHERE: [&str; 10] = [
        "SECRET",
        "SECRETS",
        "TOKEN",
        "TOKENS",
        "PASSWORD",
        "PASSWORDS",
        "PASSWD",
        "PASSPHRASE",
        "CREDENTIAL",
        "CREDENTIALS",
    ];
    const AT_THE_END: [&str; 8] = ["KEY", "KEYS", "APIKEY", "PASS", "PWD", "PAT", "AUTH", "DSN"];
    let name = variable.to_ascii_uppercase();
    let mut words = name.split('_');
    let last = words.clone().next_back().unwrap_or_default();
    words.any(|word| ANYWHERE.contains(&word)) || AT_THE_END.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Variables of a component that is not embedded, beside embedded `langfuse`, `arize` and `grafana-cloud`, and a
    /// trusted `acme-board`.
    fn sorted(component: &str, variables: &[&str]) -> Vec<Variable> {
        let langfuse = names(&["LANGFUSE_PUBLIC_KEY", "OTEL_SERVICE_NAME"]);
        let arize = names(&["PHOENIX_API_KEY", "PHOENIX_ENDPOINT"]);
        let grafana = names(&["GRAFANA_CLOUD_TOKEN"]);
        let board = names(&["ACME_BOARD_TOKEN", "ACME_SHARED"]);
        let claim = |component, variables| Claim {
            component,
            variables,
        };
        let embedded = [
            claim("langfuse", &langfuse[..]),
            claim("arize", &arize),
            claim("grafana-cloud", &grafana),
        ];
        let trusted = [claim("acme-board", &board[..])];
        classify(
            claim(component, &names(variables)),
            false,
            &embedded,
            &trusted,
        )
    }

    fn own(component: &str, variables: &[&str]) -> Vec<String> {
        let sorted = sorted(component, variables).into_iter();
        sorted
            .filter(|variable| variable.consent == Consent::OwnPrefix)
            .map(|variable| variable.name)
            .collect()
    }

    #[test]
    fn a_component_owns_what_begins_with_its_name() {
        let declared = [
            "ACME_CHARTS_TOKEN",
            "ACME_CHARTS_URL",
            "ACME_CHARTS_",
            "ACME_CHARTSX",
            "acme_charts_url",
            "ACME_TOKEN",
            "MY_ACME_CHARTS_TOKEN",
        ];
        assert_eq!(
            own("acme-charts", &declared),
            ["ACME_CHARTS_TOKEN", "ACME_CHARTS_URL"]
        );
    }

    #[test]
    fn an_embedded_component_has_its_variables_built_in() {
        let declared = names(&["LANGFUSE_PUBLIC_KEY", "OTEL_SERVICE_NAME"]);
        let claim = Claim {
            component: "langfuse",
            variables: &declared,
        };
        let sorted = classify(claim, true, &[claim], &[]);
        assert!(sorted.iter().all(|variable| {
            variable.consent == Consent::BuiltIn && variable.warnings.is_empty()
        }));
    }

    #[test]
    fn another_file_with_the_name_of_an_embedded_one_owns_nothing() {
        assert!(own("langfuse", &["LANGFUSE_PUBLIC_KEY", "LANGFUSE_NEW"]).is_empty());
        let [variable] = &sorted("langfuse", &["LANGFUSE_PUBLIC_KEY"])[..] else {
            panic!("one variable")
        };
        let declared = Warning::DeclaredBy("langfuse".to_owned());
        assert_eq!(variable.warnings, [declared, Warning::Credential]);
    }

    #[test]
    fn a_name_inside_an_embedded_ones_owns_nothing() {
        assert!(own("langfuse-public", &["LANGFUSE_PUBLIC_KEY"]).is_empty());
        assert!(own("langfuse-encryption", &["LANGFUSE_ENCRYPTION_KEY"]).is_empty());
        assert!(own("grafana-cloud-x", &["GRAFANA_CLOUD_X_TOKEN"]).is_empty());
    }

    #[test]
    fn a_prefix_that_reaches_into_others_variables_does_not_take_them() {
        assert_eq!(
            own("phoenix", &["PHOENIX_API_KEY", "PHOENIX_COLOUR"]),
            ["PHOENIX_COLOUR"]
        );
        let declared = ["GRAFANA_CLOUD_TOKEN", "GRAFANA_CLOUD_NEW", "GRAFANA_ORG"];
        assert_eq!(own("grafana", &declared), ["GRAFANA_ORG"]);
        let declared = [
            "ACME_BOARD_TOKEN",
            "ACME_BOARD_NEW",
            "ACME_SHARED",
            "ACME_URL",
        ];
        assert_eq!(own("acme", &declared), ["ACME_URL"]);
    }

    #[test]
    fn a_trusted_component_does_not_stand_in_its_own_way() {
        assert_eq!(
            own("acme-board", &["ACME_BOARD_TOKEN", "ACME_SHARED"]),
            ["ACME_BOARD_TOKEN"]
        );
    }

    #[test]
    fn words_of_the_system_and_of_other_programs_are_nobodys_prefix() {
        for (name, variable) in [
            ("aws", "AWS_SECRET_ACCESS_KEY"),
            ("aws-secret", "AWS_SECRET_ACCESS_KEY"),
            ("github", "GITHUB_TOKEN"),
            ("node", "NODE_AUTH_TOKEN"),
            ("mastra", "MASTRA_PLATFORM_ACCESS_TOKEN"),
            ("mastra-cloud", "MASTRA_CLOUD_ACCESS_TOKEN"),
            ("ld", "LD_LIBRARY_PATH"),
            ("x", "X_TOKEN"),
            ("database", "DATABASE_URL"),
            ("openai", "OPENAI_API_KEY"),
        ] {
            assert!(own(name, &[variable]).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_not_ones_own_says_what_speaks_against_it() {
        let sorted = sorted(
            "evil",
            &["AWS_SECRET_ACCESS_KEY", "GRAFANA_CLOUD_URL", "COLOUR"],
        );
        let warnings: Vec<_> = sorted
            .iter()
            .map(|variable| &variable.warnings[..])
            .collect();
        let grafana = Warning::PrefixOf("grafana-cloud".to_owned());
        assert_eq!(warnings, [&[Warning::Credential][..], &[grafana], &[]]);
        assert!(
            sorted
                .iter()
                .all(|variable| variable.consent == Consent::ByName)
        );
    }

    #[test]
    fn credentials_are_known_by_their_names() {
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "PGPASSWORD_FILE_PASSWORD",
            "SECRET_KEY_BASE",
            "api_key",
            "TOKEN",
            "SENTRY_DSN",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "KEYBOARD",
            "OTEL_SERVICE_NAME",
            "MONKEY",
            "TOKENIZERS_PARALLELISM",
            "",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn the_list_of_taken_words_has_no_entry_twice_and_none_that_is_too_short() {
        let mut words = TAKEN.to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), TAKEN.len());
        let short: Vec<_> = words
            .iter()
            .filter(|word| word.len() < LEAST_LETTERS)
            .collect();
        assert!(short.is_empty(), "{short:?}");
    }
}
