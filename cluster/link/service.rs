//! What others may ask for on their connections.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use base::{PeerAddr, limits};
use cluster_core::{Class, NodeId};
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use hyper::body::Incoming;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service as _;

use crate::proto::link_server::{Link, LinkServer};
use crate::proto::{Frame, Introduction, Order, Report, Welcome, frame};
use crate::queue::message_bytes_max;
use crate::shared::{PROTOCOL, Shared};
use crate::wire::{Greeting, Senseless, tame};
use crate::{Local, PeerName, Refusal};

/// Serves one connection.
#[derive(Clone)]
pub(crate) struct Service(Arc<Caller>);

/// Who is at its other end.
struct Caller {
    shared: Arc<Shared>,
    name: PeerName,
    address: PeerAddr,
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>, name: PeerName, address: PeerAddr) -> Self {
        Self(Arc::new(Caller { shared, name, address }))
    }

    pub(crate) fn call(
        &self,
        request: http::Request<Incoming>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>> {
        let call = request.uri().path().strip_prefix("/penstock.cluster.v1.Link/");
        let bytes_max = match call {
            Some("Raft") => frame_bytes_max(Class::Raft),
            Some("Snapshot") => frame_bytes_max(Class::Snapshot),
            Some("Meta") => frame_bytes_max(Class::Meta),
            Some("Introduce" | "Operate") => limits::CLUSTER_CALL_BYTES_MAX,
            _ => {
                self.0.refused(Refusal::UnknownCall, "");
                0
            }
        };
        LinkServer::from_arc(Arc::clone(&self.0)).max_decoding_message_size(bytes_max).call(request)
    }
}

const fn frame_bytes_max(class: Class) -> usize {
    message_bytes_max(class) + limits::CLUSTER_FRAME_OVERHEAD_BYTES_MAX
}

type Welcomes = BoxStream<'static, Result<Welcome, Status>>;

#[async_trait]
impl Link for Caller {
    type RaftStream = Welcomes;
    type SnapshotStream = Welcomes;
    type MetaStream = Welcomes;

    async fn raft(&self, request: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        self.listen(Class::Raft, request.into_inner()).await
    }

    async fn snapshot(&self, request: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        self.listen(Class::Snapshot, request.into_inner()).await
    }

    async fn meta(&self, request: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        self.listen(Class::Meta, request.into_inner()).await
    }

    async fn introduce(&self, request: Request<Introduction>) -> Result<Response<Introduction>, Status> {
        let (local, _call) = self.begin_call()?;
        let theirs: crate::Introduction =
            request.into_inner().try_into().map_err(|error| self.senseless(&error))?;
        if theirs.node != self.name.node() {
            return Err(
                self.refuse(Refusal::OtherNode, "the introduction is another node's than the certificate")
            );
        }
        match timeout(limits::CLUSTER_CALL_MAX, local.introduce(theirs)).await {
            Ok(ours) => Ok(Response::new(ours.into())),
            Err(_) => Err(Status::deadline_exceeded("the node did not answer in time")),
        }
    }

    async fn operate(&self, request: Request<Order>) -> Result<Response<Report>, Status> {
        let (local, _call) = self.begin_call()?;
        let ours = self.shared.cluster();
        if let PeerName::Node { cluster, .. } = self.name
            && (ours.is_none() || cluster != ours)
        {
            return Err(self.refuse(Refusal::OtherCluster, "a node gives orders to its own cluster alone"));
        }
        let order: crate::Order = request.into_inner().try_into().map_err(|error| self.senseless(&error))?;
        match timeout(limits::CLUSTER_CALL_MAX, local.operate(order)).await {
            Ok(Ok(report)) => Ok(Response::new(report.into())),
            Ok(Err(why)) => Err(Status::failed_precondition(why)),
            Err(_) => Err(Status::deadline_exceeded("the node did not answer in time")),
        }
    }
}

impl Caller {
    fn refused(&self, why: Refusal, detail: &str) {
        self.shared.counters.refused(why, self.address, &format!("{}: {detail}", self.name));
    }

    /// Counts a refusal, and gives what the other node is told.
    fn refuse(&self, why: Refusal, said: &str) -> Status {
        self.refused(why, said);
        match why {
            Refusal::Full => Status::resource_exhausted(said),
            Refusal::Malformed | Refusal::Silent => Status::invalid_argument(said),
            Refusal::OtherProtocol => Status::unimplemented(said),
            _ => Status::permission_denied(said),
        }
    }

    fn senseless(&self, error: &Senseless) -> Status {
        self.refuse(Refusal::Malformed, &error.to_string())
    }

    fn begin_call(&self) -> Result<(Arc<dyn Local>, SemaphorePermit<'_>), Status> {
        let local = self.local()?;
        match self.shared.calls.try_acquire() {
            Ok(call) => Ok((local, call)),
            Err(_) => Err(self.refuse(Refusal::Full, "the node is busy with other calls: try again")),
        }
    }

    fn local(&self) -> Result<Arc<dyn Local>, Status> {
        self.shared.local().ok_or_else(|| Status::unavailable("the node is starting, or stopping"))
    }

    /// Takes the hello, welcomes, and listens for as long as the answer is wanted.
    async fn listen(&self, class: Class, mut frames: Streaming<Frame>) -> Result<Response<Welcomes>, Status> {
        let local = self.local()?;
        let node = self.take_hello(&mut frames).await?;
        let welcome = Welcome { protocol: PROTOCOL, node: self.shared.node.0, life: self.shared.life };
        let (shared, name, address) = (Arc::clone(&self.shared), self.name, self.address);
        let caller = Self { shared, name, address };
        let listening = async move { caller.receive(&*local, node, class, frames).await };
        // The second word comes when there is nothing to listen to any more, and only if that is a fault.
        let end = listening.into_stream().filter_map(|end| ready(end.err().map(Err)));
        Ok(Response::new(stream::iter([Ok(welcome)]).chain(end).boxed()))
    }

    async fn take_hello(&self, frames: &mut Streaming<Frame>) -> Result<NodeId, Status> {
        let first = match timeout(limits::CLUSTER_SILENCE_MAX, frames.message()).await {
            Ok(first) => first.map_err(|status| self.broken(status))?,
            Err(_) => return Err(self.refuse(Refusal::Silent, "no hello came")),
        };
        let Some(Frame { kind: Some(frame::Kind::Hello(hello)) }) = first else {
            return Err(self.refuse(Refusal::Malformed, "the first message is no hello"));
        };
        let hello: Greeting = hello.try_into().map_err(|error| self.senseless(&error))?;
        let (ours, us) = (self.shared.cluster(), self.shared.node);
        if hello.protocol != PROTOCOL {
            let said = format!("this node speaks version {PROTOCOL}, and not {}", hello.protocol);
            return Err(self.refuse(Refusal::OtherProtocol, &said));
        }
        if self.name.node() != Some(hello.node) {
            let said = format!("the hello says node {}, the certificate does not", hello.node);
            return Err(self.refuse(Refusal::OtherNode, &said));
        }
        if hello.node == us {
            let said = format!("node {us} is this node: two have one id");
            return Err(self.refuse(Refusal::OtherNode, &said));
        }
        if ours.is_none() || ours != Some(hello.cluster) || ours != self.name.cluster() {
            let said = match ours {
                Some(ours) => format!("node {us} is of cluster {ours}, and the caller is not"),
                None => format!("node {us} is in no cluster yet"),
            };
            return Err(self.refuse(Refusal::OtherCluster, &said));
        }
        if !self.shared.learn(hello.node, hello.address, hello.life) {
            return Err(self.refuse(Refusal::Full, "there are too many nodes"));
        }
        Ok(hello.node)
    }

    async fn receive(
        &self,
        local: &dyn Local,
        node: NodeId,
        class: Class,
        mut frames: Streaming<Frame>,
    ) -> Result<(), Status> {
        while let Some(frame) = frames.message().await.map_err(|status| self.broken(status))? {
            let Some(frame::Kind::Message(message)) = frame.kind else {
                return Err(self.refuse(Refusal::Malformed, "there is one hello, and messages after it"));
            };
            let taken = local.receive(node, message.into());
            self.shared.counters.received(class, taken);
        }
        Ok(())
    }

    /// What came is no message; or none came, because the connection ended, which is nobody's fault.
    fn broken(&self, status: Status) -> Status {
        let fault = std::error::Error::source(&status).is_none()
            && matches!(status.code(), tonic::Code::Internal | tonic::Code::OutOfRange);
        if fault { self.refuse(Refusal::Malformed, &tame(status.message())) } else { status }
    }
}
