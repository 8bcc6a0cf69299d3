//! What the promise tests stand on: real nodes, a real encoder, a real browser, and a picture that says
//! of itself which frame it is and when it was made.
//!
//! Not a mock of anything. Everything here starts a real process, ends it by its process id, and reports
//! what it saw as numbers; the promises themselves stand in `tests/*.rs`.
//!
//! * [`Marker`] — the moving picture of `make demo` and of the tests, published by ffmpeg.
//! * [`Encoder`] — an ffmpeg with any codec, or any other encoder.
//! * [`Node`] — a penstock process on free ports with its own data folder.
//! * [`Cluster`] — several of them that are one; [`ClusterClient`] — one more of them, inside the test, over a way that may have a [`Loss`].
//! * [`Doors`] — its TCP ports, for bytes of any kind.
//! * [`Browser`] — headless Chromium; [`Measurement`] — what a viewer in it saw and heard.
//! * [`Camera`] — what a page that publishes is given for a camera and a microphone: the marker.
//! * [`Aiortc`] — a WebRTC stack that is no browser's, as a publisher and as a player.
//! * [`Signalling`] — a WebSocket client that speaks JSON and knows nothing else.
//! * [`http_session`] — sessions of WHIP and WHEP, as requests and in a page.
//! * [`offer`] — offers of publishers as text, and what was answered.
//! * [`Streaming`] — a GET whose body goes on.
//! * [`RtmpClient`] — a publisher whose bytes are the test's.
//! * [`Relay`] — a UDP path between viewers and the node that loses, delays and narrows.
//! * [`Nginx`] — a web server in front of a node.
//! * [`NarrowNetwork`] — a network namespace behind a narrow line, for a browser of its own.
//! * [`SmallDisk`] — a disk that can be filled to the last byte.
//! * [`Load`] — what other programs took of the machine meanwhile, so that a run can call itself invalid.
//! * [`SamplePage`] — the AMS JavaScript SDK from the npm registry and pages around it.

mod aiortc;
mod browser;
mod camera;
mod canaries;
mod cluster;
mod cluster_client;
mod doors;
mod encoder;
mod files;
mod http;
pub mod http_session;
mod load;
mod marker;
mod measurement;
mod narrow_network;
mod nginx;
mod node;
pub mod offer;
mod process;
mod relay;
pub mod rtmp_client;
mod sample_page;
mod signalling;
mod small_disk;
mod streaming;
mod tools;
mod turn;
mod way;

pub use aiortc::{Aiortc, AiortcPeer};
pub use browser::{Browser, BrowserError, BrowserOptions};
pub use camera::{Camera, CameraFiles, CameraReport};
pub use cluster::{Cluster, Plan};
pub use cluster_client::{ClusterClient, Loss};
pub use doors::{Doors, Duplex};
pub use encoder::Encoder;
pub use files::FileServer;
pub use http::{HttpError, Response, ask, request};
pub use load::{Load, LoadReport};
pub use marker::{
    AAC, CODE_CELLS, CODE_ROWS, FLASH_PERIOD, Marker, MarkerError, MarkerOptions, MarkerReport, OPUS, Pace,
    Picture, Reading, Sound, Target, X264, X264_BASELINE, picture_size,
};
pub use measurement::{
    Gap, Joining, Measurement, Offsets, PlayoutDifference, Return, Spread, Verdict, ViewerPromise,
};
pub use narrow_network::{Bottleneck, NarrowNetwork, NetworkError};
pub use nginx::Nginx;
pub use node::{Endpoints, Node, NodeError, NodeOptions, Starting};
pub use process::{descendants, end_tree, freeze, terminate, thaw};
pub use relay::{Detour, Line, LineCounts, Narrow, Relay, RelayOptions, RelayReport};
pub use rtmp_client::RtmpClient;
pub use sample_page::{Sample, SamplePage};
pub use signalling::{Signalling, SignallingError};
pub use small_disk::SmallDisk;
pub use streaming::Streaming;
pub use tools::{enhanced_ffmpeg, nginx, runs, whip_ffmpeg};
pub use turn::{Turn, in_full, left_to_the_proof, note, skipped};
pub use way::Way;
