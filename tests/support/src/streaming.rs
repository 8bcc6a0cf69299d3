//! A GET whose body goes on: read as it comes, as slowly as the test likes.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Time for the head of an answer.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// An answer whose body comes in chunks.
pub struct Streaming {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// Of the chunk that comes now.
    left: usize,
}

impl Streaming {
    /// Asks for an `http://` address and reads the head of a 200. `window` is what the kernel takes in for us meanwhile, in
    /// bytes.
    ///
    /// # Errors
    /// There is no 200 with a chunked body; the error tells what there was.
    pub async fn get(url: &str, window: u32) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("no http address")?;
        let (host, path) = rest.split_at(rest.find('/').context("no path")?);
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(window)?;
        let mut stream = socket.connect(host.parse()?).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        let head = async {
            loop {
                if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                    return Ok::<_, io::Error>(Some(end));
                }
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(None);
                }
            }
        };
        let end = timeout(HEAD_MAX, head).await??;
        let Some(end) = end else { bail!("no whole head: {}", String::from_utf8_lossy(&bytes)) };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200") && head.contains("transfer-encoding: chunked"), "{head}");
        bytes.drain(..end + 4);
        Ok(Self { stream, bytes, left: 0 })
    }

    /// The next bytes of the body, at most `max`; none at its end.
    ///
    /// # Errors
    /// The connection ended in the middle of the body.
    pub async fn read(&mut self, max: usize) -> io::Result<Vec<u8>> {
        loop {
            if self.left > 2 && !self.bytes.is_empty() {
                let count = max.min(self.left - 2).min(self.bytes.len());
                self.left -= count;
                return Ok(self.bytes.drain(..count).collect());
            }
            if self.left > 0 && self.left <= 2 && self.bytes.len() >= self.left {
                self.bytes.drain(..self.left);
                self.left = 0;
                continue;
            }
            if self.left == 0
                && let Some(line) = self.bytes.windows(2).position(|window| window == b"\r\n")
            {
                let size = std::str::from_utf8(&self.bytes[..line]).map_err(io::Error::other)?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                if size == 0 {
                    return Ok(Vec::new());
                }
                self.bytes.drain(..line + 2);
                // With the line break behind it.
                self.left = size + 2;
                continue;
            }
            let mut piece = vec![0; max.clamp(1, 64 * 1024)];
            let count = self.stream.read(&mut piece).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes.extend_from_slice(&piece[..count]);
        }
    }

    /// All of the body that comes within `time`; whether it ended, and how.
    pub async fn read_for(&mut self, time: Duration) -> (Vec<u8>, Option<io::Result<()>>) {
        let mut whole = Vec::new();
        let reading = async {
            loop {
                match self.read(64 * 1024).await {
                    Ok(piece) if piece.is_empty() => return Ok(()),
                    Ok(piece) => whole.extend(piece),
                    Err(error) => return Err(error),
                }
            }
        };
        let ended = timeout(time, reading).await.ok();
        (whole, ended)
    }
}
