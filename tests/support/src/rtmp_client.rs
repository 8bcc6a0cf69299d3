//! A publisher that speaks as much RTMP as it takes to be refused, and does nothing an encoder would not
//! let itself be told to do: the bytes are the test's.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time for anything the server has to do.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Chunk size before anybody sets another (RTMP 1.0, 5.4.1).
const CHUNK_SIZE: usize = 128;
const HANDSHAKE_BYTES: usize = 1536;

/// AMF0 values as bytes.
pub mod amf {
    /// A number.
    pub fn number(value: f64) -> Vec<u8> {
        [&[0][..], &value.to_be_bytes()].concat()
    }

    /// A string of less than 64 KiB.
    pub fn string(value: &str) -> Vec<u8> {
        [&[2][..], &name(value)].concat()
    }

    /// Null.
    pub fn null() -> Vec<u8> {
        vec![5]
    }

    /// An object.
    pub fn object(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![3];
        for (key, value) in members {
            bytes.extend(name(key));
            bytes.extend(value);
        }
        bytes.extend([0, 0, 9]);
        bytes
    }

    fn name(value: &str) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], value.as_bytes()].concat()
    }
}

/// The bytes of a command message (type 20) on chunk stream 3, in chunks of 128 bytes.
pub fn command(stream: u32, values: &[Vec<u8>]) -> Vec<u8> {
    message(3, 20, stream, &values.concat())
}

/// The bytes of a message on a chunk stream (3 to 63), in chunks of 128 bytes.
pub fn message(chunk_stream: u8, kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(chunk_stream, kind, stream, u32::try_from(payload.len()).unwrap_or(u32::MAX));
    for (index, chunk) in payload.chunks(CHUNK_SIZE).enumerate() {
        if index > 0 {
            bytes.push(0xc0 | chunk_stream);
        }
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// The bytes of a message at a time, in one chunk: for a connection whose chunk size was set above it. From
/// 4 h 39 min on the time stands behind the header (RTMP 1.0, 5.3.1.3).
pub fn timed_message(chunk_stream: u8, kind: u8, stream: u32, time_ms: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(chunk_stream, kind, stream, u32::try_from(payload.len()).unwrap_or(u32::MAX));
    let [_, t0, t1, t2] = time_ms.min(0xff_ffff).to_be_bytes();
    bytes[1..4].copy_from_slice(&[t0, t1, t2]);
    if time_ms >= 0xff_ffff {
        bytes.extend(time_ms.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A type 0 chunk header that claims `length` bytes (cut to 24 bits).
pub fn header(chunk_stream: u8, kind: u8, stream: u32, length: u32) -> Vec<u8> {
    let [_, l0, l1, l2] = length.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_le_bytes();
    vec![chunk_stream, 0, 0, 0, l0, l1, l2, kind, s0, s1, s2, s3]
}

/// The handshake's first two packets.
pub fn hello() -> Vec<u8> {
    let mut bytes = vec![3; 1 + HANDSHAKE_BYTES];
    // Time and version 0: the simple handshake.
    bytes[1..9].fill(0);
    bytes
}

/// How a connection ended.
#[derive(Debug)]
pub struct Ended {
    /// Every message the server sent, without its chunking: type and payload.
    pub messages: Vec<(u8, Vec<u8>)>,
    /// Whether the server closed within 15 s.
    pub closed: bool,
}

impl Ended {
    /// Whether the server refused to publish with these words, and closed.
    pub fn refused(&self, words: &str) -> bool {
        self.closed && self.said(words) && !self.said("NetStream.Publish.Start")
    }

    /// Whether some message holds this text.
    pub fn said(&self, text: &str) -> bool {
        self.messages.iter().any(|(_, payload)| payload.windows(text.len()).any(|w| w == text.as_bytes()))
    }
}

/// A connection to an RTMP server.
pub struct RtmpClient(TcpStream);

impl RtmpClient {
    /// Connects; nothing is sent yet.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn connect(address: &str) -> std::io::Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Connects, does the handshake and asks to publish; whether it may is not waited for.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), [`handshake`](Self::handshake) and [`publish`](Self::publish).
    pub async fn publishing(address: &str, application: &str, stream: &str) -> std::io::Result<Self> {
        let mut client = Self::connect(address).await?;
        client.handshake().await?;
        client.publish(application, stream).await?;
        Ok(client)
    }

    /// A client over a connection that was made otherwise.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn over(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Does the whole handshake.
    ///
    /// # Errors
    /// The server does not play its part.
    pub async fn handshake(&mut self) -> std::io::Result<()> {
        self.0.write_all(&hello()).await?;
        let mut answer = vec![0; 1 + 2 * HANDSHAKE_BYTES];
        timeout(ANSWER_MAX, self.0.read_exact(&mut answer)).await??;
        // C2 echoes S1.
        self.0.write_all(&answer[1..=HANDSHAKE_BYTES]).await
    }

    /// Sends `connect`, `createStream` and `publish` at once.
    ///
    /// # Errors
    /// The server closed.
    pub async fn publish(&mut self, application: &str, stream: &str) -> std::io::Result<()> {
        let object = amf::object(&[
            ("app", amf::string(application)),
            ("type", amf::string("nonprivate")),
            ("tcUrl", amf::string(&format!("rtmp://localhost/{application}"))),
        ]);
        self.send(&command(0, &[amf::string("connect"), amf::number(1.0), object])).await?;
        self.send(&command(0, &[amf::string("createStream"), amf::number(2.0), amf::null()])).await?;
        let publish =
            [amf::string("publish"), amf::number(3.0), amf::null(), amf::string(stream), amf::string("live")];
        self.send(&command(1, &publish)).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The server closed.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The connection itself, for a test that goes on by itself.
    pub fn into_stream(self) -> TcpStream {
        self.0
    }

    /// Reads until the server closes, at most 15 s, and takes apart what it sent since the handshake.
    pub async fn await_end(mut self) -> Ended {
        let mut bytes = Vec::new();
        let closed = timeout(ANSWER_MAX, async {
            // A reset is a way to close, too.
            while self.0.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
        });
        let closed = closed.await.is_ok();
        Ended { messages: unchunk(&bytes), closed }
    }
}

#[derive(Clone, Default)]
struct ChunkStream {
    length: usize,
    kind: u8,
    payload: Vec<u8>,
}

/// Takes chunks apart (RTMP 1.0, 5.3.1) as far as they are whole.
fn unchunk(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut streams: HashMap<u32, ChunkStream> = HashMap::new();
    let mut chunk_size = CHUNK_SIZE;
    let mut rest = bytes;
    while let Some(after) = next_chunk(rest, &mut streams, &mut chunk_size, &mut messages) {
        rest = after;
    }
    messages
}

fn next_chunk<'a>(
    bytes: &'a [u8],
    streams: &mut HashMap<u32, ChunkStream>,
    chunk_size: &mut usize,
    messages: &mut Vec<(u8, Vec<u8>)>,
) -> Option<&'a [u8]> {
    let (&first, mut rest) = bytes.split_first()?;
    let id = match first & 0x3f {
        0 => {
            let (&low, after) = rest.split_first()?;
            rest = after;
            64 + u32::from(low)
        }
        1 => {
            let (low, after) = rest.split_first_chunk::<2>()?;
            rest = after;
            64 + u32::from(u16::from_le_bytes(*low))
        }
        id => u32::from(id),
    };
    let format = first >> 6;
    let header_bytes = [11, 7, 3, 0][usize::from(format)];
    let (head, after) = rest.split_at_checked(header_bytes)?;
    rest = after;
    let stream = streams.entry(id).or_default();
    if format < 2 {
        stream.length = usize::from(head[3]) << 16 | usize::from(head[4]) << 8 | usize::from(head[5]);
        stream.kind = head[6];
    }
    if format < 3 && head.starts_with(&[0xff, 0xff, 0xff]) {
        rest = rest.get(4..)?;
    }
    let count = (stream.length - stream.payload.len()).min(*chunk_size);
    let (data, after) = rest.split_at_checked(count)?;
    stream.payload.extend_from_slice(data);
    if stream.payload.len() == stream.length {
        let payload = std::mem::take(&mut stream.payload);
        if let (1, Some(size)) = (stream.kind, payload.first_chunk::<4>()) {
            *chunk_size = (u32::from_be_bytes(*size) as usize).max(1);
        }
        messages.push((stream.kind, payload));
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_again() {
        let long = vec![7; 300];
        let mut bytes = message(3, 20, 1, &long);
        bytes.extend(message(2, 1, 0, &4096u32.to_be_bytes()));
        bytes.extend(header(5, 9, 1, 1000));
        bytes.extend(vec![1; 1000]);
        let messages = unchunk(&bytes);
        assert_eq!(messages, [(20, long), (1, vec![0, 0, 16, 0]), (9, vec![1; 1000])]);
    }

    #[test]
    fn what_was_said_is_found() {
        let bytes =
            command(1, &[amf::string("onStatus"), amf::object(&[("code", amf::string("NetStream.Failed"))])]);
        let ended = Ended { messages: unchunk(&bytes), closed: true };
        assert!(ended.said("NetStream.Failed") && !ended.said("NetStream.Publish"));
    }
}
