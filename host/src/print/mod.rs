//! What people and programs see of results: tables and texts for the one, JSON for the other. Pure functions from plain
//! data to text, so that they are tested to the character; only `compiling` and `progress` draw by themselves.
//!
//! Colour and drawing only on a terminal, and never with `NO_COLOR`. Called by `commands`.

pub mod compiling;
pub mod cursors;
pub mod inspect;
pub mod letters;
pub mod matrix;
pub mod new;
pub mod plugins;
pub mod problems;
pub mod progress;
pub mod report;
pub mod scorecard;
pub mod stored;
pub mod traces;

use std::io::IsTerminal;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle,
};

use crate::config::Environment;

/// How text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether escape codes for colours may be used.
    pub color: bool,
    /// Columns of the terminal; `None`: do not wrap.
    pub width: Option<u16>,
}

/// What a text means, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warning,
    Bad,
}

impl Look {
    /// Of stdout. `NO_COLOR` with any text turns colours off (<https://no-color.org>), as does `TERM=dumb`.
    #[must_use]
    pub fn of_stdout(environment: &Environment) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let width = if is_terminal {
            Table::new().width().filter(|width| *width >= 40)
        } else {
            None
        };
        Self {
            color: is_terminal && allows_color(environment),
            width,
        }
    }

    /// Of stderr.
    #[must_use]
    pub fn of_stderr(environment: &Environment) -> Self {
        Self {
            color: std::io::stderr().is_terminal() && allows_color(environment),
            width: None,
        }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn allows_color(environment: &Environment) -> bool {
    let no_color = environment
        .get("NO_COLOR")
        .is_some_and(|value| !value.is_empty());
    let is_dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
    !no_color && !is_dumb
}

/// Rounded, without lines between columns or rows: two spaces part the columns, so that reports fit 80 columns.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('╭', '─', '─', '╮'))
    .header_lines(ContentLineStyle::none().left('│').right('│'))
    .header_separator(LineStyle::new('├', '─', '─', '┤'))
    .content_lines(ContentLineStyle::none().left('│').right('│'))
    .bottom_border(LineStyle::new('╰', '─', '─', '╯'));

/// An empty table in the house style.
pub(crate) fn table(look: Look, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).force_no_tty();
    match look.width {
        Some(width) => table
            .set_width(width)
            .set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if look.color {
        table.enforce_styling();
    }
    table.set_header(
        header
            .iter()
            .map(|title| cell(look, Tone::Strong, title))
            .collect::<Vec<_>>(),
    );
    let last = header.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, u16::from(index == last)));
    }
    table
}

/// The table's text with a line feed at its end.
pub(crate) fn finish(table: &Table) -> String {
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

pub(crate) fn cell(look: Look, tone: Tone, text: &str) -> Cell {
    let cell = Cell::new(text);
    if !look.color {
        return cell;
    }
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Warning => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
    }
}

/// A number at the right edge; zero is dim whatever the tone.
pub(crate) fn number_cell(look: Look, tone: Tone, number: u64) -> Cell {
    let tone = if number == 0 { Tone::Dim } else { tone };
    cell(look, tone, &thousands(number)).set_alignment(CellAlignment::Right)
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `2,000 events`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// A JSON value as one line.
pub(crate) fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(count(1, "event"), "1 event");
        assert_eq!(count(2_000, "event"), "2,000 events");
    }

    #[test]
    fn no_color_is_respected() {
        assert!(allows_color(&Environment::new()));
        assert!(allows_color(&Environment::from([(
            "NO_COLOR".into(),
            String::new()
        )])));
        assert!(!allows_color(&Environment::from([(
            "NO_COLOR".into(),
            "1".into()
        )])));
        assert!(!allows_color(&Environment::from([(
            "TERM".into(),
            "dumb".into()
        )])));
    }
}
