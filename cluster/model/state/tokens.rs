//! Tokens: made, spent once, revoked.

use std::sync::Arc;

use base::{AppName, SessionId, StreamId, limits};

use super::{Changes, State};
use crate::{
    Change, Direction, Fingerprint, Outcome, Refusal, Revision, Spent, Token, TokenFault, TokenId, TokenTerms,
};

impl State {
    /// One token, whatever it is worth.
    pub fn token(&self, app: &AppName, stream: &StreamId, token: &TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(app, &(stream.clone(), token.clone()))
    }

    /// The stream that a room's token was made for, if it was not revoked.
    pub fn home_in_room(&self, app: &AppName, room: &StreamId, token: &TokenId) -> Option<&StreamId> {
        self.index
            .homes_in_room(app, room, token)
            .find(|home| self.token(app, home, token).is_some_and(|row| !self.is_revoked(app, home, row)))
    }

    /// The tokens of a stream that nobody has spent or voided, in byte order.
    pub fn tokens(&self, app: &AppName, stream: &StreamId) -> impl Iterator<Item = (&TokenId, &Arc<Token>)> {
        self.every_token(app, stream)
            .filter(move |(_, token)| token.spent.is_none() && self.voided(app, stream, token).is_none())
    }

    /// What a token is worth to `session`, which wants `direction`: what [`crate::Command::SpendToken`] would
    /// say.
    pub fn token_fault(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        direction: Direction,
        session: Option<SessionId>,
    ) -> Option<TokenFault> {
        let Some(token) = self.token(app, stream, token) else { return Some(TokenFault::Unknown) };
        if self.is_revoked(app, stream, token) {
            return Some(TokenFault::Revoked);
        }
        if token.terms.direction != direction {
            return Some(TokenFault::WrongType);
        }
        match &token.spent {
            // It is told what it was told before, even if the token has expired meanwhile.
            Some(spent) if session == Some(spent.session) => return None,
            Some(_) => return Some(TokenFault::Spent),
            None => {}
        }
        if token.is_expired_at(self.now) {
            return Some(TokenFault::Expired);
        }
        self.voided(app, stream, token)
    }

    pub(super) fn create_token(
        &mut self,
        app: AppName,
        stream: StreamId,
        token: TokenId,
        terms: TokenTerms,
        changes: Changes<'_>,
    ) -> Outcome {
        if self.token(&app, &stream, &token).is_some() {
            return Outcome::Exists;
        }
        if let Err(full) = self.tokens.room(&app, limits::TOKENS_PER_APPLICATION_MAX, Refusal::TooManyTokens)
        {
            return Outcome::Refused(full);
        }
        let row = Token { terms, made_at: self.revision, generation: self.generation, spent: None };
        self.change(Change::Token { app, stream, token, now: Some(Arc::new(row)) }, changes);
        Outcome::Done
    }

    pub(super) fn spend(
        &mut self,
        (app, stream, token): (AppName, StreamId, TokenId),
        direction: Direction,
        (session, fingerprint): (SessionId, Fingerprint),
        outside_room: bool,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Some(fault) = self.token_fault(&app, &stream, &token, direction, Some(session)) {
            return Outcome::TokenRefused(fault);
        }
        let Some(row) = self.token(&app, &stream, &token) else {
            return Outcome::TokenRefused(TokenFault::Unknown);
        };
        // In its room a token is for many; one that its session shows again is spent already.
        if (outside_room || row.terms.room.is_none()) && row.spent.is_none() {
            if row.generation < self.generation {
                // Only a room's comes here: in its room it is good all the same.
                return Outcome::TokenRefused(TokenFault::Void);
            }
            let spent = Spent { session, fingerprint, at_ms: self.now.as_millis() };
            let now = Some(Arc::new(Token { spent: Some(spent), ..Token::clone(row) }));
            self.change(Change::Token { app, stream, token, now }, changes);
        }
        Outcome::Spent
    }

    pub(super) fn revoke_token(
        &mut self,
        app: AppName,
        stream: StreamId,
        token: TokenId,
        changes: Changes<'_>,
    ) -> Outcome {
        if self.token(&app, &stream, &token).is_none_or(|row| self.is_revoked(&app, &stream, row)) {
            return Outcome::Absent;
        }
        self.change(Change::Token { app, stream, token, now: None }, changes);
        Outcome::Done
    }

    pub(super) fn revoke_tokens(&mut self, app: AppName, stream: StreamId, changes: Changes<'_>) -> Outcome {
        // Without a token there is nothing to void, and nothing that would ever remove the revocation.
        if self.every_token(&app, &stream).next().is_none() {
            return Outcome::Absent;
        }
        let before = Some(self.revision);
        self.change(Change::TokensRevoked { app, stream, before }, changes);
        Outcome::Done
    }

    /// Removes what the oldest revocation has voided, while `room_left` says so; `false` when nothing is left.
    pub(super) fn sweep_revoked(&mut self, changes: Changes<'_>, rows_max: usize) -> bool {
        while let Some(((app, stream), before)) = self.revocations.first_key_value() {
            let (app, stream, before) = (app.clone(), stream.clone(), *before);
            let left = rows_max.saturating_sub(changes.len());
            let old = |(_, row): &(&TokenId, &Arc<Token>)| row.made_at < before;
            let swept: Vec<_> =
                self.every_token(&app, &stream).filter(old).take(left).map(|(id, _)| id.clone()).collect();
            let all = swept.len() < left;
            for token in swept {
                let (app, stream) = (app.clone(), stream.clone());
                self.change(Change::Token { app, stream, token, now: None }, changes);
            }
            if !all {
                return true;
            }
            self.change(Change::TokensRevoked { app, stream, before: None }, changes);
        }
        false
    }

    fn every_token(&self, app: &AppName, stream: &StreamId) -> impl Iterator<Item = (&TokenId, &Arc<Token>)> {
        let wanted = stream.clone();
        self.tokens
            .of_from(app, (stream.clone(), TokenId::lowest())..)
            .take_while(move |((of, _), _)| *of == wanted)
            .map(|((_, id), row)| (id, row))
    }

    pub(crate) fn is_revoked(&self, app: &AppName, stream: &StreamId, token: &Token) -> bool {
        let before: Option<&Revision> = self.revocations.get(&(app.clone(), stream.clone()));
        before.is_some_and(|before| token.made_at < *before)
    }

    fn voided(&self, app: &AppName, stream: &StreamId, token: &Token) -> Option<TokenFault> {
        if self.is_revoked(app, stream, token) {
            Some(TokenFault::Revoked)
        } else if token.terms.room.is_none() && token.generation < self.generation {
            Some(TokenFault::Void)
        } else {
            None
        }
    }
}
