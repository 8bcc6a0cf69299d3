//! What flows through a node: units, tracks and their rings, the catalogue of a stream, its
//! timeline, and the converters between a track's two views (frames and RTP packets).
//!
//! A protocol's session writes [`Unit`]s or [`PacketRun`]s through a [`TrackWriter`]; readers follow with a
//! [`Cursor`]. What people say along with a stream is a ring beside its tracks ([`MessageRing`]). Nothing here does
//! I/O, and nothing here knows a protocol's session.
//!
//! Invariants:
//! * a track's ring has one writer; a writer whose generation is over gets [`WriteError::Fenced`];
//! * rings are bounded by time, bytes and entries; a slow reader jumps forward, it never blocks
//!   the writer;
//! * all rings of a node are charged to one [`MediaBudget`]; beyond it the largest lose their oldest;
//! * a cursor is an index, it keeps nothing alive;
//! * `dts` never goes back within a track.

mod aac;
mod av1;
mod bell;
mod bits;
mod budget;
mod catalogue;
mod clock;
mod codec;
mod depacketize;
pub mod h264;
mod hevc;
mod messages;
mod opus;
mod packet;
mod packetize;
mod parameters;
mod ring;
mod rtp_source;
mod stream;
mod timeline;
mod track;
mod unit;
mod vp8;
mod vp9;
mod way;

pub use aac::{AacConfig, AacError};
pub use av1::{Av1Config, TemporalUnit, av1_unit};
pub use bell::{Bell, Bells};
pub use budget::{BudgetSpent, MediaBudget, UnfinishedMessages};
pub use catalogue::{Catalogue, TrackInfo, Unmade};
pub use clock::{Arrival, ClockPoint, StreamPosition};
pub use codec::{Codec, CodecConfig, Kind};
pub use depacketize::can_depacketize;
pub use hevc::{HevcConfig, hevc_unit};
pub use messages::{DataMessage, MessageError, MessageRing, MessageSource, PlayerName};
pub use opus::{OPUS_SAMPLE_RATE, OpusConfig, opus_samples};
pub use packet::{Packet, PacketRun, Payloads};
pub use packetize::{PAYLOAD_BYTES_MAX, Packetizer};
pub use parameters::ParameterError;
pub use ring::{Cursor, Read, Ring, Timed};
pub use rtp_source::{RtpEvent, RtpFormat, RtpIngest, RtpPacket};
pub use stream::{Demand, DemandGuard, StreamMedia};
pub use timeline::{Placed, Timeline, TimelineEvent};
pub use track::{FrameReader, PacketReader, Track, TrackWriter, WriteError};
pub use unit::Unit;
pub use vp8::{Vp8Config, vp8_key_frame};
pub use vp9::{Vp9Config, vp9_key_frame};
pub use way::{Conversion, Way, codec_table_markdown, flv_way, webrtc_way};
