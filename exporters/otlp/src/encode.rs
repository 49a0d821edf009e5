//! How OTLP messages are written: one description of a message, two encodings. A message is a function that names fields
//! and hands over values; [`crate::json::JsonEncoder`] and [`crate::protobuf::ProtobufEncoder`] write them. Source:
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/v1.11.0/opentelemetry/proto>.

use mastra_exporter_sdk::raw::members;

use crate::attributes::{Attributes, Key};

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// In the protobuf.
    pub number: u32,
    /// In JSON, as it stands between members: `,"name":`.
    pub json: &'static str,
    /// How many bytes the length of a message in this field takes, about. A wrong guess costs a copy of the message.
    pub length_width: usize,
}

impl Field {
    /// A field of a message that has no JSON form.
    #[must_use]
    pub const fn protobuf(number: u32) -> Self {
        Self {
            number,
            json: "",
            length_width: 1,
        }
    }

    /// A field whose messages have more than 127 bytes.
    #[must_use]
    pub const fn wide(self, length_width: usize) -> Self {
        Self {
            length_width,
            ..self
        }
    }
}

/// A field by its number and its name in JSON.
macro_rules! field {
    ($number:literal, $name:literal) => {
        $crate::encode::Field {
            number: $number,
            json: concat!(",\"", $name, "\":"),
            length_width: 1,
        }
    };
}
pub(crate) use field;

/// The encoding of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    #[default]
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    /// The media type of bodies.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Writes fields of the message that is open, and takes its attributes inside of [`Encoder::attributes`]. Fields of plain
/// types that hold their default are left out where the encoding does so.
pub trait Encoder: Attributes {
    /// A message.
    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self));

    /// Messages.
    fn messages<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T),
    );

    /// Text, in pieces.
    fn text_of(&mut self, field: Field, pieces: &[&str]);

    /// An id of so many hex digits; shorter ones are padded.
    fn id(&mut self, field: Field, hex: &str, digits: usize);

    /// 64 bits of fixed width: nanoseconds, counts.
    fn fixed64(&mut self, field: Field, number: u64);

    /// 32 bits of fixed width: flags of spans and logs.
    fn fixed32(&mut self, field: Field, number: u32);

    /// A small number: counts, enums, flags of points.
    fn unsigned(&mut self, field: Field, number: u32);

    /// A number that may be negative.
    fn signed(&mut self, field: Field, number: i32);

    /// True or false.
    fn flag(&mut self, field: Field, value: bool);

    /// A double; written whatever it is.
    fn double(&mut self, field: Field, number: f64);

    /// A whole number of fixed width; written whatever it is.
    fn long(&mut self, field: Field, number: i64);

    /// Counts of fixed width.
    fn counts(&mut self, field: Field, numbers: &[u64]);

    /// Counts of variable width.
    fn varying_counts(&mut self, field: Field, numbers: &[u64]);

    /// Doubles.
    fn doubles(&mut self, field: Field, numbers: &[f64]);

    /// An `AnyValue` of a JSON value.
    fn any_value(&mut self, field: Field, json: &str);

    /// An `AnyValue` of text.
    fn text_value(&mut self, field: Field, text: &str);

    /// Attributes: `write` hands them to the encoder itself.
    fn attributes(&mut self, field: Field, write: impl FnOnce(&mut Self));

    /// Attributes of a JSON object, values with their structure.
    fn attribute_object(&mut self, field: Field, object: Option<&String>) {
        self.attributes(field, |sink| {
            for (key, value) in members(object.map_or("", String::as_str)) {
                sink.value(Key::under("", key), value);
            }
        });
    }

    /// Text, if there is any.
    fn text_if(&mut self, field: Field, text: Option<&String>) {
        if let Some(text) = text {
            self.text_of(field, &[text]);
        }
    }
}
