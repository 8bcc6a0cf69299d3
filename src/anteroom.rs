//! What a node of a cluster answers while the metadata plane has not taken it in, which may last as long as a majority of the
//! members is down: who watches over it sees that it lives, everybody else that it is not ready. Without this, connections
//! would be taken by the kernel and answered by nobody.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_web::dev::ServerHandle;
use actix_web::{App, web};
use observe::Readiness;
use sessions::http::HttpOptions;

/// After a connection that could not be taken: at the limit of open files the next one cannot be either.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Open until the node serves.
pub struct Anteroom {
    web: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    rtmp: Vec<JoinHandle<()>>,
}

impl Anteroom {
    /// Answers on copies of the listeners that the node will serve.
    ///
    /// # Errors
    /// A listener cannot be used.
    pub fn open(options: HttpOptions, rtmp: &[TcpListener], readiness: Readiness) -> io::Result<Self> {
        let readiness = web::Data::new(readiness);
        let app = move || App::new().app_data(readiness.clone()).configure(api::configure_waiting);
        let server = sessions::http::serve(HttpOptions { workers: 1, ..options }, app)?;
        let rtmp = copies(rtmp)?.into_iter().map(|listener| actix_rt::spawn(turn_away(listener))).collect();
        Ok(Self { web: server.handle(), serving: actix_rt::spawn(server), rtmp })
    }

    /// Answers nobody any more. Who comes meanwhile waits in the kernel for the node.
    pub async fn close(self) {
        self.rtmp.iter().for_each(JoinHandle::abort);
        self.web.stop(true).await;
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the web server of the time before failed");
        }
    }
}

/// The same listeners once more.
///
/// # Errors
/// There are too many open files.
pub fn copies(listeners: &[TcpListener]) -> io::Result<Vec<TcpListener>> {
    listeners.iter().map(TcpListener::try_clone).collect()
}

/// Closes every connection at once: RTMP has no word for "not yet", and encoders come again when they are cut off.
async fn turn_away(listener: TcpListener) {
    let listener =
        listener.set_nonblocking(true).and_then(|()| actix_rt::net::TcpListener::from_std(listener));
    let Ok(listener) = listener else { return };
    loop {
        if listener.accept().await.is_err() {
            actix_rt::time::sleep(ACCEPT_AGAIN_AFTER).await;
        }
    }
}
