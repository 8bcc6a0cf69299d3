//! A recording as RTP payloads, made once: whoever sends it has nothing to put together.

use std::sync::Arc;

use anyhow::Context;
use base::{Clock, MediaTime, SystemClock};
use bytes::Bytes;
use media::{CodecConfig, Packetizer, Unit};

use super::Recording;

/// Packets of sound in a second.
pub(crate) const SOUNDS_PER_SECOND: u32 = 50;
/// Bytes of a packet of sound as the node makes them: 96 kbit/s, 20 ms.
const SOUND_BYTES: usize = 240;
/// In front of Opus of 20 ms, full band, stereo, one frame (RFC 6716 3.1).
const OPUS_STEREO_20_MS: u8 = 0xfc;

/// The payloads of one picture.
#[derive(Clone, Debug)]
pub(crate) struct PicturePackets {
    pub(crate) payloads: Vec<Bytes>,
    pub(crate) key: bool,
    /// Its marker ([`fingerprint`](super::fingerprint)).
    pub(crate) fingerprint: u64,
}

/// The payloads of a recording, as the node packetizes it.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    pub(crate) pictures: Vec<PicturePackets>,
    /// Every packet of sound. Nobody decodes it: that it is Opus is all that it says.
    pub(crate) sound: Bytes,
    /// What SDP says of the picture's profile.
    pub(crate) profile_level_id: String,
}

impl Packets {
    /// Those of a recording.
    pub(crate) fn new(recording: &Recording) -> anyhow::Result<Self> {
        let config = recording.config()?;
        let profile = config.profile_level_id();
        let packetizer = Packetizer::new(&CodecConfig::H264(Arc::new(config)));
        let pictures = recording.frames.iter().zip(recording.pictures()).map(|(frame, (payload, key))| {
            let unit = Unit {
                dts: MediaTime::ZERO,
                pts: MediaTime::ZERO,
                arrived: SystemClock.now(),
                key,
                generation: 0,
                payload,
            };
            let run = packetizer.packetize(&unit, 0).context("a frame without packets")?;
            let payloads = run.packets.into_iter().map(|packet| packet.payload).collect();
            Ok(PicturePackets { payloads, key, fingerprint: frame.fingerprint })
        });
        let mut sound = vec![0; SOUND_BYTES];
        sound[0] = OPUS_STEREO_20_MS;
        Ok(Self {
            pictures: pictures.collect::<anyhow::Result<_>>()?,
            sound: sound.into(),
            profile_level_id: profile.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}
