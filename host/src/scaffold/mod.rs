//! A new exporter's project as files: a template of its language, the contract, and what the language needs beside it.
//! Everything is part of the binary. Pure: names and contents in, files out.
//!
//! Called by `commands::new`.

mod bindings;
mod template;
mod workspace;

use std::collections::BTreeMap;
use std::fmt;

use crate::event::Signal;
use template::Words;

/// A path inside its folder, with slashes, and the text.
type File = (&'static str, &'static str);

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Where the contract lies in a project.
const CONTRACT_FOLDER: &str = "wit/deps/mastra-observability";

/// What exporters can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lower")]
#[expect(missing_docs, reason = "the languages, by name")]
pub enum Language {
    Rust,
    Js,
    Python,
    Go,
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Js, Self::Python, Self::Go, Self::C];

    /// As on the command line; also the folder of its template.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of an exporter: kebab case, as the contract wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Longest name.
    const MAX_CHARS: usize = 64;

    /// Checks it: words of lower-case letters and digits, each beginning with a letter, joined by single hyphens.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_kebab(text) {
            return Ok(Self(text.to_owned()));
        }
        let meant = likely_name(text);
        Err(format!(
            "use words of lower-case letters and digits, each beginning with a letter, joined by `-`, at most {} \
             characters, such as `{}`",
            Self::MAX_CHARS,
            if is_kebab(&meant) {
                &meant
            } else {
                "acme-board"
            },
        ))
    }

    /// `acme-board`
    #[must_use]
    pub fn kebab(&self) -> &str {
        &self.0
    }

    /// `acme_board`
    fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// `AcmeBoard`
    fn pascal(&self) -> String {
        let capital = |word: &str| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        };
        self.0.split('-').map(capital).collect()
    }
}

fn is_kebab(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.len() <= Name::MAX_CHARS && text.split('-').all(is_word)
}

/// What a person may have meant by `Acme_Board 2`: `acme-board2`. Not always a name.
fn likely_name(text: &str) -> String {
    let mut name = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if !name.is_empty() && word.starts_with(|first: char| first.is_ascii_alphabetic()) {
            name.push('-');
        }
        name.push_str(&word.to_ascii_lowercase());
    }
    name
}

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Project {
    /// Of the exporter and its folder.
    pub name: Name,
    /// Of the author's code.
    pub language: Language,
    /// What the component will export, in the order of [`Signal::ALL`].
    pub signals: Vec<Signal>,
}

/// The files of a project by path, with slashes.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Project {
    /// All files.
    ///
    /// # Errors
    /// A template or the contract of this build is broken.
    pub fn files(&self) -> anyhow::Result<Files> {
        let words = self.words();
        let mut files = Files::new();
        for folder in ["common", self.language.name()] {
            for (path, text) in TEMPLATES {
                let Some(path) = path.strip_prefix(folder).and_then(|p| p.strip_prefix('/')) else {
                    continue;
                };
                let text = template::render(text, &words)?;
                // A file whose parts were all for other signals.
                if !text.is_empty() {
                    let path = path.strip_suffix(".in").unwrap_or(path);
                    files.insert(path.to_owned(), text.into_bytes());
                }
            }
        }
        // Releases lie in folders of their own.
        let current = |path: &str| !path.contains('/') && is_wit(path);
        for (path, text) in CONTRACT.iter().filter(|(path, _)| current(path)) {
            files.insert(format!("{CONTRACT_FOLDER}/{path}"), (*text).into());
        }
        match self.language {
            Language::Rust => files.extend(workspace::files(SDK)),
            Language::C | Language::Go => {
                let generated = bindings::generate(self, &files)?;
                files.extend(generated);
            }
            Language::Js | Language::Python => {}
        }
        Ok(files)
    }

    fn words(&self) -> Words {
        let signals: Vec<&str> = self.signals.iter().map(|signal| signal.name()).collect();
        let mut words = Words::default();
        words.flag(self.language.name());
        for signal in &signals {
            words.flag(signal);
        }
        words.text("name", self.name.kebab());
        words.text("snake", &self.name.snake());
        words.text("upper", &self.name.snake().to_uppercase());
        words.text("pascal", &self.name.pascal());
        words.text("signals", &signals.join(", "));
        words.text("workspace", &workspace::tables());
        words
    }
}

fn is_wit(path: &str) -> bool {
    path.ends_with(".wit") && !path.contains('/')
}

#[cfg(test)]
mod tests;
