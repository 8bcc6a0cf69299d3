//! A way between two nodes that a test can cut without either of them being told.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Carries connections to an address. While it is cut it takes what is said and keeps it back: connections stand, as over a
/// line that somebody pulled. Gone when dropped.
pub struct Way {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Way {
    /// Carries connections to `to`, `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn open(to: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (is_cut, cut) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(carry(caller, to.clone(), cut.clone()));
            }
        });
        Ok(Self { address, is_cut, accepting })
    }

    /// Where it takes connections.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing gets through.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// From now on all gets through, what was kept back first.
    pub fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(caller: TcpStream, to: String, cut: watch::Receiver<bool>) {
    let Ok(called) = TcpStream::connect(to).await else { return };
    let (from_caller, to_caller) = caller.into_split();
    let (from_called, to_called) = called.into_split();
    tokio::select! {
        () = copy(from_caller, to_called, cut.clone()) => {}
        () = copy(from_called, to_caller, cut) => {}
    }
}

/// Until one of the two ends, or the way is gone.
async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if cut.wait_for(|cut| !*cut).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
