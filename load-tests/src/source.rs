//! The stream that is played: recorded once, then published without encoding, each frame known again when it
//! comes out of the node.

mod ledger;
mod publisher;
mod recording;

pub use ledger::{Ledger, fingerprint};
pub use publisher::{Manner, Publisher};
pub use recording::{FPS, Recording, RecordingOptions};
