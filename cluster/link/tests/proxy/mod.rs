//! A way between two nodes that a test can cut, and listen to.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It gets through.
    Open,
    /// It is taken, and goes nowhere; connections stand.
    Silent,
}

/// Takes connections and carries them to another address.
pub struct Proxy {
    /// Where it takes them.
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Proxy {
    /// Carries connections to `to`. It lives as long as the runtime it is started in.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let way = watch::Sender::new(Way::Open);
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let (watched, tape) = (way.subscribe(), Arc::clone(&recorded));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(carry(socket, to, watched.clone(), Arc::clone(&tape)));
            }
        });
        Self { address, way, recorded }
    }

    /// From now on.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// What the caller of each connection has said, in the order they came.
    #[allow(dead_code, reason = "not every test listens")]
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.recorded.lock().clone()
    }
}

async fn carry(caller: TcpStream, to: SocketAddr, way: watch::Receiver<Way>, tape: Arc<Mutex<Vec<Vec<u8>>>>) {
    let place = {
        let mut tape = tape.lock();
        tape.push(Vec::new());
        tape.len() - 1
    };
    let Ok(called) = TcpStream::connect(to).await else { return };
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_called, mut to_called) = called.into_split();
    let mut forth_way = way.clone();
    let forth = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
            tape.lock()[place].extend_from_slice(&buffer[..count]);
            if !passes(&mut forth_way).await || to_called.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let mut back_way = way;
    let back = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_called.read(&mut buffer).await {
            if !passes(&mut back_way).await || to_caller.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}

/// Holds back what came while the way is silent.
async fn passes(way: &mut watch::Receiver<Way>) -> bool {
    way.wait_for(|way| *way == Way::Open).await.is_ok()
}
