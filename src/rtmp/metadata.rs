//! What an encoder says of itself in `onMetaData`.

use base::limits;

use crate::amf0::{Reader, Value};
use crate::publish::cut;

/// A bounded summary of `onMetaData`. Encoders are careless with it: nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// `encoder`, as OBS and ffmpeg fill it.
    pub encoder: Option<String>,
    /// `width` in pixels.
    pub width: Option<u32>,
    /// `height` in pixels.
    pub height: Option<u32>,
    /// `framerate` in frames per second.
    pub frame_rate: Option<f64>,
    /// `videodatarate` in kbit/s.
    pub video_kbps: Option<f64>,
    /// `audiodatarate` in kbit/s.
    pub audio_kbps: Option<f64>,
    /// `audiosamplerate` in Hz.
    pub sample_rate: Option<u32>,
    /// Every other field that is a number, a truth value or a text, as text: at most
    /// [`limits::RTMP_METADATA_FIELDS_MAX`] of at most [`limits::RTMP_TEXT_BYTES_MAX`] each.
    pub other: Vec<(String, String)>,
}

impl Metadata {
    /// Reads the body of an AMF0 data message; `None` where it is something else than `onMetaData`
    /// (with or without `@setDataFrame` before it), or cannot be read.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let mut name = reader.next_value().ok()??;
        if name.as_text() == Some("@setDataFrame") {
            name = reader.next_value().ok()??;
        }
        if name.as_text() != Some("onMetaData") {
            return None;
        }
        let fields = reader.next_value().ok()??;
        let mut metadata = Self::default();
        for (name, value) in fields.fields() {
            metadata.take(name, value);
        }
        Some(metadata)
    }

    fn take(&mut self, name: &str, value: &Value) {
        match (name, value) {
            ("encoder", Value::Text(text)) => self.encoder = Some(cut(text).to_owned()),
            ("width", Value::Number(number)) => self.width = whole(*number),
            ("height", Value::Number(number)) => self.height = whole(*number),
            ("framerate", Value::Number(number)) => self.frame_rate = Some(*number),
            ("videodatarate", Value::Number(number)) => self.video_kbps = Some(*number),
            ("audiodatarate", Value::Number(number)) => self.audio_kbps = Some(*number),
            ("audiosamplerate", Value::Number(number)) => self.sample_rate = whole(*number),
            (_, Value::Number(number)) => self.keep(name, &number.to_string()),
            (_, Value::Boolean(truth)) => self.keep(name, if *truth { "true" } else { "false" }),
            (_, Value::Text(text)) => self.keep(name, text),
            _ => {}
        }
    }

    fn keep(&mut self, name: &str, value: &str) {
        if self.other.len() < limits::RTMP_METADATA_FIELDS_MAX {
            self.other.push((cut(name).to_owned(), cut(value).to_owned()));
        }
    }
}

fn whole(number: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    let whole = (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::Writer;

    #[test]
    fn what_is_known_is_read_and_the_rest_is_kept() {
        let long = "x".repeat(1_000);
        let body = Writer::default()
            .text("@setDataFrame")
            .text("onMetaData")
            .object(&[
                ("encoder", "Lavf59".into()),
                ("width", 1280.0.into()),
                ("height", (-1.0).into()),
                ("framerate", 29.97.into()),
                ("audiosamplerate", f64::NAN.into()),
                ("videocodecid", 7.0.into()),
                (&long, long.as_str().into()),
            ])
            .finish();
        let metadata = Metadata::read(&body).unwrap();
        assert_eq!(metadata.encoder.as_deref(), Some("Lavf59"));
        assert_eq!((metadata.width, metadata.height, metadata.sample_rate), (Some(1280), None, None));
        assert_eq!(metadata.frame_rate, Some(29.97));
        assert_eq!(
            metadata.other,
            [("videocodecid".to_owned(), "7".to_owned()), ("x".repeat(256), "x".repeat(256))]
        );
    }

    #[test]
    fn other_data_messages_are_nothing_and_fields_are_bounded() {
        for body in [
            Writer::default().text("onTextData").null().finish(),
            Writer::default().text("@setDataFrame").finish(),
            Writer::default().number(1.0).finish(),
            vec![2, 0],
            vec![],
        ] {
            assert_eq!(Metadata::read(&body), None);
        }
        let names: Vec<String> = (0..100).map(|index| index.to_string()).collect();
        let fields: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0.into())).collect();
        let body = Writer::default().text("onMetaData").object(&fields).finish();
        assert_eq!(Metadata::read(&body).unwrap().other.len(), limits::RTMP_METADATA_FIELDS_MAX);
    }
}
