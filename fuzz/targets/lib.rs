//! What a stranger's bytes reach, as functions: for cargo-fuzz (`fuzz/fuzz_targets`) and for the
//! ordinary test here, which runs each over its kept corpus and mutations of it.
//!
//! A target panics when something is wrong: by the code under test, or by an assertion of its own.

mod media_readers;
mod metadata;
mod newer_codecs;
mod rtmp_readers;
mod rtp_source;

pub use cluster_link::fuzzing::link;
pub use media_readers::{aac_config, flv_tags, h264_access_unit, h264_parameter_sets};
pub use metadata::metadata;
pub use newer_codecs::{av1, hevc, opus, vp9};
pub use rtc::fuzzing::{client_hello, data_channel, rtcp, sdp_answer, sdp_offer, stun};
pub use rtmp_readers::{amf0, publish_url, rtmp_chunks, rtmp_session};
pub use rtp_source::rtp_source;
pub use sessions::http::stream_id_fuzz as stream_id;
pub use sessions::proxy::fuzz as proxy_header;
pub use sessions::rtc::message::fuzz as signalling;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder in `fuzz/corpus` and its file in `fuzz/fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[
    ("aac_config", aac_config),
    ("amf0", amf0),
    ("av1", av1),
    ("client_hello", client_hello),
    ("data_channel", data_channel),
    ("flv_tags", flv_tags),
    ("h264_access_unit", h264_access_unit),
    ("h264_parameter_sets", h264_parameter_sets),
    ("hevc", hevc),
    ("link", link),
    ("metadata", metadata),
    ("opus", opus),
    ("proxy_header", proxy_header),
    ("publish_url", publish_url),
    ("rtcp", rtcp),
    ("rtmp_chunks", rtmp_chunks),
    ("rtmp_session", rtmp_session),
    ("rtp_source", rtp_source),
    ("sdp_answer", sdp_answer),
    ("sdp_offer", sdp_offer),
    ("signalling", signalling),
    ("stream_id", stream_id),
    ("stun", stun),
    ("vp9", vp9),
];

#[cfg(test)]
mod tests;
