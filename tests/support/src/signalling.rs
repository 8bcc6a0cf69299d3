//! A WebSocket client that speaks JSON and knows nothing of what it means.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Time for one message to come.
const MESSAGE_MAX: Duration = Duration::from_secs(10);

/// Why there is no message.
#[derive(Debug)]
pub enum SignallingError {
    /// The socket failed or could not be opened.
    Socket(Box<tungstenite::Error>),
    /// The server closed the socket, with these words.
    Closed(String),
    /// What came is not JSON.
    NotJson(String),
    /// Nothing came in time.
    TimedOut,
}

impl std::fmt::Display for SignallingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "the socket failed: {error}"),
            Self::Closed(reason) => write!(f, "the server closed the socket: {reason}"),
            Self::NotJson(text) => write!(f, "not JSON: {text}"),
            Self::TimedOut => write!(f, "no message within {MESSAGE_MAX:?}"),
        }
    }
}

impl std::error::Error for SignallingError {}

impl From<tungstenite::Error> for SignallingError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// An open socket.
pub struct Signalling(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Signalling {
    /// Opens a socket to a `ws://` address.
    ///
    /// # Errors
    /// The server refused it.
    pub async fn open(url: &str) -> Result<Self, SignallingError> {
        let opened = timeout(MESSAGE_MAX, connect_async(url)).await.map_err(|_| SignallingError::TimedOut)?;
        Ok(Self(opened?.0))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&mut self, message: &Value) -> Result<(), SignallingError> {
        self.send_text(message.to_string()).await
    }

    /// Sends a text that need not be JSON.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send_text(&mut self, text: String) -> Result<(), SignallingError> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// The next message of the server.
    ///
    /// # Errors
    /// None within ten seconds, the socket closed, or not JSON.
    pub async fn receive(&mut self) -> Result<Value, SignallingError> {
        self.receive_within(MESSAGE_MAX).await
    }

    /// The next message of the server.
    ///
    /// # Errors
    /// None within `patience`, the socket closed, or not JSON.
    pub async fn receive_within(&mut self, patience: Duration) -> Result<Value, SignallingError> {
        let next = async {
            loop {
                match self.0.next().await {
                    None => return Err(SignallingError::Closed("without a word".to_owned())),
                    Some(Ok(Message::Text(text))) => {
                        return serde_json::from_str(&text)
                            .map_err(|_| SignallingError::NotJson(text.to_string()));
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let reason = frame.map_or_else(String::new, |f| format!("{} {}", f.code, f.reason));
                        return Err(SignallingError::Closed(reason));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.into()),
                }
            }
        };
        timeout(patience, next).await.map_err(|_| SignallingError::TimedOut)?
    }

    /// Sends a message and gives the next one of the server.
    ///
    /// # Errors
    /// See [`send`](Self::send) and [`receive`](Self::receive).
    pub async fn ask(&mut self, message: &Value) -> Result<Value, SignallingError> {
        self.send(message).await?;
        self.receive().await
    }

    /// Asks to play a stream, again when it begins if it has not yet, and gives the answer.
    ///
    /// # Errors
    /// See [`receive`](Self::receive); the stream did not begin within `patience`.
    pub async fn play(&mut self, stream: &str, patience: Duration) -> Result<Value, SignallingError> {
        let mut answer = self.first_word(stream, patience).await?;
        while answer["definition"] == "streaming_starts_soon" {
            answer = self.receive_within(patience).await?;
        }
        Ok(answer)
    }

    /// As [`play`](Self::play), and gives the first that is told, be it that something is made first.
    ///
    /// # Errors
    /// See [`play`](Self::play).
    pub async fn first_word(&mut self, stream: &str, patience: Duration) -> Result<Value, SignallingError> {
        let play = json!({ "command": "play", "streamId": stream });
        let answer = self.ask(&play).await?;
        if answer["definition"] != "no_stream_exist" {
            return Ok(answer);
        }
        while self.receive_within(patience).await?["definition"] != "streaming_started" {}
        self.ask(&play).await
    }

    /// The next message for which `wanted` holds; others are passed over.
    ///
    /// # Errors
    /// See [`receive`](Self::receive).
    pub async fn receive_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, SignallingError> {
        loop {
            let message = self.receive().await?;
            if wanted(&message) {
                return Ok(message);
            }
        }
    }
}
