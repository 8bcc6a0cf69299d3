//! Commands: AMF0 messages of type 20, and of type 17 behind a leading zero byte.

use crate::amf0::{AmfError, Reader, Value};

/// A command of the peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) name: String,
    /// What an answer repeats; 0 where none is wanted.
    pub(crate) transaction: f64,
    /// The command object, then the arguments. Missing ones read as null.
    values: Vec<Value>,
    /// It held AMF3, which we do not read: what stood before it is here.
    pub(crate) cut_by_amf3: bool,
}

static NULL: Value = Value::Null;

impl Command {
    /// Reads a command. A missing transaction or argument is no error, a missing name is.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, AmfError> {
        let mut reader = Reader::new(payload);
        let Some(Value::Text(name)) = reader.next_value()? else { return Err(AmfError::Truncated) };
        let mut command = Self { name, transaction: 0.0, values: Vec::new(), cut_by_amf3: false };
        let mut first = true;
        loop {
            match reader.next_value() {
                Ok(None) => return Ok(command),
                Ok(Some(value)) if std::mem::take(&mut first) => {
                    command.transaction = value.as_number().unwrap_or(0.0);
                }
                Ok(Some(value)) => command.values.push(value),
                Err(AmfError::Amf3) => {
                    command.cut_by_amf3 = true;
                    return Ok(command);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The command object.
    pub(crate) fn object(&self) -> &Value {
        self.values.first().unwrap_or(&NULL)
    }

    /// The argument of that number, from 0.
    pub(crate) fn argument(&self, index: usize) -> &Value {
        self.values.get(index.saturating_add(1)).unwrap_or(&NULL)
    }
}
