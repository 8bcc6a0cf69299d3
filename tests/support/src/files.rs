//! Serves folders over HTTP on a free port of loopback, for pages that are not the node's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request's head that are read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A running server; it ends when dropped.
pub struct FileServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FileServer {
    /// Serves `folder`.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start(folder: impl Into<PathBuf>) -> std::io::Result<Self> {
        let folder: Arc<Path> = folder.into().into();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        // Whoever is in another network of this machine replaces the address.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let folder = Arc::clone(&folder);
                // A browser that hangs up in the middle is no matter of the test's.
                tokio::spawn(async move { answer(stream, &folder).await.unwrap_or(()) });
            }
        });
        Ok(Self { address, task })
    }

    /// The address of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    // A body that is left unread would cut the answer off.
    let at = head.windows(4).position(|w| w == b"\r\n\r\n").map_or(head.len(), |at| at + 4);
    let text = String::from_utf8_lossy(&head[..at]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    while head.len() - at < length.unwrap_or(0).min(HEAD_BYTES_MAX) && stream.read_buf(&mut head).await? > 0 {
    }
    let head = String::from_utf8_lossy(&head[..at]);
    let path = head.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/").trim_start_matches('/');
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let body = if inside { tokio::fs::read(folder.join(path)).await.ok() } else { None };
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let kind = kind(path);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("mp4") => "video/mp4",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    #[tokio::test]
    async fn files_are_served_and_nothing_outside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        std::fs::write(folder.path().join("inside/a.html"), "hello").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let server = FileServer::start(folder.path().join("inside")).await.unwrap();
        let found = request("GET", &server.url("a.html?x=1"), None).await.unwrap();
        assert_eq!((found.status, found.text().as_str()), (200, "hello"));
        assert_eq!(found.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(request("GET", &server.url("../secret"), None).await.unwrap().status, 404);
        assert_eq!(request("GET", &server.url("b.html"), None).await.unwrap().status, 404);
    }
}
