//! What AMF0 can say.

/// One value. Typed objects are read as objects, their class name is dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A short, long or XML string; what is not UTF-8 is replaced.
    Text(String),
    /// An anonymous or typed object, in the order of the wire.
    Object(Vec<(String, Value)>),
    /// An associative array, in the order of the wire. Its announced count is not believed.
    EcmaArray(Vec<(String, Value)>),
    /// An array.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970; the time zone is reserved and not read.
    Date(f64),
    /// Nothing.
    Null,
    /// Not even nothing; also what "unsupported" is read as.
    Undefined,
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The fields of an object or an associative array; none of anything else.
    pub fn fields(&self) -> &[(String, Value)] {
        match self {
            Self::Object(fields) | Self::EcmaArray(fields) => fields,
            _ => &[],
        }
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields().iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }
}
