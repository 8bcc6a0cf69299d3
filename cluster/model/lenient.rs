//! Reads a client's JSON as Jackson does for AMS (observed): numbers and truth values may stand in quotes,
//! a number or a truth value may stand for a text, a fraction for a whole number is cut, a number for a
//! truth value is whether it is not 0. Everything else of the wrong type is refused, and so is a key the
//! record does not have. Null is as good as absent.

use std::fmt;

use base::limits::REST_REPEATED_CHARS_MAX;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Number, Value};

/// Why what a client sent cannot be read. The texts begin as AMS's and go to the client as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A key the record does not have.
    #[error("Unrecognized field \"{field}\" (class {class}), not marked as ignorable")]
    UnrecognizedField {
        /// The key.
        field: String,
        /// The record.
        class: &'static str,
    },
    /// Not JSON, or a value of the wrong type.
    #[error("{0}")]
    Malformed(String),
}

impl serde::de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Malformed(cut(&message.to_string()).to_owned())
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        serde::de::Error::custom(error)
    }
}

/// Reads a list of texts, leniently.
pub fn read_texts(value: Value) -> Result<Vec<String>, Unreadable> {
    read(value)
}

/// Reads a record of AMS's leniently. Its fields may be texts, `i32`, `i64`, `f64`, `bool`, lists and records, or options
/// of those, and it is a struct whose name is AMS's.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Unreadable> {
    T::deserialize(Lenient::<true>(value))
}

/// Reads a record that may hold a secret: the same, but what stands in the wrong place is not repeated.
pub fn read_discreetly<T: DeserializeOwned>(value: Value) -> Result<T, Unreadable> {
    T::deserialize(Lenient::<false>(value))
}

/// `REPEATS`: texts and numbers of the wrong type are repeated to who sent them, as AMS does.
struct Lenient<const REPEATS: bool>(Value);

impl<'de, const REPEATS: bool> IntoDeserializer<'de, Unreadable> for Lenient<REPEATS> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<const REPEATS: bool> Lenient<REPEATS> {
    fn wrong(&self, wanted: &str) -> Unreadable {
        let found = match &self.0 {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "Boolean value".to_owned(),
            Value::Number(_) if !REPEATS => "Number value".to_owned(),
            Value::String(_) if !REPEATS => "String value".to_owned(),
            Value::Number(number) => format!("Number {number}"),
            Value::String(text) => format!("String \"{}\"", cut(text)),
            Value::Array(_) => "Array value".to_owned(),
            Value::Object(_) => "Object value".to_owned(),
        };
        Unreadable::Malformed(format!("Cannot deserialize value of type `{wanted}` from {found}"))
    }

    /// A whole number, cut towards 0. A blank text is 0.
    fn whole(&self, wanted: &str) -> Result<i64, Unreadable> {
        let whole = match &self.0 {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(cut_fraction)),
            Value::String(text) if text.trim().is_empty() => Some(0),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        whole.ok_or_else(|| self.wrong(wanted))
    }

    fn truth(&self) -> Result<bool, Unreadable> {
        let truth = match &self.0 {
            Value::Bool(truth) => Some(*truth),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            Value::String(text) => match text.trim() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        truth.ok_or_else(|| self.wrong("boolean"))
    }
}

fn cut_fraction(number: f64) -> Option<i64> {
    // Beyond 2^53 a fraction says nothing of the whole number it stands for.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    let whole = (number.abs() < EXACT).then_some(number as i64);
    whole
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(REST_REPEATED_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

fn fraction(number: &Number) -> Option<f64> {
    number.as_f64().filter(|number| number.is_finite())
}

impl<'de, const REPEATS: bool> Deserializer<'de> for Lenient<REPEATS> {
    type Error = Unreadable;

    /// No record has such a field.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unreadable> {
        Err(self.wrong("a record of Ant Media Server"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_bool(self.truth()?)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_i32(i32::try_from(self.whole("int")?).map_err(|_| self.wrong("int"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_i64(self.whole("long")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let number = match &self.0 {
            Value::Number(number) => fraction(number),
            Value::String(text) if text.trim().is_empty() => Some(0.0),
            Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        visitor.visit_f64(number.ok_or_else(|| self.wrong("double"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Number(number) => visitor.visit_string(number.to_string()),
            Value::Bool(truth) => visitor.visit_string(truth.to_string()),
            other => Err(Self(other).wrong("java.lang.String")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Self))),
            other => Err(Self(other).wrong("java.util.ArrayList")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        class: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let fields: Map<String, Value> = match self.0 {
            Value::Object(fields) => fields,
            other => return Err(Self(other).wrong(class)),
        };
        if let Some(field) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Unreadable::UnrecognizedField { field: cut(field).to_owned(), class });
        }
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        visitor.visit_map(MapDeserializer::new(given.map(|(key, value)| (key, Self(value)))))
    }

    forward_to_deserialize_any! {
        i8 i16 u8 u16 u32 u64 f32 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct
        map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Broadcast, Ratio};

    fn broadcast(value: Value) -> Result<Broadcast, Unreadable> {
        read(value)
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for (value, found) in
            [(json!({ "date": "hunter2" }), "String"), (json!({ "width": 3_000_000_000_i64 }), "Number")]
        {
            let why = read_discreetly::<Broadcast>(value).unwrap_err().to_string();
            assert!(why.ends_with(&format!("from {found} value")), "{why}");
        }
        let why = read_discreetly::<Broadcast>(json!("hunter2")).unwrap_err().to_string();
        assert_eq!(why, "Cannot deserialize value of type `Broadcast` from String value");
    }

    #[test]
    fn types_are_converted_as_in_ams() {
        let read = broadcast(json!({
            "name": 5, "description": true, "width": "640", "height": 352.9, "date": " 7 ", "bitrate": "",
            "zombi": "true", "publish": 0, "is360": 2, "virtual": "", "speed": "1.5", "packetLostRatio": 1,
            "status": "own", "category": null,
            "hlsParameters": { "hlsTime": 4 },
            "encoderSettingsList": [{ "height": "240", "forceEncode": "false" }],
        }))
        .unwrap();
        assert_eq!((read.name.as_deref(), read.description.as_deref()), (Some("5"), Some("true")));
        assert_eq!((read.width, read.height, read.date, read.bitrate), (640, 352, 7, 0));
        assert_eq!((read.zombi, read.publish, read.is360, read.is_virtual), (true, false, true, false));
        assert_eq!(read.speed, Ratio::from_millionths(1_500_000));
        assert_eq!(read.packet_lost_ratio, Ratio::from_millionths(1_000_000));
        assert_eq!((read.status.as_str(), read.category), ("own", None));
        assert_eq!(read.hls_parameters.unwrap().hls_time.as_deref(), Some("4"));
        let rungs = read.encoder_settings_list.unwrap();
        assert_eq!((rungs[0].height, rungs[0].force_encode), (240, false));
    }

    #[test]
    fn what_cannot_be_converted_is_refused_and_says_so_briefly() {
        for (value, message) in [
            (json!({ "width": "wide" }), "Cannot deserialize value of type `int` from String \"wide\""),
            (
                json!({ "width": 3_000_000_000_i64 }),
                "Cannot deserialize value of type `int` from Number 3000000000",
            ),
            (json!({ "date": true }), "Cannot deserialize value of type `long` from Boolean value"),
            (json!({ "date": 1e300 }), "Cannot deserialize value of type `long` from Number 1e+300"),
            (json!({ "speed": "NaN" }), "Cannot deserialize value of type `double` from String \"NaN\""),
            (json!({ "zombi": "yes" }), "Cannot deserialize value of type `boolean` from String \"yes\""),
            (json!({ "name": [] }), "Cannot deserialize value of type `java.lang.String` from Array value"),
            (
                json!({ "endPointList": {} }),
                "Cannot deserialize value of type `java.util.ArrayList` from Object value",
            ),
            (
                json!({ "hlsParameters": "" }),
                "Cannot deserialize value of type `HlsParameters` from String \"\"",
            ),
            (json!([]), "Cannot deserialize value of type `Broadcast` from Array value"),
            (
                json!({ "endPointList": [{ "url": 1 }] }),
                "Unrecognized field \"url\" (class Endpoint), not marked as ignorable",
            ),
        ] {
            assert_eq!(broadcast(value).unwrap_err().to_string(), message);
        }
        let long = broadcast(json!({ "x".repeat(100_000): "y" })).unwrap_err();
        assert!(long.to_string().len() < 200);
        let long = broadcast(json!({ "width": "ü".repeat(100_000) })).unwrap_err();
        assert!(long.to_string().len() < 400);
    }
}
