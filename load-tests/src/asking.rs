//! Many that ask the same over HTTP, each again and again over one connection; and a server that does nothing but answer.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::swarm::{Percentiles, Spread};

/// What is done before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// Bytes of a whole answer at most.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What came of asking.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Asked {
    /// Answers in the time that was measured; all of them were 200.
    pub answers: u64,
    /// Of them per second.
    pub per_second: f64,
    /// How long they took, milliseconds.
    pub ms: Percentiles,
    /// Bytes of a body.
    pub body_bytes: usize,
}

/// The request `head` (from its first line to the empty one) over `connections` at a time, for `length` after a warm-up.
///
/// # Errors
/// An answer is not 200, or a connection fails.
pub async fn ask_on(
    address: SocketAddr,
    head: &str,
    connections: usize,
    length: Duration,
) -> anyhow::Result<Asked> {
    let head: Arc<[u8]> = head.as_bytes().into();
    let from = SystemClock.now() + WARM_UP;
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        asking.spawn(one(address, Arc::clone(&head), (from, from + length)));
    }
    let (mut spread, mut answers, mut body_bytes) = (Spread::default(), 0, 0);
    while let Some(one) = asking.join_next().await {
        let (took, count, body) = one.context("one that asks failed")??;
        spread.merge(&took);
        answers += count;
        body_bytes = body;
    }
    let ms = spread.percentiles_ms().context("nothing was answered")?;
    Ok(Asked { answers, per_second: (answers as f64 / length.as_secs_f64()).round(), ms, body_bytes })
}

async fn one(
    address: SocketAddr,
    head: Arc<[u8]>,
    (from, until): (Instant, Instant),
) -> anyhow::Result<(Spread, u64, usize)> {
    let mut stream = TcpStream::connect(address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let (mut spread, mut count, mut body) = (Spread::default(), 0, 0);
    let mut answer = Vec::with_capacity(4096);
    loop {
        let began = SystemClock.now();
        if began >= until {
            return Ok((spread, count, body));
        }
        stream.write_all(&head).await?;
        answer.clear();
        body = loop {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
            ensure!(answer.len() <= ANSWER_BYTES_MAX, "an answer without an end");
            if let Some(body) = whole(&answer)? {
                break body;
            }
        };
        if began >= from {
            spread.add(SystemClock.now() - began);
            count += 1;
        }
    }
}

/// Bytes of the body of an answer that is whole.
fn whole(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = (std::str::from_utf8(&answer[..end])?, &answer[end + 4..]);
    if !head.starts_with("HTTP/1.1 200") {
        bail!("not what was asked for: {head}");
    }
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("a body without a length")?.1.trim().parse()?;
    Ok((body.len() >= length).then_some(length))
}

/// Answers everything with the same body of so many bytes and the headers that REST has, as one thread of actix-web does it
/// best. Says its address on standard output, and goes on until its process ends. To be called outside a runtime.
///
/// # Errors
/// It cannot listen.
pub fn serve_plain(bytes: usize) -> anyhow::Result<()> {
    let body = Bytes::from("x".repeat(bytes));
    actix_web::rt::System::new().block_on(async {
        let app = move || {
            let body = body.clone();
            let answer = move || {
                let body = body.clone();
                async move {
                    HttpResponse::Ok()
                        .insert_header((header::CACHE_CONTROL, "no-store"))
                        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                        .insert_header((header::VARY, "Origin"))
                        .content_type("application/json")
                        .body(body)
                }
            };
            App::new().default_service(web::to(answer))
        };
        let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).context("no port")?;
        let address = *server.addrs().first().context("no address")?;
        let mut out = std::io::stdout();
        writeln!(out, "{address}")?;
        out.flush()?;
        server.run().await.context("the plain server failed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(whole(answer).unwrap(), Some(3));
        for part in [10, answer.len() - 4, answer.len() - 1] {
            assert_eq!(whole(&answer[..part]).unwrap(), None, "{part}");
        }
        assert!(whole(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
