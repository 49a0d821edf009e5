//! Where OTLP/JSON differs from what serde reads by itself (specification, "JSON Protobuf Encoding"): ids in hex, 64-bit
//! integers as text or number, doubles that are no number as text, values by the name of their kind.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::messages::{AnyKind, AnyValue, ArrayValue, KeyValueList};

/// Reads a message from an object alone: what serde derives would take its fields from an array, too.
pub(super) struct ObjectOnly<D>(pub(super) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(OnlyMembers(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct OnlyMembers<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for OnlyMembers<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(members)
    }
}

/// A text; null is empty.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(Bytes::from(text.unwrap_or_default()))
}

/// An id in hex digits of either case.
pub(super) fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
    let digits = digits.ok_or_else(|| D::Error::custom("an id must be hex digits"))?;
    let pairs = digits.as_chunks::<2>().0;
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(String),
}

impl NumberOrText {
    fn unsigned<E: Error>(self) -> Result<u64, E> {
        match self {
            Self::Unsigned(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
            Self::Signed(_) | Self::Double(_) => None,
        }
        .ok_or_else(|| E::custom("must be a whole number that is not negative"))
    }

    fn signed<E: Error>(self) -> Result<i64, E> {
        match self {
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Signed(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
            Self::Double(_) => None,
        }
        .ok_or_else(|| E::custom("must be a whole number of 64 bits"))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a double is what the field holds"
    )]
    fn double<E: Error>(self) -> Result<f64, E> {
        match self {
            Self::Unsigned(number) => Some(number as f64),
            Self::Signed(number) => Some(number as f64),
            Self::Double(number) => Some(number),
            Self::Text(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                other => other.parse().ok(),
            },
        }
        .ok_or_else(|| E::custom("must be a number"))
    }
}

/// A `fixed64` or `uint64`.
pub(super) fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Option::<NumberOrText>::deserialize(from)?.map_or(Ok(0), NumberOrText::unsigned)
}

/// Several of them.
pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let list = Vec::<NumberOrText>::deserialize(from)?;
    list.into_iter().map(NumberOrText::unsigned).collect()
}

/// An `sfixed64` that may be absent.
pub(super) fn optional_signed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<NumberOrText>::deserialize(from)?;
    number.map(NumberOrText::signed).transpose()
}

/// A `double`.
pub(super) fn double<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(optional_double(from)?.unwrap_or(0.0))
}

/// A `double` that may be absent.
pub(super) fn optional_double<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = Option::<NumberOrText>::deserialize(from)?;
    number.map(NumberOrText::double).transpose()
}

/// Several of them.
pub(super) fn double_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let list = Vec::<NumberOrText>::deserialize(from)?;
    list.into_iter().map(NumberOrText::double).collect()
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AnyFields {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<NumberOrText>,
    double_value: Option<NumberOrText>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
    bytes_value: Option<String>,
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let fields = AnyFields::deserialize(ObjectOnly(from))?;
        let value = if let Some(text) = fields.string_value {
            Some(AnyKind::Text(Bytes::from(text)))
        } else if let Some(boolean) = fields.bool_value {
            Some(AnyKind::Boolean(boolean))
        } else if let Some(number) = fields.int_value {
            Some(AnyKind::Integer(number.signed()?))
        } else if let Some(number) = fields.double_value {
            Some(AnyKind::Double(number.double()?))
        } else if let Some(array) = fields.array_value {
            Some(AnyKind::Array(array))
        } else if let Some(map) = fields.kvlist_value {
            Some(AnyKind::Map(map))
        } else if let Some(text) = fields.bytes_value {
            let bytes = BASE64_STANDARD.decode(text);
            let bytes = bytes.map_err(|_| D::Error::custom("bytesValue must be base64"))?;
            Some(AnyKind::Bytes(Bytes::from(bytes)))
        } else {
            None
        };
        Ok(Self { value })
    }
}
