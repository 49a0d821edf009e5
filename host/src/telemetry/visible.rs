//! Text of others made visible: what came from an event, a backend, a component, a client or a file name may hold
//! characters that a terminal obeys, or that hide or reorder what stands beside them. They are shown as escapes.
//!
//! The escapes are those of JSON (`\n`, `\u001b`), so a JSON text that goes through [`visible`] keeps its meaning. Two
//! borders use them: [`Screen`] in front of stdout and stderr, and the log's writer. So a place that forgets to call
//! [`visible`] can at worst break a line of its own output.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Stands for the escape character in text that this program paints itself. A noncharacter: Unicode keeps it for use
/// inside a process, so text of others that holds it is escaped like a control character.
pub(crate) const PAINT: char = '\u{fdd0}';

/// The text on one line, with every character shown that a terminal would obey or hide.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |c| c.is_control() || is_hidden(c))
}

/// The same for text of several lines: line feeds and tabs stay.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escape(text, needs_escape_on_screen)
}

/// [`visible`] text of at most `max_chars` characters; longer text says how much of it is missing.
#[must_use]
pub fn bounded(text: &str, max_chars: usize) -> Cow<'_, str> {
    let Some((cut, _)) = text.char_indices().nth(max_chars) else {
        return visible(text);
    };
    let (start, rest) = text.split_at(cut);
    let missing = rest.chars().count();
    Cow::Owned(format!("{}… ({missing} more characters)", visible(start)))
}

fn needs_escape_on_screen(c: char) -> bool {
    !matches!(c, '\n' | '\t') && (c.is_control() || is_hidden(c))
}

/// Characters without a shape of their own: they reorder text, join or hide it, break lines, or tag it.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn escape(text: &str, needs_escape: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&needs_escape) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(first);
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(clean);
    for c in rest.chars() {
        if needs_escape(c) {
            push_escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn push_escape(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
}

/// A stream that people may read on a terminal: lets line feeds, tabs and this program's own colours through, and shows
/// everything else that a terminal would obey.
#[derive(Debug)]
pub struct Screen<W> {
    stream: W,
    has_color: bool,
}

impl<W: Write> Screen<W> {
    /// Without `has_color` there are no colours to let through.
    #[must_use]
    pub const fn new(stream: W, has_color: bool) -> Self {
        Self { stream, has_color }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(bytes);
        if !self.has_color {
            return self.stream.write_all(visible_lines(&text).as_bytes());
        }
        let mut parts = text.split(PAINT);
        let mut shown = visible_lines(parts.next().unwrap_or_default()).into_owned();
        for part in parts {
            let is_color = part.strip_prefix('[').is_some_and(|rest| {
                rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                    .starts_with('m')
            });
            if is_color {
                shown.push('\u{1b}');
            } else {
                push_escape(&mut shown, PAINT);
            }
            shown.push_str(&visible_lines(part));
        }
        self.stream.write_all(shown.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_screen(text: &str, has_color: bool) -> String {
        let mut shown = Vec::new();
        Screen::new(&mut shown, has_color)
            .write_all(text.as_bytes())
            .unwrap();
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (text, shown) in [
            ("\u{1b}]0;owned\u{7}", "\\u001b]0;owned\\u0007"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{7f}\u{9b}2J", "\\u007f\\u009b2J"),
            ("\u{202e}abc\u{2066}", "\\u202eabc\\u2066"),
            ("a\u{200b}b\u{feff}", "a\\u200bb\\ufeff"),
            ("a\u{2028}b\u{2029}", "a\\u2028b\\u2029"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("Grüße, 日本 ✔ 👍", "Grüße, 日本 ✔ 👍"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"k\u{7f}": "a\u{1b}\u{9b}\u{202e}\u{e0041}\n\\ \" é"});
        let shown = visible(&value.to_string()).into_owned();
        assert!(shown.chars().all(|c| !c.is_control() && !is_hidden(c)));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }

    #[test]
    fn long_text_says_what_is_missing() {
        assert_eq!(bounded("abcdef", 6), "abcdef");
        assert_eq!(bounded("ab\u{1b}def", 3), "ab\\u001b… (3 more characters)");
    }

    #[test]
    fn a_screen_lets_lines_and_its_own_colours_through() {
        let own = format!("{PAINT}[32mfine{PAINT}[0m\n\tand more\n");
        assert_eq!(
            on_screen(&own, true),
            "\u{1b}[32mfine\u{1b}[0m\n\tand more\n"
        );
        assert_eq!(on_screen("\u{1b}[32mforged", true), "\\u001b[32mforged");
        assert_eq!(on_screen("\u{1b}[32mforged", false), "\\u001b[32mforged");
        assert_eq!(
            on_screen(&format!("{PAINT}[2J{PAINT}]0;x"), true),
            "\\ufdd0[2J\\ufdd0]0;x",
            "colours and nothing else"
        );
        assert_eq!(on_screen(&format!("{PAINT}[32m"), false), "\\ufdd0[32m");
    }

    #[test]
    fn a_screen_takes_bytes_that_are_no_text() {
        let mut shown = Vec::new();
        Screen::new(&mut shown, false)
            .write_all(b"a\xff\x9bb")
            .unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "a\u{fffd}\u{fffd}b");
    }
}
