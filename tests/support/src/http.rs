//! A plain HTTP/1.1 client: one request, one connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::canaries;

/// Time for one request with its answer.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub enum HttpError {
    /// Not an `http://host:port/path` address.
    Url(String),
    /// The connection failed.
    Io(std::io::Error),
    /// No answer within ten seconds.
    TimedOut,
    /// The answer is not HTTP.
    Malformed,
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "`{url}` is not an http address"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::TimedOut => f.write_str("no answer within ten seconds"),
            Self::Malformed => f.write_str("the answer is not http"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<std::io::Error> for HttpError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request; `body` is sent as JSON.
///
/// # Errors
/// See [`HttpError`]; a status of 4xx or 5xx is an answer, not an error.
pub async fn request(
    method: &str,
    url: &str,
    body: Option<&serde_json::Value>,
) -> Result<Response, HttpError> {
    match body {
        Some(body) => ask(method, url, &[("Content-Type", "application/json")], &body.to_string()).await,
        None => ask(method, url, &[], "").await,
    }
}

/// Sends one request with headers; an empty body is none.
///
/// # Errors
/// As for [`request`].
pub async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response, HttpError> {
    let (host, path) = split(url).ok_or_else(|| HttpError::Url(url.to_owned()))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut bytes = Vec::new();
        // Not everybody closes when asked to: the answer ends where it says it ends.
        loop {
            let ended = stream.read_buf(&mut bytes).await? == 0;
            match parse(&bytes, ended) {
                Some(response) => return Ok(response),
                None if ended => return Err(HttpError::Malformed),
                None => {}
            }
        }
    };
    let answer: Response = timeout(REQUEST_MAX, exchange).await.map_err(|_| HttpError::TimedOut)??;
    canaries::learn_all(&serde_json::from_str(body).unwrap_or_default());
    canaries::learn_all(&answer.json());
    Ok(answer)
}

fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    Some(rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)))
}

/// `None`: not whole, or not HTTP.
fn parse(bytes: &[u8], ended: bool) -> Option<Response> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = bytes.get(end + 4..)?;
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v.eq_ignore_ascii_case("chunked"));
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok());
    let body = match length {
        // Nothing follows.
        _ if status == 204 => Vec::new(),
        _ if chunked => unchunk(body)?,
        Some(length) => body.get(..length)?.to_vec(),
        None if ended => body.to_vec(),
        None => return None,
    };
    Some(Response { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend_from_slice(rest.get(start..start.checked_add(size)?)?);
        rest = rest.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_put_together() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let response = parse(answer, false).unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "abcde"));
        assert_eq!(response.header("x-a"), Some("b"));
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer", true).is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true).is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true).is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\nab", false).is_none());
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nab", true).unwrap().text(), "ab");
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split("http://h:1/a?b"), Some(("h:1", "/a?b")));
        assert_eq!(split("http://h:1"), Some(("h:1", "/")));
        assert_eq!(split("https://h/"), None);
    }
}
