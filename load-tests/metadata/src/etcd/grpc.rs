//! As much of etcd's API (`etcdserverpb.KV/Put`) as it takes to write.

use std::task::{Context, Poll};

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic_prost::ProstCodec;

/// `etcdserverpb.PutRequest`, without leases and former values.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.PutResponse`, of which nothing is read.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Done {}

/// One connection, shared by who clones it.
#[derive(Clone)]
pub struct Client(Channel);

impl Client {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// Nobody listens there, or not HTTP/2.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let (requests, connection) = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(tcp)).await?;
        // How it ends is seen by its requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(Channel(requests)))
    }

    /// Writes, and waits until that is committed.
    ///
    /// # Errors
    /// It was not, or nobody says so.
    pub async fn put(&self, key: Vec<u8>, value: Vec<u8>) -> anyhow::Result<()> {
        let origin = http::Uri::from_static("http://etcd.invalid");
        let mut grpc = tonic::client::Grpc::with_origin(self.0.clone(), origin);
        grpc.ready().await.context("the connection ended")?;
        let path = http::uri::PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<Put, Done>::default();
        grpc.unary(tonic::Request::new(Put { key, value }), path, codec).await?;
        Ok(())
    }
}

#[derive(Clone)]
struct Channel(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
