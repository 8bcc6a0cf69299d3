//! A whole shard against a client made of the same sans-I/O crates, on a virtual clock and an
//! in-memory link.

mod addresses;
mod client;
mod connecting;
mod data_client;
mod forger;
mod known_attacks;
mod messages;
mod native;
mod offering;
mod overload;
mod playing;
mod readers;
mod recovering;
mod reoffering;
mod statistics;
mod world;
