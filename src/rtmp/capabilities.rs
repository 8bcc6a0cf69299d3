//! What an encoder of Enhanced RTMP is told of this server when it connects.

use std::sync::LazyLock;

use container::flv::CARRIED;
use media::Kind;

use crate::amf0::{Field, Value};

/// `FourCcInfoMask`: forwarded as it is.
const CAN_FORWARD: f64 = 4.0;
/// `CapsExMask`: modifiers can be read past. Of several tracks only the first would be carried.
const MOD_EX: f64 = 4.0;

/// Every FourCC that is carried: in the list of version 1, and per kind for version 2.
static ALL: LazyLock<Vec<&str>> = LazyLock::new(|| CARRIED.iter().map(|(four_cc, _)| *four_cc).collect());
static VIDEO: LazyLock<Vec<(&str, f64)>> = LazyLock::new(|| forwarded(Kind::Video));
static AUDIO: LazyLock<Vec<(&str, f64)>> = LazyLock::new(|| forwarded(Kind::Audio));

fn forwarded(kind: Kind) -> Vec<(&'static str, f64)> {
    let of_kind = CARRIED.iter().filter(|(_, codec)| codec.kind() == kind);
    of_kind.map(|(four_cc, _)| (*four_cc, CAN_FORWARD)).collect()
}

/// The fields of the answer for an encoder that says what it can itself; others, which may be too old
/// to read an array here, get none.
pub(crate) fn answer(connect: &Value) -> impl Iterator<Item = (&'static str, Field<'static>)> {
    let fields = [
        ("fourCcList", Field::Texts(&ALL)),
        ("videoFourCcInfoMap", Field::Numbers(&VIDEO)),
        ("audioFourCcInfoMap", Field::Numbers(&AUDIO)),
        ("capsEx", Field::Number(MOD_EX)),
    ];
    let speaks = fields.iter().any(|(name, _)| connect.field(name).is_some());
    fields.into_iter().filter(move |_| speaks)
}
