//! Where attributes go. A mapping names attributes and hands over values as it has them, often as JSON text that came
//! with the record; the sink encodes them. One mapping so serves JSON and protobuf.

use mastra_exporter_sdk::json::JsonText;

/// An attribute's key: a fixed prefix, and a name that may come from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// Plain ASCII.
    pub prefix: &'static str,
    /// As it stands between the quotes of a JSON string: escapes are not resolved.
    pub name: &'a str,
}

impl Key<'static> {
    /// A fixed key.
    #[must_use]
    pub const fn of(key: &'static str) -> Self {
        Self {
            prefix: key,
            name: "",
        }
    }
}

impl<'a> Key<'a> {
    /// A key of the record below a prefix; see [`mastra_exporter_sdk::raw::members`].
    #[must_use]
    pub const fn under(prefix: &'static str, name: &'a str) -> Self {
        Self { prefix, name }
    }
}

/// Takes the attributes of one span, log record or resource.
pub trait Attributes {
    /// Text.
    fn text(&mut self, key: Key<'_>, text: &str);

    /// A JSON value as text: a string's own text, the JSON text of anything else.
    fn json_as_text(&mut self, key: Key<'_>, json: &str);

    /// A JSON value: booleans, numbers and strings as such, arrays and objects as their JSON text; null is left out.
    fn scalar(&mut self, key: Key<'_>, json: &str);

    /// A JSON value with its structure, as OTLP senders wrote it; see the contract's rules for attribute values.
    fn value(&mut self, key: Key<'_>, json: &str);

    /// A count.
    fn integer(&mut self, key: Key<'_>, number: u64);

    /// A number.
    fn float(&mut self, key: Key<'_>, number: f64);

    /// True or false.
    fn boolean(&mut self, key: Key<'_>, value: bool);

    /// Text that is JSON which `write` builds.
    fn built(&mut self, key: Key<'_>, write: impl FnOnce(&mut JsonText));
}

/// A list of texts.
pub fn texts<S: Attributes, T: AsRef<str>>(sink: &mut S, key: Key<'_>, texts: &[T]) {
    let mut list = JsonText::default();
    list.array(texts, |list, text| {
        list.string(text.as_ref());
    });
    sink.value(key, list.as_str());
}
