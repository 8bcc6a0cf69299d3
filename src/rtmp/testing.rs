//! The encoder's side, for tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::amf0::Writer;

/// Writes one message as chunks of `size`, as ffmpeg and OBS do: a type 0 header, then type 3.
pub(crate) fn chunks(csid: u32, timestamp: u32, type_id: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let mut out = basic(0, csid);
    let field = timestamp.min(0x00ff_ffff);
    out.extend(&field.to_be_bytes()[1..]);
    out.extend(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
    out.push(type_id);
    out.extend(1_u32.to_le_bytes());
    let extended = if field == 0x00ff_ffff { timestamp.to_be_bytes().to_vec() } else { Vec::new() };
    out.extend(&extended);
    for (index, part) in payload.chunks(size).enumerate() {
        if index > 0 {
            out.extend(basic(3, csid));
            out.extend(&extended);
        }
        out.extend(part);
    }
    out
}

fn basic(format: u8, csid: u32) -> Vec<u8> {
    let format = format << 6;
    match csid {
        2..=63 => vec![format | u8::try_from(csid).unwrap()],
        64..=319 => vec![format, u8::try_from(csid - 64).unwrap()],
        _ => {
            let [low, high] = u16::try_from(csid - 64).unwrap().to_le_bytes();
            vec![format | 1, low, high]
        }
    }
}

/// A command of an encoder on that message stream, in chunks of 128 bytes.
pub(crate) fn command(stream_id: u32, command: Writer) -> Vec<u8> {
    message(stream_id, 20, &command.finish())
}

/// A message on that message stream, in chunks of 128 bytes.
pub(crate) fn message(stream_id: u32, type_id: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = chunks(3, 0, type_id, payload, 128);
    bytes[8..12].copy_from_slice(&stream_id.to_le_bytes());
    bytes
}

pub(crate) fn connect(app: &str) -> Vec<u8> {
    let tc_url = format!("rtmp://host/{app}");
    let fields = [
        ("app", app.into()),
        ("type", "nonprivate".into()),
        ("flashVer", "FMLE/3.0 (compatible; test)".into()),
        ("tcUrl", tc_url.as_str().into()),
    ];
    command(0, Writer::command("connect", 1.0).object(&fields))
}

/// What librtmp (OBS) and ffmpeg send between `connect` and `publish`.
pub(crate) fn create_stream(name: &str) -> Vec<u8> {
    let mut bytes = command(0, Writer::command("releaseStream", 2.0).null().text(name));
    bytes.extend(command(0, Writer::command("FCPublish", 3.0).null().text(name)));
    bytes.extend(command(0, Writer::command("createStream", 4.0).null()));
    bytes
}

pub(crate) fn publish(name: &str) -> Vec<u8> {
    command(1, Writer::command("publish", 5.0).null().text(name).text("live"))
}

/// The body of an aggregate of these types, times and bodies.
pub(crate) fn aggregate(parts: &[(u8, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (type_id, time, payload) in parts {
        let [_, s0, s1, s2] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let [t3, t0, t1, t2] = time.to_be_bytes();
        bytes.extend([*type_id, s0, s1, s2, t0, t1, t2, t3, 0, 0, 0]);
        bytes.extend(*payload);
        bytes.extend(u32::try_from(payload.len() + 11).unwrap().to_be_bytes());
    }
    bytes
}

/// Memory that tells whether anybody still holds a part of it.
pub(crate) struct Lent(Arc<Vec<u8>>);

impl Lent {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    pub(crate) fn lend(&self) -> Bytes {
        struct Holder(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Holder {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Holder(Arc::clone(&self.0)))
    }

    pub(crate) fn is_back(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
