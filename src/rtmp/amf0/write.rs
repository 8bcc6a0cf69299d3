//! The few values a server writes, in a fixed order of fields (the order of `rml_amf0`'s map
//! differs from run to run).

/// Appends values to a message's body.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A command's name and transaction.
    pub(crate) fn command(name: &str, transaction: f64) -> Self {
        Self::default().text(name).number(transaction)
    }

    pub(crate) fn number(mut self, number: f64) -> Self {
        self.bytes.push(0x00);
        self.bytes.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.bytes.push(0x02);
        self.short_text(text);
        self
    }

    pub(crate) fn null(mut self) -> Self {
        self.bytes.push(0x05);
        self
    }

    pub(crate) fn undefined(mut self) -> Self {
        self.bytes.push(0x06);
        self
    }

    /// An object.
    pub(crate) fn object(mut self, fields: &[(&str, Field<'_>)]) -> Self {
        self.bytes.push(0x03);
        for (name, field) in fields {
            self.short_text(name);
            self = match field {
                Field::Text(text) => self.text(text),
                Field::Number(number) => self.number(*number),
                Field::Texts(texts) => self.array(texts),
                Field::Numbers(numbers) => {
                    let fields: Vec<_> =
                        numbers.iter().map(|(name, number)| (*name, (*number).into())).collect();
                    self.object(&fields)
                }
            };
        }
        self.bytes.extend([0, 0, 0x09]);
        self
    }

    /// A strict array of texts.
    fn array(mut self, texts: &[&str]) -> Self {
        self.bytes.push(0x0a);
        self.bytes.extend(u32::try_from(texts.len()).unwrap_or(0).to_be_bytes());
        for text in texts {
            self = self.text(text);
        }
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Text behind a 16-bit length, cut at a character where it is longer.
    fn short_text(&mut self, text: &str) {
        let text = text.get(..text.floor_char_boundary(usize::from(u16::MAX))).unwrap_or_default();
        self.bytes.extend(u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
        self.bytes.extend(text.as_bytes());
    }
}

/// A field of a written object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Number(f64),
    /// An array.
    Texts(&'a [&'a str]),
    /// An object of numbers.
    Numbers(&'a [(&'a str, f64)]),
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Field<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
