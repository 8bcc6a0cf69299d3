//! Readers a stream starts without knowing what they are.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base::{AppName, StreamId};
use media::StreamMedia;

/// A reader at work: done when the stream is closed.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes a reader of every stream: a transcoder, a packager, a relay. `main` registers them.
///
/// A reader that panics is made anew and begins at the next key frame; the stream and its other
/// readers do not notice.
pub trait ReaderFactory: Send + Sync {
    /// What it is, for logs and metric labels.
    fn name(&self) -> &'static str;
    /// Starts to serve a stream.
    fn serve(&self, app: &AppName, stream: &StreamId, media: Arc<StreamMedia>) -> Serving;
}
