//! WebRTC sessions: the signalling WebSocket, WHIP, WHEP, publishers, and the play shards with their sockets.

mod addresses;
mod batch;
mod bulk;
mod busy;
mod context;
mod counters;
mod driver;
mod follow;
mod guests;
mod info;
mod join;
pub mod message;
mod policy;
mod publish;
mod refusal;
mod resource;
mod shards;
mod signalling;
mod socket;
mod statistics;
mod tcp;
mod upgrade;
mod whep;
mod whip;

/// AMS's `eventProtocol` of everything that is played and published here.
const PROTOCOL: &str = "webrtc";

pub use addresses::OfferedAddresses;
pub use context::SignallingContext;
pub use publish::{Received, ReceivedFigures, Receptions};
pub use shards::{Shards, ShardsConfig};
pub use socket::{BoundPort, SOCKET_BUFFER_BYTES};
pub use statistics::{
    ClientFigures, Clients, KindFigures, PlayProtocol, Rates, ReceivedStats, SentFigures, SentStats,
    TrackStats,
};
pub use tcp::listen_tcp;
pub use upgrade::{SIGNALLING_PATH, signalling};
pub use whep::{WhepResources, whep};
pub use whip::{WhipResources, whip};
