//! The door of REST and of the management pages: who a request is, and what it may ask. No HTTP in here.
//!
//! Three things make somebody known: an address, the word of who signed a JWT, and a session that began with a password.
//! Each says its own part ([`Caller`], [`AppDoor`], [`Users`]); what a route needs is its row's in the table of `api`.
//!
//! Invariants
//! - An address is believed as far as [`PeerAddr`](base::PeerAddr) says, and of one that is this machine's own also the
//!   name it was asked by and the page that asks have to fit.
//! - A session is worth nothing to a page of another origin, and ends with its user's password.
//! - Passwords are stored as argon2id of what AMS stores (MD5), which cannot be turned back.

mod app;
mod attempts;
mod caller;
mod cors;
mod logins;
mod password;
mod rights;
mod users;

pub use app::{AppDoor, AppRefusal, bare as bare_token};
pub use caller::{Caller, NotMachine, Origin};
pub use cors::{CorsAnswer, CorsRequest, decide as decide_cors};
pub use rights::{Rights, UserType, types_of};
pub use users::{LogIn, LoggedIn, UserError, Users};
