//! The bounded reader.

use base::limits;

use super::Value;

/// Why bytes are not AMF0 we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// The bytes end inside a value.
    #[error("the value is cut off")]
    Truncated,
    /// Deeper than [`limits::AMF_DEPTH_MAX`].
    #[error("objects nested deeper than {}", limits::AMF_DEPTH_MAX)]
    TooDeep,
    /// More than [`limits::AMF_VALUES_MAX`].
    #[error("more than {} values", limits::AMF_VALUES_MAX)]
    TooManyValues,
    /// AMF3, which begins with the "avmplus" marker.
    #[error("AMF3 values are not supported")]
    Amf3,
    /// A reference to an earlier object: a way to make small messages large, and used by nobody.
    #[error("references are not supported")]
    Reference,
    /// A marker that is reserved or not given out.
    #[error("the marker {0:#04x} is not known")]
    BadMarker(u8),
}

/// Reads values one after the other from a message, within [`limits::AMF_DEPTH_MAX`] and
/// [`limits::AMF_VALUES_MAX`]. Memory is bounded by those and by the message's length: no
/// announced count or length is believed before its bytes are there.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, values: 0 }
    }

    /// The next value; `None` at the end. After an error the rest has no meaning.
    pub fn next_value(&mut self) -> Result<Option<Value>, AmfError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.value(0).map(Some)
    }

    /// All values up to the end.
    pub fn values(&mut self) -> Result<Vec<Value>, AmfError> {
        let mut values = Vec::new();
        while let Some(value) = self.next_value()? {
            values.push(value);
        }
        Ok(values)
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        if depth > limits::AMF_DEPTH_MAX {
            return Err(AmfError::TooDeep);
        }
        self.values += 1;
        if self.values > limits::AMF_VALUES_MAX {
            return Err(AmfError::TooManyValues);
        }
        let [marker] = self.take()?;
        Ok(match marker {
            0x00 => Value::Number(f64::from_be_bytes(self.take()?)),
            0x01 => Value::Boolean(self.take::<1>()? != [0]),
            0x02 => Value::Text(self.short_text()?),
            0x03 => Value::Object(self.fields(depth)?),
            0x05 => Value::Null,
            // 0x0d is what a player writes for a type it cannot.
            0x06 | 0x0d => Value::Undefined,
            0x07 => return Err(AmfError::Reference),
            0x08 => {
                let _announced = self.take::<4>()?;
                Value::EcmaArray(self.fields(depth)?)
            }
            0x0a => {
                let count = u32::from_be_bytes(self.take()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            0x0b => {
                let time = f64::from_be_bytes(self.take()?);
                let _zone = self.take::<2>()?;
                Value::Date(time)
            }
            0x0c | 0x0f => {
                let length = u32::from_be_bytes(self.take()?);
                Value::Text(self.text(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            0x10 => {
                let _class = self.short_text()?;
                Value::Object(self.fields(depth)?)
            }
            0x11 => return Err(AmfError::Amf3),
            other => return Err(AmfError::BadMarker(other)),
        })
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        const OBJECT_END: u8 = 0x09;
        let mut fields = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.rest.first() == Some(&OBJECT_END) {
                let _end = self.take::<1>()?;
                return Ok(fields);
            }
            let value = self.value(depth + 1)?;
            fields.push((name, value));
        }
    }

    fn short_text(&mut self) -> Result<String, AmfError> {
        let length = u16::from_be_bytes(self.take()?);
        self.text(usize::from(length))
    }

    fn text(&mut self, length: usize) -> Result<String, AmfError> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}
