//! What an encoder of Enhanced RTMP is told of this server when it connects.

use crate::amf0::{Field, Value};

/// Every FourCC that is carried: in the list of version 1, and per kind for version 2.
const VIDEO: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO: [&str; 2] = ["mp4a", "Opus"];
const ALL: [&str; 6] = ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"];
/// `FourCcInfoMask`: forwarded as it is.
const CAN_FORWARD: f64 = 4.0;
/// `CapsExMask`: modifiers can be read past. Of several tracks only the first would be carried.
const MOD_EX: f64 = 4.0;

const FORWARDED_VIDEO: [(&str, f64); VIDEO.len()] =
    [(VIDEO[0], CAN_FORWARD), (VIDEO[1], CAN_FORWARD), (VIDEO[2], CAN_FORWARD), (VIDEO[3], CAN_FORWARD)];
const FORWARDED_AUDIO: [(&str, f64); AUDIO.len()] = [(AUDIO[0], CAN_FORWARD), (AUDIO[1], CAN_FORWARD)];

/// The fields of the answer for an encoder that says what it can itself; others, which may be too old
/// to read an array here, get none.
pub(crate) fn answer(connect: &Value) -> &'static [(&'static str, Field<'static>)] {
    const FIELDS: [(&str, Field<'static>); 4] = [
        ("fourCcList", Field::Texts(&ALL)),
        ("videoFourCcInfoMap", Field::Numbers(&FORWARDED_VIDEO)),
        ("audioFourCcInfoMap", Field::Numbers(&FORWARDED_AUDIO)),
        ("capsEx", Field::Number(MOD_EX)),
    ];
    if FIELDS.iter().any(|(name, _)| connect.field(name).is_some()) { &FIELDS } else { &[] }
}
