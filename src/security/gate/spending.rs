//! One-time tokens at the gate: what they would be refused for, and how they are spent.

use base::SessionId;
use cluster_model::{Direction as Stored, Fingerprint, MetaError, SpendError, TokenFault, TokenId};

use super::Gate;
use super::clauses::Question;
use crate::Denial;
use crate::credential::half_digest;
use crate::grounds::Held;

impl Gate {
    /// What the token would be refused for, without spending it.
    pub(crate) async fn token_fault(&self, question: &Question<'_>, token: &TokenId) -> Option<Denial> {
        let mut first = None;
        for (home, direction) in question.token_homes() {
            match self.tokens.fault(&question.access.app, &home, token, direction.into()).await {
                Ok(None) => return None,
                Ok(Some(fault)) => first = more_telling(first, Denial::Token(fault)),
                Err(_) => return Some(Denial::DataStoreNotAvailable),
            }
        }
        first
    }

    /// Spends the token.
    pub(crate) async fn spend(&self, question: &Question<'_>, token: &TokenId) -> Result<Held, Denial> {
        let access = question.access;
        let app = &access.app;
        let mut first = None;
        for (home, direction) in question.token_homes() {
            let direction: Stored = direction.into();
            let row = self.tokens.row(app, &home, token).await.map_err(|_| Denial::DataStoreNotAvailable)?;
            // What is nobody's token is not proposed to the cluster: anybody can invent one.
            let Some(row) = row else {
                let fault = self.tokens.fault(app, &home, token, direction).await;
                let fault = fault.map_err(|_| Denial::DataStoreNotAvailable)?.unwrap_or(TokenFault::Unknown);
                first = more_telling(first, Denial::Token(fault));
                continue;
            };
            // A room's token is for many.
            if row.terms.room.is_none()
                && let Some(denial) = self.live.token_fault(app, &home, token, self.clock.wall())
            {
                first = more_telling(first, denial);
                continue;
            }
            let (presenter, print) = (access.presenter, presenter_print(access.peer.ip(), access.presenter));
            match self.tokens.spend(app, &home, token, direction, presenter, print).await {
                Ok(()) => return Ok(Held::new(home, token.clone(), &row, self.clock.wall())),
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
