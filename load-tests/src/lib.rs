//! Loads a node with WebRTC players and publishers and measures what they get and what they cost.
//!
//! Not a browser: nothing is decoded, and but for a few players nothing is decrypted; a player reads the
//! headers of what it gets and gives the feedback a browser gives. Not a mock: signalling, ICE, DTLS and
//! SRTP keys are real, through the sockets of the machine.
//!
//! * [`Receiver`] — one player without I/O: ICE (RFC 8445, controlling side of a lite agent), DTLS-SRTP
//!   (RFC 5764), receiver reports (RFC 3550 6.4.2), NACK and PLI (RFC 4585 6.2.1, 6.3.1), and for the few that
//!   decrypt, pictures out of packets (RFC 6184); for those that listen, data channels (RFC 8831).
//! * `Sender` — one publisher without I/O, on the same way (RFC 9725): packets that were made before, sealed; sender
//!   reports, and what is asked for again.
//! * [`Swarm`] — many of them on one thread, with signalling and sockets; [`Summary`] — what they saw.
//! * [`Hostile`] — a player that does what no browser does; [`HostilePublisher`] — such a publisher.
//! * [`Recording`], [`Publisher`] by RTMP, [`WebRtcPublishers`], [`Ledger`] — the stream they play, and when each picture
//!   of it was sent.
//! * [`machine`] — what the node's process used, how even the machine ran, where time went.
//! * [`bare`] — the same packets sent by a loop that does nothing else.
//! * [`asking`] — requests over kept HTTP connections, and a server that does nothing but answer.
//! * [`Bench`] — a node on its cores; [`Row`] — it under N players; [`scenario`] — it in trouble.
//! * [`report`] — rows, medians and plots for people.
//!
//! Invariants: a player or publisher, but for a hostile one, sends what a browser would send and no more; a frame counts
//! only when every packet of it came; a figure that was not measured is absent, never zero.

pub mod asking;
pub mod bare;
mod bench;
pub mod hostile;
mod link;
pub mod machine;
mod receiver;
pub mod report;
mod row;
pub mod scenario;
mod sender;
mod source;
mod swarm;

pub use bench::{Admission, Bench, BenchOptions, Crowd};
pub use hostile::{Hostile, HostilePublisher, Refused};
pub use link::{Identity, Profile, Stage};
pub use receiver::{Arrival, Counts, Feedback, Receiver, Track, TrackKind, WholeFrame};
pub use row::{Case, Row, RowOptions};
pub use sender::Sent;
pub use source::{
    Asking, FPS, Ledger, Manner, Publisher, Recording, RecordingOptions, WebRtcPublishers, fingerprint,
};
pub use swarm::{Listening, Opening, Pace, Percentiles, Spread, Summary, Swarm, SwarmOptions};
