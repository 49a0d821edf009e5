//! Templates: `{{word}}` becomes the word's text, and the lines between one with `{{#flag}}` and one with `{{/flag}}` stay
//! only when the flag is set. The two marks stand in lines of their own, behind what their language begins a comment with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};

/// What a template may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    texts: BTreeMap<&'static str, String>,
    flags: BTreeSet<&'static str>,
}

impl Words {
    /// `{{name}}` stands for the text.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.texts.insert(name, text.to_owned());
    }

    /// `{{#name}}` is taken.
    pub(super) fn flag(&mut self, name: &'static str) {
        self.flags.insert(name);
    }
}

/// The text with all marks resolved.
pub(super) fn render(template: &str, words: &Words) -> anyhow::Result<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut text = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        if let Some(flag) = mark(line, "{{#") {
            open.push(flag);
        } else if let Some(flag) = mark(line, "{{/") {
            ensure!(open.pop() == Some(flag), "{{{{/{flag}}}}} closes nothing");
        } else if open.iter().all(|flag| words.flags.contains(flag)) {
            fill(line, words, &mut text)?;
        }
    }
    if let Some(flag) = open.pop() {
        bail!("{{{{#{flag}}}}} is not closed");
    }
    Ok(text)
}

/// The flag of a line with this kind of mark.
fn mark<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(kind)?;
    rest.split_once("}}").map(|(flag, _)| flag)
}

/// Appends the line with its words filled in. Braces around anything but a lower-case word are the language's own.
fn fill(line: &str, words: &Words, text: &mut String) -> anyhow::Result<()> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let named = after
            .split_once("}}")
            .filter(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()));
        if let Some((name, after)) = named {
            let word = words.texts.get(name);
            text.push_str(word.with_context(|| format!("{{{{{name}}}}} stands for nothing"))?);
            rest = after;
        } else {
            // The second brace may begin a word of its own.
            text.push('{');
            rest = rest.get(before.len() + 1..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let mut words = Words::default();
        words.text("name", "acme");
        words.flag("logs");
        words
    }

    #[test]
    fn words_are_filled_in_and_other_braces_stay() {
        let text = render("{{name}}: f'{{{name}}}' {{Reason: x}} {{}}\n", &words()).unwrap();
        assert_eq!(text, "acme: f'{acme}' {{Reason: x}} {{}}\n");
    }

    #[test]
    fn lines_of_unset_flags_and_the_marks_go() {
        let template =
            "a\n// {{#logs}}\nb\n// {{/logs}}\n# {{#traces}}\nc {{unknown}}\n# {{/traces}}\nd\n";
        assert_eq!(render(template, &words()).unwrap(), "a\nb\nd\n");
    }

    #[test]
    fn a_broken_template_is_refused() {
        for broken in [
            "{{unknown}}",
            "{{#logs}}\n",
            "{{/logs}}\n",
            "{{#logs}}\n{{/traces}}\n",
        ] {
            assert!(render(broken, &words()).is_err(), "{broken}");
        }
    }
}
