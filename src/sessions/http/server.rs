//! The web listeners: every connection is counted and watched before HTTP, or TLS, sees a byte of it.

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Request, Response};
use actix_rt::net::TcpStream;
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use base::{Clock, PeerAddr, limits};
use observe::metric;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connections::Connections;
use crate::patience::Overdue;
use crate::peer::Encrypted;
use crate::proxy;
use crate::watched::Watched;

type Plain = Watched<TcpStream>;
type Secure = TlsStream<Plain>;
type Served<IO> = (IO, Option<SocketAddr>);

/// What the web server is made of.
pub struct HttpOptions {
    /// Where it speaks HTTP.
    pub http: Vec<TcpListener>,
    /// Where it speaks HTTPS.
    pub https: Vec<TcpListener>,
    /// Connections of HTTP begin with a header of the PROXY protocol.
    pub http_proxied: bool,
    /// The same of HTTPS.
    pub https_proxied: bool,
    /// The certificate of HTTPS.
    pub tls: ServerConfig,
    /// Threads.
    pub workers: usize,
    /// How many connections there may be.
    pub connections: Connections,
    /// Seconds for requests under way when it is stopped.
    pub shutdown_max_s: u64,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// Counts connections and puts a watch on them.
#[derive(Clone)]
struct Door {
    connections: Connections,
    /// Of who has not said yet for whom it speaks; `None`: nobody is asked.
    proxied: Option<Connections>,
    clock: Arc<dyn Clock>,
}

impl Door {
    async fn let_in(&self, mut socket: TcpStream) -> Result<(Plain, SocketAddr), DispatchError> {
        let mut address = socket.peer_addr()?;
        if let Some(waiting) = &self.proxied {
            let _waits = waiting.open(PeerAddr::new(address)).map_err(|too_many| {
                metric::http_refused(too_many.label()).increment(1);
                io::Error::from(io::ErrorKind::ConnectionRefused)
            })?;
            address = proxy::speaker(&mut socket, address).await?;
        }
        // Answers are small and whole; failing to set this only costs time.
        let _ = socket.set_nodelay(true);
        // So does this: a slow player is seen later.
        let _ = SockRef::from(&socket).set_tcp_notsent_lowat(limits::HTTP_NOTSENT_BYTES_MAX);
        match self.connections.open(PeerAddr::new(address)) {
            Ok(open) => Ok((Watched::new(socket, open, Arc::clone(&self.clock)), address)),
            Err(too_many) => {
                metric::http_refused(too_many.label()).increment(1);
                Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
            }
        }
    }

    async fn plain(self, socket: TcpStream) -> Result<Served<Plain>, DispatchError> {
        let (stream, address) = self.let_in(socket).await?;
        Ok((stream, Some(address)))
    }

    async fn secure(self, acceptor: TlsAcceptor, socket: TcpStream) -> Result<Served<Secure>, DispatchError> {
        let (stream, address) = self.let_in(socket).await?;
        let watch = stream.watch();
        // Held, so that the reason is noted before the connection is dropped.
        let mut accepting = pin!(acceptor.accept(stream));
        let Ok(accepted) = timeout(limits::HTTPS_HANDSHAKE_MAX, accepting.as_mut()).await else {
            watch.is_overdue(Overdue::SlowTls);
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        };
        Ok((accepted?, Some(address)))
    }
}

/// Serves the application that `app` makes, once per worker, on all listeners.
///
/// A request finds its connection's [`Watch`](crate::Watch) as connection data. Its `AppConfig` says nothing
/// of where the node can be reached.
///
/// # Errors
/// A listener cannot be used.
pub fn serve<F, I, S, B>(options: HttpOptions, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let (connections, clock) = (options.connections, options.clock);
    let door = |proxied: bool| Door {
        connections: connections.clone(),
        proxied: proxied.then(|| Connections::new(limits::PROXY_HEADERS_WAITING_MAX, usize::MAX)),
        clock: Arc::clone(&clock),
    };
    let (http_door, https_door) = (door(options.http_proxied), door(options.https_proxied));
    let mut tls = options.tls;
    // Not HTTP/2: one connection is many requests there, and no single patience fits them.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut server = ServerBuilder::new()
        .workers(options.workers)
        .max_concurrent_connections(limits::HTTP_CONNECTIONS_PER_WORKER_MAX)
        .shutdown_timeout(options.shutdown_max_s)
        .disable_signals();
    // Of actix-web's own server: connections that ask for nothing close when it stops.
    let stops = server.graceful_shutdown_signal();

    // The timers of the HTTP service are off: they know neither bodies nor peers that do not read.
    macro_rules! http_service {
        ($watch:expr, $mark:expr) => {{
            let (app, stops) = (app.clone(), stops.clone());
            move || {
                let stops = stops.clone();
                let app = app().into_factory().map_err(|error| error.into().error_response());
                HttpService::build()
                    .keep_alive(actix_http::KeepAlive::Os)
                    .client_request_timeout(std::time::Duration::ZERO)
                    .client_disconnect_timeout(limits::HTTP_GOODBYE_MAX)
                    .graceful_shutdown_signal(move || {
                        let stops = stops.clone();
                        async move { stops.notified().await }
                    })
                    .on_connect_ext(move |stream: &_, data| {
                        data.insert($watch(stream));
                        $mark(data);
                    })
                    .h1(map_config(app, |()| AppConfig::default()))
            }
        }};
    }

    for listener in options.http {
        let (door, http) =
            (http_door.clone(), http_service!(|stream: &Plain| stream.watch(), |_: &mut Extensions| ()));
        server = server.listen("http", listener, move || {
            let door = door.clone();
            fn_service(move |socket| door.clone().plain(socket)).and_then(http())
        })?;
    }
    for listener in options.https {
        let (door, acceptor) = (https_door.clone(), acceptor.clone());
        let http = http_service!(|stream: &Secure| stream.get_ref().0.watch(), |data: &mut Extensions| {
            data.insert(Encrypted);
        });
        server = server.listen("https", listener, move || {
            let (door, acceptor) = (door.clone(), acceptor.clone());
            fn_service(move |socket| door.clone().secure(acceptor.clone(), socket)).and_then(http())
        })?;
    }
    Ok(server.run())
}
