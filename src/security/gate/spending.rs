//! One-time tokens at the gate: what they would be refused for, and how they are spent.

use std::sync::Arc;

use base::{SessionId, StreamId};
use cluster_model::{Direction as Stored, Fingerprint, MetaError, SpendError, Token, TokenFault, TokenId};

use super::Gate;
use super::clauses::Question;
use crate::credential::half_digest;
use crate::grounds::Held;
use crate::{Denial, Direction};

/// A stream that the token may have been made for.
struct Home {
    stream: StreamId,
    /// The type it would have to be of.
    direction: Direction,
    /// What is stored of the token there, if it was not revoked.
    row: Option<Arc<Token>>,
    /// It is its room's that is shown in that room: it is not spent.
    is_for_many: bool,
}

impl Gate {
    /// Where the token may be: with the stream, with any other of the room that it was made for all of (AMS's `roomId`), or with
    /// the room as if that were a stream. Shown in a room a token to publish also plays (AMS). Whether it is for many is what its
    /// row says of the room, and never what came with it: anybody can name a room.
    async fn token_homes(&self, question: &Question<'_>, token: &TokenId) -> Result<Vec<Home>, Denial> {
        let (app, direction) = (&question.access.app, question.access.direction);
        let room = question.open_room();
        let mut streams = vec![question.stream.clone()];
        if let Some(room) = room {
            let home = self.tokens.home_in_room(app, room, token).await;
            streams.extend(home.map_err(|_| Denial::DataStoreNotAvailable)?);
            streams.push(room.clone());
        }
        let mut homes: Vec<Home> = Vec::new();
        for stream in streams {
            if homes.iter().any(|home| home.stream == stream) {
                continue;
            }
            let row =
                self.tokens.row(app, &stream, token).await.map_err(|_| Denial::DataStoreNotAvailable)?;
            let of = row.as_ref().and_then(|row| row.terms.room.as_ref());
            // Who asks for the room itself names it thereby.
            let is_for_many = of.is_some_and(|of| Some(of) == room || *of == question.stream);
            let also_plays = !direction.is_publish() && (is_for_many || Some(&stream) == room);
            for direction in [Some(direction), also_plays.then_some(Direction::Publish)].into_iter().flatten()
            {
                homes.push(Home { stream: stream.clone(), direction, row: row.clone(), is_for_many });
            }
        }
        Ok(homes)
    }

    /// What the token would be refused for, without spending it.
    pub(crate) async fn token_fault(&self, question: &Question<'_>, token: &TokenId) -> Option<Denial> {
        let homes = match self.token_homes(question, token).await {
            Ok(homes) => homes,
            Err(denial) => return Some(denial),
        };
        let mut first = None;
        for home in homes {
            match self.fault_at(question, &home, token).await {
                Ok(None) => return None,
                Ok(Some(fault)) => first = more_telling(first, Denial::Token(fault)),
                Err(denial) => return Some(denial),
            }
        }
        first
    }

    async fn fault_at(
        &self,
        question: &Question<'_>,
        home: &Home,
        token: &TokenId,
    ) -> Result<Option<TokenFault>, Denial> {
        let fault = self.tokens.fault(&question.access.app, &home.stream, token, home.direction.into()).await;
        fault.map_err(|_| Denial::DataStoreNotAvailable)
    }

    /// Spends the token.
    pub(crate) async fn spend(&self, question: &Question<'_>, token: &TokenId) -> Result<Held, Denial> {
        let access = question.access;
        let app = &access.app;
        let mut first = None;
        for home in self.token_homes(question, token).await? {
            // What is nobody's token is not proposed to the cluster: anybody can invent one.
            let Some(row) = &home.row else {
                let fault = self.fault_at(question, &home, token).await?.unwrap_or(TokenFault::Unknown);
                first = more_telling(first, Denial::Token(fault));
                continue;
            };
            if !home.is_for_many
                && let Some(denial) = self.live.token_fault(app, &home.stream, token, self.clock.wall())
            {
                first = more_telling(first, denial);
                continue;
            }
            let (presenter, print) = (access.presenter, presenter_print(access.peer.ip(), access.presenter));
            let direction: Stored = home.direction.into();
            let spent = if home.is_for_many || row.terms.room.is_none() {
                self.tokens.spend(app, &home.stream, token, direction, presenter, print).await
            } else {
                self.tokens.spend_outside_room(app, &home.stream, token, direction, presenter, print).await
            };
            match spent {
                Ok(()) => {
                    let now = self.clock.wall();
                    return Ok(Held::new(home.stream, token.clone(), row, home.is_for_many, now));
                }
                Err(SpendError::Refused(fault)) => first = more_telling(first, Denial::Token(fault)),
                Err(SpendError::Meta(error)) => {
                    if matches!(error, MetaError::Unknown) {
                        tracing::warn!(app = %access.app, stream = %question.stream, session = %access.session,
                            "whether a one-time token was spent is not known: the metadata store did not answer");
                    }
                    return Err(Denial::DataStoreNotAvailable);
                }
            }
        }
        Err(first.unwrap_or(Denial::Token(TokenFault::Unknown)))
    }
}

/// Of what is said against a token for one stream after the other: the first that is of a token that exists.
fn more_telling(before: Option<Denial>, next: Denial) -> Option<Denial> {
    before.filter(|before| *before != Denial::Token(TokenFault::Unknown)).or(Some(next))
}

/// What is kept of who spent a token: neither address nor session can be read from it.
fn presenter_print(address: std::net::IpAddr, presenter: SessionId) -> Fingerprint {
    Fingerprint(u128::from_le_bytes(half_digest(&format!("{address} {presenter}"))))
}
