//! Cuts the records out of a JSON array without a copy. Checking a record and finding its end are one pass: the
//! record's reader runs at the record's start and says how far it got. Only when it fails is the end looked for by
//! brackets alone, so that a bad record costs only itself. What cannot be cut any more is handed out as the rest.
//! Called by `platform` and `events`.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::decode::utf8;
use crate::event::fields::FieldError;

/// Walks over the elements of one array of a body.
pub(super) struct Cutter<'b> {
    body: &'b [u8],
    /// The body as text, when all of it is UTF-8. Otherwise each record is checked by itself.
    text: Option<&'b str>,
    position: usize,
    state: State,
    /// The array's key, when it is a member of an object that must end too.
    key: Option<&'b str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeFirst,
    AfterElement,
    Closed,
}

/// One piece of the array.
#[derive(Debug)]
pub(super) enum Piece<'b, T> {
    /// A record, with its text.
    Good(&'b str, T),
    /// A record that is refused; the next one can be read.
    Bad(&'b [u8], FieldError),
    /// Where the rest begins is no record and no end: nothing after it can be read.
    Rest(&'b [u8], FieldError),
}

/// Result of reading a record at the front of a text: its length in bytes, leading white space included, and what it
/// is or which field is wrong; or, when its end was not found, why.
pub(super) type Front<T> = Result<(Result<T, FieldError>, usize), FieldError>;

impl<'b> Cutter<'b> {
    /// The body is an array.
    pub(super) fn of_array(body: &'b [u8]) -> Result<Self, FieldError> {
        let mut cutter = Self::new(body, None);
        if !cutter.eat(b'[') {
            return Err(cutter.error("", "must be a JSON array"));
        }
        Ok(cutter)
    }

    /// The body is an object with the array under this key. Other members are passed over.
    pub(super) fn of_member(body: &'b [u8], key: &'b str) -> Result<Self, FieldError> {
        let mut cutter = Self::new(body, Some(key));
        let shape =
            format!("must be a JSON object with the records in an array: {{\"{key}\":[...]}}");
        if !cutter.eat(b'{') {
            return Err(cutter.error("", shape));
        }
        loop {
            let found: String = cutter.value().ok_or_else(|| cutter.error("", &*shape))?;
            if !cutter.eat(b':') {
                return Err(cutter.error("", &*shape));
            }
            if found == key {
                return if cutter.eat(b'[') {
                    Ok(cutter)
                } else {
                    Err(cutter.error(key, "must be a JSON array"))
                };
            }
            if cutter.value::<IgnoredAny>().is_none() || !cutter.eat(b',') {
                return Err(cutter.error("", &*shape));
            }
        }
    }

    fn new(body: &'b [u8], key: Option<&'b str>) -> Self {
        Self {
            body,
            text: utf8(body).ok(),
            position: 0,
            state: State::BeforeFirst,
            key,
        }
    }

    /// The next piece; `None` after the end and after the rest.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(&'b str) -> Front<T>,
    ) -> Option<Piece<'b, T>> {
        self.skip_space();
        let needs_comma = match self.state {
            State::Closed => return None,
            State::BeforeFirst => false,
            State::AfterElement => true,
        };
        if self.eat(b']') {
            return self.close();
        }
        if needs_comma && !self.eat(b',') {
            return Some(self.rest("must be followed by `,` or `]`"));
        }
        self.skip_space();
        self.state = State::AfterElement;
        Some(self.element(read))
    }

    fn element<T>(&mut self, read: impl FnOnce(&'b str) -> Front<T>) -> Piece<'b, T> {
        let start = self.position;
        let error = match self.text.and_then(|text| text.get(start..)) {
            Some(text) => match read(text) {
                Ok((result, length)) => {
                    self.position += length;
                    let own = text.get(..length).unwrap_or(text);
                    return match result {
                        Ok(value) => Piece::Good(own, value),
                        Err(error) => Piece::Bad(own.as_bytes(), error),
                    };
                }
                Err(error) => error,
            },
            None => return self.element_by_brackets(read),
        };
        match self.end_by_brackets() {
            Some(end) => Piece::Bad(self.take_until(end), error),
            None => self.rest(error.reason),
        }
    }

    /// In a body that is not UTF-8 throughout, the end is found first, and the record must be UTF-8 up to there.
    fn element_by_brackets<T>(&mut self, read: impl FnOnce(&'b str) -> Front<T>) -> Piece<'b, T> {
        let Some(end) = self.end_by_brackets() else {
            return self.rest("must be complete JSON in UTF-8");
        };
        let own = self.take_until(end);
        let text = match utf8(own) {
            Ok(text) => text,
            Err(error) => return Piece::Bad(own, error),
        };
        match read(text) {
            Ok((Ok(value), length)) if length == text.len() => Piece::Good(text, value),
            Ok((Ok(_), _)) => Piece::Bad(own, FieldError::new("", text, "must be one JSON object")),
            Ok((Err(error), _)) | Err(error) => Piece::Bad(own, error),
        }
    }

    fn take_until(&mut self, end: usize) -> &'b [u8] {
        let piece = self.body.get(self.position..end).unwrap_or_default();
        self.position = end;
        piece
    }

    /// Where the element that starts here ends, by brackets and strings alone. `None` when the body ends before.
    fn end_by_brackets(&self) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (offset, byte) in self.body.get(self.position..)?.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b',' | b'}' | b']' if depth == 0 => return Some(self.position + offset),
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(self.position + offset + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// After the array: the object's other members, its brace, and nothing more.
    fn close<T>(&mut self) -> Option<Piece<'b, T>> {
        self.state = State::Closed;
        while self.key.is_some() && !self.eat(b'}') {
            // The array's own key once more: its records must not be passed over in silence.
            let is_other_member = self.eat(b',')
                && self
                    .value::<String>()
                    .is_some_and(|found| self.key != Some(&*found))
                && self.eat(b':')
                && self.value::<IgnoredAny>().is_some();
            if !is_other_member {
                return Some(self.rest("must be followed by `}`"));
            }
        }
        self.skip_space();
        if self.position < self.body.len() {
            Some(self.rest("must be the end of the body"))
        } else {
            None
        }
    }

    fn rest<T>(&mut self, reason: impl Into<String>) -> Piece<'b, T> {
        self.state = State::Closed;
        let error = self.error("", reason);
        Piece::Rest(self.take_until(self.body.len()), error)
    }

    fn error(&self, field: &str, reason: impl Into<String>) -> FieldError {
        let rest = self.body.get(self.position..).unwrap_or_default();
        // Enough for an excerpt, whatever the length of the characters.
        let head = String::from_utf8_lossy(rest.get(..400).unwrap_or(rest));
        FieldError::new(
            field,
            if head.is_empty() {
                "the end of the body"
            } else {
                &head
            },
            reason,
        )
    }

    fn skip_space(&mut self) {
        let rest = self.body.get(self.position..).unwrap_or_default();
        let spaces = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
            .count();
        self.position += spaces;
    }

    fn eat(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let is_it = self.body.get(self.position) == Some(&wanted);
        self.position += usize::from(is_it);
        is_it
    }

    /// A JSON value that is not a record. Stays in place when there is none.
    fn value<T: Deserialize<'b>>(&mut self) -> Option<T> {
        let rest = self.body.get(self.position..)?;
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
        let value = stream.next()?.ok()?;
        self.position += stream.byte_offset();
        Some(value)
    }
}

/// A body without a byte order mark, which some editors and shells put in front.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(text: &str) -> Front<Value> {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) if value.is_object() => Ok((Ok(value), stream.byte_offset())),
            Some(Ok(_)) => Ok((Err(FieldError::missing("")), stream.byte_offset())),
            _ => Err(FieldError::new("", text, "broken")),
        }
    }

    /// `+` good, `-` bad, `!` rest.
    fn outline(body: &[u8]) -> String {
        let mut cutter = match Cutter::of_member(body, "spans") {
            Ok(cutter) => cutter,
            Err(_) => return "none".to_owned(),
        };
        let mut outline = String::new();
        while let Some(piece) = cutter.next(read) {
            outline.push(match piece {
                Piece::Good(text, value) => {
                    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
                    '+'
                }
                Piece::Bad(..) => '-',
                Piece::Rest(..) => '!',
            });
        }
        outline
    }

    #[test]
    fn bodies_are_cut_as_far_as_they_can_be_read() {
        for (body, expected) in [
            (r#"{"spans":[]}"#, ""),
            (r#" { "spans" : [ { } , {"a":[1]} ] } "#, "++"),
            (r#"{"x":{"spans":[1]},"spans":[{}],"y":[2]}"#, "+"),
            (r#"{"spans":[{},5,"x",null,[1],{}]}"#, "+----+"),
            (r#"{"spans":[{},{"a":tru},{}]}"#, "+-+"),
            (r#"{"spans":[{},{"a":01,"b":"]}{\"["},{}]}"#, "+-+"),
            (r#"{"spans":[{},nonsense,{}]}"#, "+-+"),
            (r#"{"spans":[{},{"a":[1}],{}]}"#, "+-+"),
            (r#"{"spans":[{},{"a":"#, "+!"),
            (r#"{"spans":[{},{}"#, "++!"),
            (r#"{"spans":[{}"#, "+!"),
            (r#"{"spans":[{} {}]}"#, "+!"),
            (r#"{"spans":[{},]}"#, "+-"),
            (r#"{"spans":[{}]"#, "+!"),
            (r#"{"spans":[{}]}x"#, "+!"),
            (r#"{"spans":[{}],"y"}"#, "+!"),
            (r#"{"spans":["#, "!"),
            (r#"{"spans":[{}],"spans":[{}]}"#, "+!"),
            (r#"{"spans":{}}"#, "none"),
            (r#"{"logs":[{}]}"#, "none"),
            (r#"[{}]"#, "none"),
            (r#"{"#, "none"),
            ("", "none"),
            ("nonsense", "none"),
        ] {
            assert_eq!(outline(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn wrong_utf8_costs_only_its_own_record() {
        assert_eq!(
            outline(b"{\"spans\":[{},{\"a\":\"\xFF\"},{\"b\":\"ok\"},5,{\"c\":tru}]}"),
            "+-+--"
        );
        assert_eq!(outline(b"{\"spans\":[{},{\"a\":\"\xFF"), "+!");
        assert_eq!(outline(b"{\"\xFF\":1,\"spans\":[{}]}"), "none");
    }

    proptest! {
        #[test]
        fn good_records_around_a_bad_one_survive(bad in "\\PC{0,40}") {
            // Text that closes a bracket of its own accord ends the array, as it must.
            prop_assume!(!bad.contains(['"', '\\', '[', ']', '{', '}', ',']));
            prop_assume!(!bad.trim_ascii().is_empty());
            let body = format!("{{\"spans\":[{{\"a\":1}},{{\"x\":{bad}}},{{\"b\":2}}]}}");
            let outline = outline(body.as_bytes());
            prop_assert!(outline == "+-+" || outline == "+++", "{}", outline);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut body = b"{\"spans\":[{\"a\":1},".to_vec();
            body.extend(bytes);
            prop_assert!(outline(&body).starts_with('+'));
        }
    }
}
