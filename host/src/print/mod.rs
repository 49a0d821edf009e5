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

use std::fmt;
use std::io::IsTerminal;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle,
};

use crate::config::Environment;
pub(crate) use crate::telemetry::visible::{PAINT, bounded, visible, visible_lines};

/// How text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether escape codes for colours may be used.
    pub color: bool,
    /// Columns of the terminal; `None`: do not wrap.
    pub width: Option<u16>,
}

/// Of a name, a reason or another text in one place, as people see it; JSON has all of it.
const MAX_TEXT_CHARS: usize = 1000;

/// Of one line for people.
const MAX_LINE_CHARS: usize = 8000;

/// A text for people, put together line by line: whatever a line holds stays in it and is visible.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
}

impl Lines {
    /// Adds a line; its end is added here.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        let mut end = line.len();
        if let Some((cut, _)) = line.char_indices().nth(MAX_LINE_CHARS) {
            end = cut;
        }
        let (start, rest) = line.split_at(end);
        let parts: Vec<_> = start.split(PAINT).map(visible).collect();
        self.text
            .push_str(&parts.join(PAINT.encode_utf8(&mut [0; 4])));
        if !rest.is_empty() {
            let missing = rest.chars().count();
            self.text
                .push_str(&format!("… ({missing} more characters)"));
        }
        self.text.push('\n');
    }

    /// Adds lines that are put together already.
    pub(crate) fn append(&mut self, lines: &str) {
        self.text.push_str(lines);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of it.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
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

    /// The text on one line, visible and with an end, in its colour.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return bounded(text, MAX_TEXT_CHARS).into_owned(),
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        let text = bounded(text, MAX_TEXT_CHARS);
        if self.color {
            format!("{PAINT}[{code}m{text}{PAINT}[0m")
        } else {
            text.into_owned()
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
            .map(|title| painted(look, Tone::Strong, Cell::new(title)))
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
    // Cells hold no escape: what there is are the table's own colours.
    let mut text = table
        .trim_fmt()
        .replace('\u{1b}', PAINT.encode_utf8(&mut [0; 4]));
    text.push('\n');
    text
}

/// A cell of one line, visible and with an end.
pub(crate) fn cell(look: Look, tone: Tone, text: &str) -> Cell {
    painted(look, tone, Cell::new(bounded(text, MAX_TEXT_CHARS)))
}

fn painted(look: Look, tone: Tone, cell: Cell) -> Cell {
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

/// A JSON value as one line, in which no character is left that a terminal obeys.
pub(crate) fn line(value: &serde_json::Value) -> String {
    format!("{}\n", visible(&value.to_string()))
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
    fn what_a_line_holds_stays_in_it() {
        let look = Look {
            color: true,
            width: None,
        };
        let mut lines = Lines::default();
        lines.line(format_args!(
            "{} {}",
            look.paint(Tone::Good, "a\nb"),
            "c\nd\u{1b}[2J"
        ));
        lines.line(format_args!("{}", "x".repeat(MAX_LINE_CHARS + 5)));
        let text = lines.into_text();
        let (first, second) = text.split_once('\n').unwrap();
        assert_eq!(first, format!("{PAINT}[32ma\\nb{PAINT}[0m c\\nd\\u001b[2J"));
        assert!(second.ends_with("x… (5 more characters)\n"), "{second}");
    }

    #[test]
    fn a_cell_is_one_line_with_an_end() {
        let look = Look {
            color: true,
            width: None,
        };
        let mut table = table(look, &["a"]);
        table.add_row(vec![cell(look, Tone::Bad, "x\ny\u{1b}[2J")]);
        table.add_row(vec![cell(look, Tone::Plain, &"z".repeat(5000))]);
        let text = finish(&table);
        assert!(text.contains("x\\ny\\u001b[2J"), "{text}");
        assert!(text.contains("z… (4000 more characters)"), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains(PAINT), "{text}");
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
