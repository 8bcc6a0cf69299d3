//! The gate that every publisher and every player passes, whatever its protocol; and the [`door`] of REST.
//!
//! A protocol's edge fills in an [`Access`], calls [`Gate::admit`] and holds the [`Permit`] as long as
//! its session lives, or maps the [`Denial`] to its own refusal. Checks run in AMS's order (its bean
//! `streamPublishSecurityList`), the first refusal ends it, and all mechanisms that are switched on must
//! pass. No protocol's name is in here.
//!
//! Invariants
//! - A permit comes from a gate and from nowhere else. It holds the seats that limits count and frees
//!   them when it is dropped.
//! - At most one publish seat per (application, stream) exists on a node: it is the one owner of "who
//!   publishes". A permit may say when its seat may pass to another ([`Permit::give_way_when`]).
//! - A one-time token is spent last, by the metadata plane, and holds for the session it let in alone.
//! - A permit ends or pauses when what it rests on goes: its subscriber is blocked, its token revoked, its secret replaced,
//!   the metadata plane away for too long. Who notices says so in one list of all live permits.
//! - What refuses somebody is certain: it is asked of the plane, not of what this node happens to know.
//! - Credentials and whole addresses reach neither log nor metric.

mod access;
mod address;
pub mod credential;
mod denial;
pub mod door;
mod gate;
mod grounds;
mod jwks;
mod live;
mod outside;
mod permit;
pub mod seal;
mod seats;
mod slots;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use access::{Access, Came, Direction, Viewer};
pub use address::{AddressRanges, Forwarding, TrustedProxies, address_of};
pub use denial::{Denial, TotpFault};
pub use gate::{ClauseShown, Explanation, Gate, GateParts};
pub use jwks::{JwksFault, JwksSource, KeySets};
pub use live::LiveSession;
pub use outside::{Authorizer, Plane};
pub use permit::{Permit, PermitControl, PermitLife, PermitState};
