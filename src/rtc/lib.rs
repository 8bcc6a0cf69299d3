//! WebRTC play as values without I/O: SDP policy and text, an ICE-lite responder, DTLS-SRTP, and
//! the play shard that fans tracks out to the players of one core.
//!
//! Nothing here owns a socket, a task or a clock: datagrams and the time come in, datagrams and
//! events go out. Not here: signalling, which port a shard has, and the connections of publishers, of which only
//! the policy of their offers is.
//!
//! Specifications: SDP RFC 8866, 3264, 8829, 8839, 8840, 9143; ICE-lite RFC 8445, 8489; demultiplexing RFC 7983, 5761;
//! DTLS-SRTP RFC 6347, 5764, 8122; SRTP RFC 3711, 7714; RTP and RTCP RFC 3550, 4585, 5104;
//! H.264 RFC 6184; Opus RFC 7587; data channels RFC 8831, 8832, 8841, SCTP RFC 9260, 6525, 3758.
//!
//! Invariants:
//! * only an address that passed ICE reaches DTLS or SRTP, and no media leaves before the peer's
//!   certificate has the fingerprint its answer or offer named and an address was nominated;
//! * one SRTP index is never used for two different packets: what is sent again is the same bytes,
//!   and what may not be the same any more is not sent again;
//! * a player's sequence numbers have holes only where the source has them;
//! * video goes on after a gap only from a key frame, and its timestamps never go back;
//! * a player costs no allocation and no lock per live packet;
//! * a player that takes no messages, or sends too many, costs media and other players nothing.

mod demux;
mod dtls;
pub mod fuzzing;
mod ice;
mod rtcp;
mod sctp;
pub mod sdp;
mod shard;
mod srtp;

pub use demux::{Datagram, demux, is_rtcp, srtp_source};
pub use dtls::DtlsError;
pub use ice::{Check, Checks, IceCredentials};
pub use sctp::SctpGuard;
pub use sdp::{AnswerError, Description, Fragment, OfferError, RemoteOffer};
pub use shard::{
    AddError, Counters, Distribution, Kinds, OfferAgainError, PlayerEvent, PlayerId, PlayerSpec, PlayerStats,
    ReceivedStats, SentStats, Shard, ShardConfig, ShardError, TrackStats, Transmit,
};
pub use srtp::Profile;

#[cfg(test)]
mod tests;
