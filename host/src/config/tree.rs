//! YAML text to a tree whose nodes know their line and column, with `${env:...}` filled in. Refuses what a config does
//! not need and what hides mistakes: duplicate keys, several documents, tags, merge keys.
//!
//! Called by [`super::load`] alone. Built on the parser's events and not on its ready-made tree, because that one stops
//! at the first duplicate key and loses how a scalar was written.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

use super::env::{Environment, expand};
use super::problem::{Position, Problems};

/// Nodes that aliases may add: far beyond any config, and small enough that nested aliases cannot fill the memory.
const MAX_ALIAS_NODES: usize = 10_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Start of the value.
    pub at: Position,
    /// The value.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text, number, boolean or null: which one is up to the reader who knows what it wants.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Start of the key.
    pub key_at: Position,
    /// The value.
    pub value: Node,
}

/// A scalar as written and as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// As written, for messages: references to the environment are not filled in.
    pub source: String,
    /// With references filled in.
    pub text: String,
    /// Whether it was written without quotes and without references, and so may be a number, a boolean or null.
    pub is_plain: bool,
}

impl Node {
    /// What the node is, in a user's words, with its value where that is short.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) => format!("`{}`", shorten(&scalar.source)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The node as JSON: plain scalars by YAML's core schema, everything else as text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.to_json(),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    fn count(&self) -> usize {
        match &self.kind {
            Kind::Scalar(_) => 1,
            Kind::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Kind::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|entry| entry.value.count())
                    .sum::<usize>()
            }
        }
    }
}

impl Scalar {
    /// Nothing was written, or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.is_plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether plain text means something else than itself in YAML: a number, a boolean, null.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.to_json(), Value::String(_))
    }

    fn to_json(&self) -> Value {
        if !self.is_plain {
            return Value::String(self.text.clone());
        }
        if self.is_null() {
            return Value::Null;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ => {}
        }
        // A leading zero is more often an id than an octal number: it stays text.
        let digits = self.text.trim_start_matches(['-', '+']);
        let has_leading_zero =
            digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if !has_leading_zero && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            if let Ok(number) = self.text.parse::<i64>() {
                return Value::from(number);
            }
            if let Ok(number) = self.text.parse::<u64>() {
                return Value::from(number);
            }
            if let Some(number) = self.text.parse::<f64>().ok().and_then(Number::from_f64) {
                return Value::Number(number);
            }
        }
        Value::String(self.text.clone())
    }
}

/// The first 40 characters, on one line.
fn shorten(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = characters.by_ref().take(40).collect();
    if characters.next().is_some() {
        format!("{short}...")
    } else {
        short
    }
}

/// Reads the one document of `text`. Problems are added to `problems`; what could be read is returned all the same.
/// An empty document is an empty mapping.
#[must_use]
pub fn parse(text: &str, environment: &Environment, problems: &Problems) -> Node {
    let mut builder = Builder {
        environment,
        problems,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        alias_nodes: 0,
        document: None,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                if !builder.accept(event, span) {
                    break;
                }
            }
            Err(error) => {
                let mark = error.marker();
                let at = Position {
                    line: mark.line(),
                    column: mark.col() + 1,
                };
                problems.add_with_fix(
                    at,
                    "",
                    format!("not YAML: {}", error.info()),
                    "check the indentation and quotes here",
                );
                break;
            }
        }
    }
    builder.document.unwrap_or(Node {
        at: Position { line: 1, column: 1 },
        kind: Kind::Map(Vec::new()),
    })
}

/// A collection that is being filled.
struct Open {
    at: Position,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(String, Position)>,
    },
}

struct Builder<'a> {
    environment: &'a Environment,
    problems: &'a Problems,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    alias_nodes: usize,
    document: Option<Node>,
}

impl Builder<'_> {
    /// Whether to go on.
    fn accept(&mut self, event: Event<'_>, span: Span) -> bool {
        let at = position(&span);
        match event {
            Event::DocumentStart(_) if self.document.is_some() => {
                self.problems.add_with_fix(
                    at,
                    "",
                    "a second document",
                    "remove `---` and what follows it",
                );
                return false;
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                let node = self.scalar(&text, style == ScalarStyle::Plain && tag.is_none(), at);
                self.insert(node, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                self.stack.push(Open {
                    at,
                    anchor,
                    content: OpenContent::List(Vec::new()),
                });
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), at);
                self.stack.push(Open {
                    at,
                    anchor,
                    content: OpenContent::Map {
                        entries: Vec::new(),
                        key: None,
                    },
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let kind = match open.content {
                        OpenContent::List(items) => Kind::List(items),
                        OpenContent::Map { entries, .. } => Kind::Map(entries),
                    };
                    self.insert(Node { at: open.at, kind }, open.anchor);
                }
            }
            Event::Alias(anchor) => return self.alias(anchor, at),
        }
        true
    }

    /// Copies the node that the alias stands for; false when aliases have grown too much to go on.
    fn alias(&mut self, anchor: usize, at: Position) -> bool {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.problems
                .add(at, "", "the alias stands inside what it refers to");
            return false;
        };
        self.alias_nodes += node.count();
        if self.alias_nodes > MAX_ALIAS_NODES {
            self.problems.add(
                at,
                "",
                format!("aliases add more than {MAX_ALIAS_NODES} values"),
            );
            return false;
        }
        self.insert(
            Node {
                at,
                kind: node.kind,
            },
            0,
        );
        true
    }

    /// Keys down to the value that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.stack {
            match &open.content {
                OpenContent::List(items) => path.push_str(&format!("[{}]", items.len())),
                OpenContent::Map {
                    key: Some((key, _)),
                    ..
                } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                OpenContent::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn check_tag(&self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.problems.add_with_fix(
                at,
                &self.path(),
                format!("tag `!{}` is not known", tag.suffix),
                "remove the tag",
            );
        }
    }

    fn scalar(&self, source: &str, is_plain: bool, at: Position) -> Node {
        // A mapping that waits for its key takes the text as it is: keys are not expanded.
        let is_key = matches!(
            self.stack.last(),
            Some(Open {
                content: OpenContent::Map { key: None, .. },
                ..
            })
        );
        let expanded = if is_key {
            Ok((source.to_owned(), false))
        } else {
            expand(source, self.environment)
        };
        let (text, has_reference) = expanded.unwrap_or_else(|error| {
            self.problems
                .add_with_fix(at, &self.path(), error.to_string(), error.fix());
            (source.to_owned(), true)
        });
        let is_plain = is_plain && !has_reference;
        Node {
            at,
            kind: Kind::Scalar(Scalar {
                source: source.to_owned(),
                text,
                is_plain,
            }),
        }
    }

    fn insert(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let problems = self.problems;
        let path = self.path();
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => self.document = Some(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map { entries, key }) => match key.take() {
                Some((key, key_at)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        let fix = format!(
                            "it is already on line {}; keep one of the two",
                            first.key_at.line
                        );
                        problems.add_with_fix(key_at, &path, "key written twice", fix);
                    } else {
                        entries.push(Entry {
                            key,
                            key_at,
                            value: node,
                        });
                    }
                }
                None => *key = Some(key_text(node, problems)),
            },
        }
    }
}

fn key_text(node: Node, problems: &Problems) -> (String, Position) {
    match node.kind {
        Kind::Scalar(scalar) => {
            if scalar.text == "<<" {
                problems.add_with_fix(
                    node.at,
                    "",
                    "merge keys are not read",
                    "write the keys themselves",
                );
            }
            (scalar.text, node.at)
        }
        Kind::List(_) | Kind::Map(_) => {
            problems.add(node.at, "", "a key must be text");
            (String::new(), node.at)
        }
    }
}

fn position(span: &Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}
