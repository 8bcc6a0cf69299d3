//! Bodies of requests: read within bounds, or not at all.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use base::limits;
use futures_util::StreamExt;

use crate::Watch;

/// Holds a chunked body that is not read, until the answer is out: the server closes a connection whose body is
/// still held then. It would go on reading one that was dropped. (Of bodies with a length it reads no more.)
pub fn hold(body: Payload) {
    actix_web::rt::spawn(async move {
        actix_web::rt::time::sleep(limits::HTTP_BODY_HELD).await;
        drop(body);
    });
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The peer ended in the middle of it.
    #[error("the body broke off")]
    BrokeOff,
    /// It has more bytes than it may.
    #[error("the body is too large")]
    TooLarge,
    /// It was not whole within [`limits::HTTP_BODY_WAIT_MAX`].
    #[error("the body did not come in time")]
    TooSlow,
}

/// A request's body, until somebody reads it. Who does not read all of it closes the connection.
pub struct Body {
    /// `None` once it was read to its end.
    payload: Option<Payload>,
    /// It comes in chunks.
    chunked: bool,
    /// The bytes it is said to have.
    announced: Option<u64>,
    /// Of the connection it comes by.
    watch: Option<Watch>,
}

impl Body {
    /// The body that `request` brings.
    pub fn new(request: &HttpRequest, payload: Payload) -> Self {
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        Self {
            payload: Some(payload),
            chunked: request.headers().contains_key(header::TRANSFER_ENCODING),
            announced: length.and_then(|length| length.parse().ok()),
            watch: request.conn_data().cloned(),
        }
    }

    /// All of it. Who announces more than `bytes_max` is refused before any of it is read.
    pub async fn read(&mut self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        if self.announced.is_some_and(|announced| announced > bytes_max as u64) {
            return Err(BodyError::TooLarge);
        }
        let mut whole = Vec::new();
        let Some(payload) = &mut self.payload else { return Ok(whole) };
        let reading = async {
            while let Some(piece) = payload.next().await {
                let piece = piece.map_err(|_| BodyError::BrokeOff)?;
                if piece.len() > bytes_max.saturating_sub(whole.len()) {
                    return Err(BodyError::TooLarge);
                }
                whole.extend_from_slice(&piece);
            }
            Ok(())
        };
        match timeout(limits::HTTP_BODY_WAIT_MAX, reading).await {
            Ok(read) => read?,
            Err(_) => {
                self.watch.iter().for_each(Watch::is_slow);
                return Err(BodyError::TooSlow);
            }
        }
        self.payload = None;
        Ok(whole)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take().filter(|_| self.chunked) {
            hold(payload);
        }
    }
}
