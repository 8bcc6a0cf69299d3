//! The types a setting can have, read from a properties file or from JSON.

use serde_json::{Map, Number, Value, json};

/// The type of a setting together with its default.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number within `min..=max`.
    Integer {
        /// The default.
        default: i64,
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed: Java's `int` or `long`.
        max: i64,
    },
    /// A finite number.
    Decimal(f64),
    /// A text. JSON may also say null, which AMS keeps as null.
    Text(&'static str),
    /// A text that is null until somebody sets it.
    OptionalText,
    /// A text that every application draws for itself: 32 letters and digits.
    RandomText,
    /// A JSON object. The default is JSON text.
    Object(&'static str),
    /// AMS's list of renditions, in a properties file as JSON or as `height,videoBps,audioBps,…`.
    Ladder,
}

/// Letters and digits of a key that an application draws for itself (AMS: 32).
pub const RANDOM_TEXT_LENGTH: usize = 32;

impl Kind {
    /// The value of a setting nobody has set. A [`Kind::RandomText`] is empty until it is drawn.
    pub fn default_value(&self) -> Value {
        match *self {
            Self::Flag(default) => default.into(),
            Self::Integer { default, .. } => default.into(),
            Self::Decimal(default) => default.into(),
            Self::Text(default) => default.into(),
            Self::OptionalText => Value::Null,
            Self::RandomText => "".into(),
            // A unit test reads every default of the table, so the empty object is never taken.
            Self::Object(default) => serde_json::from_str(default).unwrap_or_else(|_| Map::new().into()),
            Self::Ladder => json!([]),
        }
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match *self {
            Self::Flag(_) => "true or false".into(),
            Self::Integer { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::Decimal(_) => "a number".into(),
            Self::Text(_) | Self::OptionalText | Self::RandomText => "a text".into(),
            Self::Object(_) => "a JSON object".into(),
            Self::Ladder => "a JSON list of renditions, or height,video bit/s,audio bit/s for each".into(),
        }
    }

    /// Reads the value of a properties file; `None` when it is not of this type.
    ///
    /// Flags take Spring's words (true/on/yes/1, false/off/no/0), since AMS does. Texts are taken as they
    /// stand: Java keeps the blanks at a value's end.
    pub fn read_text(&self, text: &str) -> Option<Value> {
        let word = text.trim();
        match *self {
            Self::Flag(_) => match word.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Some(true.into()),
                "false" | "off" | "no" | "0" => Some(false.into()),
                _ => None,
            },
            Self::Integer { .. } => self.integer(word.parse().ok()?),
            // Java's own notation of a float may end in `f`.
            Self::Decimal(_) => decimal(word.strip_suffix(['f', 'F']).unwrap_or(word).parse().ok()?),
            Self::Text(_) | Self::OptionalText | Self::RandomText => Some(text.into()),
            Self::Object(_) if word.is_empty() => Some(self.default_value()),
            Self::Object(_) => serde_json::from_str(word).ok().filter(Value::is_object),
            Self::Ladder => ladder(word),
        }
    }

    /// Reads a JSON value; `None` when it is not of this type.
    ///
    /// As AMS's JSON reader does, scalars given as texts and numbers given for texts are converted. Null
    /// stands for the default where AMS has no null.
    pub fn read_json(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Text(_) | Self::OptionalText | Self::RandomText, Value::Null) => Some(Value::Null),
            (_, Value::Null) => Some(self.default_value()),
            (Self::Text(_) | Self::OptionalText | Self::RandomText, Value::Bool(_) | Value::Number(_)) => {
                Some(value.to_string().into())
            }
            (_, Value::String(text)) => self.read_text(text),
            (Self::Flag(_), Value::Bool(_)) | (Self::Object(_), Value::Object(_)) => Some(value.clone()),
            // Numbers of other languages may end in `.0`.
            (Self::Integer { .. }, Value::Number(number)) => {
                self.integer(number.as_i64().or_else(|| whole(number))?)
            }
            (Self::Flag(_), Value::Number(number)) => match number.as_i64()? {
                0 => Some(false.into()),
                1 => Some(true.into()),
                _ => None,
            },
            (Self::Decimal(_), Value::Number(number)) => decimal(number.as_f64()?),
            (Self::Ladder, Value::Array(steps)) if steps.iter().all(Value::is_object) => Some(value.clone()),
            _ => None,
        }
    }

    fn integer(&self, number: i64) -> Option<Value> {
        match *self {
            Self::Integer { min, max, .. } => (min..=max).contains(&number).then(|| number.into()),
            _ => None,
        }
    }
}

/// What a number with a fraction of zero says.
fn whole(number: &Number) -> Option<i64> {
    let text = format!("{:.0}", number.as_f64()?);
    let whole = text.parse::<i64>().ok()?;
    (text.parse::<f64>().ok() == number.as_f64()).then_some(whole)
}

fn decimal(number: f64) -> Option<Value> {
    Number::from_f64(number).map(Value::Number)
}

fn ladder(text: &str) -> Option<Value> {
    if text.is_empty() {
        return Some(json!([]));
    }
    if text.starts_with('[') {
        let list: Value = serde_json::from_str(text).ok()?;
        return list.as_array().is_some_and(|steps| steps.iter().all(Value::is_object)).then_some(list);
    }
    let numbers = text.split(',').map(|n| n.trim().parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    if !numbers.len().is_multiple_of(3) {
        return None;
    }
    let steps = numbers.chunks_exact(3).filter_map(|step| match *step {
        [height, video, audio] => Some(
            json!({ "height": height, "videoBitrate": video, "audioBitrate": audio, "forceEncode": true }),
        ),
        _ => None,
    });
    Some(Value::Array(steps.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_take_the_words_that_spring_takes() {
        let kind = Kind::Flag(false);
        for text in ["true", " TRUE ", "on", "yes", "1"] {
            assert_eq!(kind.read_text(text), Some(true.into()), "{text}");
        }
        for text in ["false", "off", "no", "0"] {
            assert_eq!(kind.read_text(text), Some(false.into()), "{text}");
        }
        for text in ["", "tru", "2"] {
            assert_eq!(kind.read_text(text), None, "{text}");
        }
        assert_eq!(
            [0, 1, 2].map(|n| kind.read_json(&json!(n))),
            [Some(false.into()), Some(true.into()), None]
        );
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let kind = Kind::Integer { default: 0, min: -1, max: 10 };
        for (text, number) in [("-1", -1), (" 10 ", 10)] {
            assert_eq!(kind.read_text(text), Some(number.into()), "{text}");
        }
        for text in ["-2", "11", "", "1.5", "0x1", "99999999999999999999"] {
            assert_eq!(kind.read_text(text), None, "{text}");
        }
        assert_eq!(kind.read_json(&json!("7")), Some(7.into()));
        assert_eq!(kind.read_json(&json!(11)), None);
        assert_eq!(kind.read_json(&json!(7.0)), Some(7.into()));
        for wrong in [json!(1.5), json!(1e300), json!(true)] {
            assert_eq!(kind.read_json(&wrong), None, "{wrong}");
        }
        assert_eq!(Kind::Decimal(1.0).read_text("0.1f"), Some(0.1.into()));
        for text in ["NaN", "inf", "1e999", "x"] {
            assert_eq!(Kind::Decimal(1.0).read_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_ladder_is_read_in_both_notations() {
        let list = json!([
            { "height": 480, "videoBitrate": 300_000, "audioBitrate": 96_000, "forceEncode": true },
            { "height": 240, "videoBitrate": 100_000, "audioBitrate": 32_000, "forceEncode": true },
        ]);
        assert_eq!(Kind::Ladder.read_text("480,300000,96000,240, 100000,32000"), Some(list.clone()));
        assert_eq!(Kind::Ladder.read_text(&list.to_string()), Some(list.clone()));
        assert_eq!(Kind::Ladder.read_json(&list), Some(list));
        assert_eq!(Kind::Ladder.read_text(""), Some(json!([])));
        for text in ["480", "480,1", "a,b,c", "[1]", "[", "{}"] {
            assert_eq!(Kind::Ladder.read_text(text), None, "{text}");
        }
    }
}
