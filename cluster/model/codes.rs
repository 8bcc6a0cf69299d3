//! What nodes tell each other of subscribers' codes, so that all of them count wrong ones together.

use std::net::IpAddr;

use base::{AppName, StreamId};
use serde::{Deserialize, Serialize};

use crate::SubscriberId;

/// Codes of a subscriber that came to a node from one network since it last told of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodesSeen {
    /// The application.
    pub app: AppName,
    /// The stream.
    pub stream: StreamId,
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// The network: /24 of IPv4, /56 of IPv6.
    pub network: IpAddr,
    /// So many were wrong.
    pub wrong: u32,
    /// The last one was right.
    pub right: bool,
}
