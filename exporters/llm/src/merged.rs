//! One JSON object made of several: a later layer's member replaces an earlier one of the same key, in its place.

use std::borrow::Cow;

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::raw::{Kind, kind, members};

/// An object under construction. Keys are compared as they are spelled in the JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged<'a> {
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Merged<'a> {
    /// Adds the members of an object; `None` and values of other kinds have none.
    pub fn layer(&mut self, object: Option<&'a String>) -> &mut Self {
        for (key, value) in members(object.map_or("", String::as_str)) {
            self.raw(key, value);
        }
        self
    }

    /// Sets a member to JSON text.
    pub fn raw(
        &mut self,
        key: impl Into<Cow<'a, str>>,
        json: impl Into<Cow<'a, str>>,
    ) -> &mut Self {
        let (key, json) = (key.into(), json.into());
        match self.members.iter_mut().find(|(known, _)| *known == key) {
            Some((_, value)) => *value = json,
            None => self.members.push((key, json)),
        }
        self
    }

    /// Sets a member to a string.
    pub fn text(&mut self, key: &'static str, value: &str) -> &mut Self {
        let mut json = JsonText::with_capacity(value.len() + 2);
        json.string(value);
        self.raw(key, json.into_string())
    }

    /// Sets a member to a string, if there is one.
    pub fn text_if(&mut self, key: &'static str, value: Option<&String>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    /// The JSON text of a member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.members.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_ref())
    }

    /// Takes a member away.
    pub fn remove(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let at = self.members.iter().position(|(known, _)| known == key)?;
        Some(self.members.remove(at).1)
    }

    /// Takes the members that are null away.
    pub fn without_nulls(&mut self) -> &mut Self {
        self.members.retain(|(_, value)| kind(value) != Kind::Null);
        self
    }

    /// Whether it has no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.members.iter();
        pairs.map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        for (key, value) in &self.members {
            object.raw(key, value);
        }
        object.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_members_replace_earlier_ones_in_place() {
        let (first, second) = (
            r#"{"a":1,"b":null,"c":"x"}"#.to_owned(),
            r#"{"c":"y","d":[1]}"#.to_owned(),
        );
        let mut merged = Merged::default();
        merged.layer(Some(&first)).layer(Some(&second)).layer(None);
        merged.text("e", "q\"").without_nulls();
        assert_eq!(merged.remove("d").as_deref(), Some("[1]"));
        let mut text = JsonText::default();
        merged.write(&mut text);
        assert_eq!(text.as_str(), r#"{"a":1,"c":"y","e":"q\""}"#);
        assert_eq!((merged.get("c"), merged.get("b")), (Some("\"y\""), None));
    }
}
