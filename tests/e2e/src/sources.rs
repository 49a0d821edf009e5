//! Reads the project's own Rust sources for the architecture test: which files there are, and their text without
//! comments, so that prose about a crate is not taken for its use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use kit::paths;

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// From the root of the repository, with slashes.
    pub path: String,
    /// As it is.
    pub text: String,
}

impl Source {
    /// Whether the file holds tests only.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/src/") && self.path.contains("/tests/")
    }

    /// The text without comments, and without what follows the first `#[cfg(test)]`.
    #[must_use]
    pub fn code(&self) -> String {
        let end = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        let lines = self.text.get(..end).unwrap_or_default().lines();
        lines.map(without_comment).collect::<Vec<_>>().join("\n")
    }

    /// Lines before the file's tests.
    #[must_use]
    pub fn line_count(&self) -> usize {
        let end = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default().lines().count()
    }

    /// Whether the code names this identifier (as a whole word).
    #[must_use]
    pub fn names(&self, word: &str) -> bool {
        has_word(&self.code(), word)
    }
}

/// A line up to its comment; the slashes of a URL begin none.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(start, _)| !line.get(..*start).is_some_and(|code| code.ends_with(':')));
    comment
        .and_then(|(start, _)| line.get(..start))
        .unwrap_or(line)
}

/// Whether a text has a word that is not a part of a longer one.
#[must_use]
pub fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text
            .get(start + word.len()..)
            .and_then(|text| text.chars().next());
        !is_part(before) && !is_part(after)
    })
}

/// All Rust files below a folder of the repository, in order of path.
///
/// # Errors
/// When the folder cannot be read or has none.
pub fn below(folder: &str) -> anyhow::Result<Vec<Source>> {
    let mut files = Vec::new();
    walk(&paths::repository().join(folder), &mut files)?;
    ensure!(!files.is_empty(), "{folder} has no Rust files");
    files.sort();
    files.into_iter().map(|path| source(&path)).collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && name != "node_modules" {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let relative = path.strip_prefix(paths::repository()).unwrap_or(path);
    Ok(Source {
        path: relative.to_string_lossy().replace('\\', "/"),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_no_code() {
        let text = "const URL: &str = \"https://vendor\";\nuse a; // reqwest\n//! wasmtime\n#[cfg(test)]\nmod tests {\n use reqwest;\n}\n".to_owned();
        let source = Source {
            path: "a.rs".to_owned(),
            text,
        };
        assert!(
            source.names("a")
                && source.names("vendor")
                && !source.names("reqwest")
                && !source.names("wasmtime")
        );
        assert_eq!(source.line_count(), 3);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use std::time;", "time"));
        assert!(!has_word("runtime times time_ms", "time"));
    }
}
