//! The stream that is played: recorded once, then published without encoding, each frame known again when it
//! comes out of the node.

mod ledger;
mod packets;
mod publisher;
mod recording;
mod webrtc;

pub use ledger::{Ledger, fingerprint};
pub(crate) use packets::{Packets, SOUNDS_PER_SECOND};
pub use publisher::{Manner, Publisher};
pub use recording::{FPS, Recording, RecordingOptions};
pub use webrtc::{Asking, WebRtcPublishers};
