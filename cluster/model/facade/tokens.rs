//! The façade for tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{AppName, SessionId, StreamId, limits};

use crate::{
    Answer, Change, Command, Consistency, Direction, Filter, Fingerprint, MetaError, Outcome, Query,
    Revision, Token, TokenFault, TokenId, TokenTerms, Watch,
};

/// Letters and digits of a token: nobody guesses one.
const TOKEN_LETTERS: usize = 32;

super::facade! {
    /// One-time tokens and room tokens of all applications.
    Tokens
}

/// Why a session is not let in by a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// The token opens nothing.
    #[error(transparent)]
    Refused(#[from] TokenFault),
    /// The metadata plane did not do its part: nothing is known against the token.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Tokens {
    /// Makes a token and returns its text.
    pub async fn create(
        &self,
        app: &AppName,
        stream: &StreamId,
        terms: TokenTerms,
    ) -> Result<TokenId, MetaError> {
        loop {
            let text = self.proposer.randomness.alphanumeric(TOKEN_LETTERS);
            let token = TokenId::new(&text).map_err(|_| MetaError::WrongAnswer)?;
            let (app, stream, terms) = (app.clone(), stream.clone(), terms.clone());
            let command = Command::CreateToken { app, stream, token: token.clone(), terms };
            match self.proposer.propose(command).await? {
                (_, Outcome::Done) => return Ok(token),
                (_, Outcome::Exists) => {}
                _ => return Err(MetaError::WrongAnswer),
            }
        }
    }

    /// Lets `session` in by a token, once. The same session may ask again. A room's token is not spent: the session is in its room.
    pub async fn spend(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        direction: Direction,
        session: SessionId,
        fingerprint: Fingerprint,
    ) -> Result<(), SpendError> {
        self.spent(app, (stream, token), direction, (session, fingerprint), false).await
    }

    /// The same for a session that is not in the room of a room's token, and spends it.
    pub async fn spend_outside_room(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        direction: Direction,
        session: SessionId,
        fingerprint: Fingerprint,
    ) -> Result<(), SpendError> {
        self.spent(app, (stream, token), direction, (session, fingerprint), true).await
    }

    async fn spent(
        &self,
        app: &AppName,
        (stream, token): (&StreamId, &TokenId),
        direction: Direction,
        (session, fingerprint): (SessionId, Fingerprint),
        outside_room: bool,
    ) -> Result<(), SpendError> {
        let (app, stream, token) = (app.clone(), stream.clone(), token.clone());
        let command =
            Command::SpendToken { app, stream, token, direction, session, fingerprint, outside_room };
        match self.proposer.propose(command).await? {
            (_, Outcome::Spent) => Ok(()),
            (_, Outcome::TokenRefused(fault)) => Err(fault.into()),
            _ => Err(MetaError::WrongAnswer.into()),
        }
    }

    /// Takes a token out of use for a session that nobody has and that is in no room, as AMS's `validate-token` does.
    pub async fn consume(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        direction: Direction,
    ) -> Result<(), SpendError> {
        let by = (SessionId::random(&*self.proposer.randomness), Fingerprint::default());
        let row = self.row(app, stream, token).await?;
        // Said only where it makes a difference: members of before do not know it.
        let outside_room = row.is_some_and(|row| row.terms.room.is_some());
        self.spent(app, (stream, token), direction, by, outside_room).await
    }

    /// What a token would be refused for now, without spending it; `None`: it is good.
    pub async fn fault(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        direction: Direction,
    ) -> Result<Option<TokenFault>, MetaError> {
        let (app, stream, token) = (app.clone(), stream.clone(), token.clone());
        let query = Query::TokenFault { app, stream, token, direction };
        match self.proposer.read(query, Consistency::Linearizable).await? {
            (_, Answer::TokenFault(fault)) => Ok(fault),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// One token that was not revoked, whatever else it is worth: as this node knows it, and as of now where it knows none.
    pub async fn row(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
    ) -> Result<Option<Arc<Token>>, MetaError> {
        let query = Query::Token { app: app.clone(), stream: stream.clone(), token: token.clone() };
        if let Ok((_, Answer::Token(Some(row)))) = self.proposer.read(query.clone(), Consistency::Local).await
        {
            return Ok(Some(row));
        }
        match self.proposer.read(query, Consistency::Linearizable).await? {
            (_, Answer::Token(row)) => Ok(row),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The stream that a room's token was made for, whatever else it is worth: as this node knows it, and as of now where it knows
    /// none.
    pub async fn home_in_room(
        &self,
        app: &AppName,
        room: &StreamId,
        token: &TokenId,
    ) -> Result<Option<StreamId>, MetaError> {
        let query = Query::HomeInRoom { app: app.clone(), room: room.clone(), token: token.clone() };
        if let Ok((_, Answer::Home(Some(home)))) = self.proposer.read(query.clone(), Consistency::Local).await
        {
            return Ok(Some(home));
        }
        match self.proposer.read(query, Consistency::Linearizable).await? {
            (_, Answer::Home(home)) => Ok(home),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A page of a stream's tokens that are neither spent nor void.
    pub async fn list(
        &self,
        app: &AppName,
        stream: &StreamId,
        offset: usize,
        size: usize,
    ) -> Result<Vec<(TokenId, Arc<Token>)>, MetaError> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        let query = Query::Tokens { app: app.clone(), stream: stream.clone(), offset, size };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Tokens(page)) => Ok(page),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The streams that there are tokens for which were not revoked, as this node knows it.
    pub async fn streams(&self, app: &AppName) -> Result<BTreeSet<StreamId>, MetaError> {
        let listed = self.proposer.read(Query::List(Filter::Tokens(app.clone())), Consistency::Local).await?;
        let (_, Answer::Listed(rows)) = listed else { return Err(MetaError::WrongAnswer) };
        let mut newest: BTreeMap<StreamId, Revision> = BTreeMap::new();
        let mut revoked = BTreeMap::new();
        for row in rows {
            match row {
                Change::Token { stream, now: Some(token), .. } => {
                    let known = newest.entry(stream).or_default();
                    *known = token.made_at.max(*known);
                }
                Change::TokensRevoked { stream, before: Some(before), .. } => {
                    revoked.insert(stream, before);
                }
                _ => {}
            }
        }
        newest.retain(|stream, made_at| revoked.get(stream).is_none_or(|before| *made_at >= *before));
        Ok(newest.into_keys().collect())
    }

    /// Removes one token; `false` when there was none.
    pub async fn revoke(&self, app: &AppName, stream: &StreamId, token: &TokenId) -> Result<bool, MetaError> {
        let (app, stream, token) = (app.clone(), stream.clone(), token.clone());
        self.proposer.done_or_absent(Command::RevokeToken { app, stream, token }).await
    }

    /// Voids all tokens of a stream; `false` when there were none.
    pub async fn revoke_all(&self, app: &AppName, stream: &StreamId) -> Result<bool, MetaError> {
        let command = Command::RevokeTokens { app: app.clone(), stream: stream.clone() };
        self.proposer.done_or_absent(command).await
    }

    /// Tells of tokens of an application that are spent or revoked, by which permits end.
    pub fn watch(&self, app: &AppName, from: Revision) -> Watch {
        self.proposer.meta.watch(Filter::Tokens(app.clone()), from)
    }

    /// All of them, for a watch that fell behind; it goes on behind the list.
    pub async fn relist(&self, app: &AppName, watch: &mut Watch) -> Result<Vec<Change>, MetaError> {
        self.proposer.relist(Filter::Tokens(app.clone()), watch).await
    }
}
