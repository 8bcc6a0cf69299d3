//! What nodes report of sessions.

use std::sync::Arc;

use base::{AppName, SessionId, StreamId, limits};

use super::{Changes, State, json_len};
use crate::{
    Change, ConnectionEvent, Fact, FactKind, Figures, History, Life, Outcome, Owner, Refusal, Session,
    SubscriberId, row,
};

/// Why a session is over whose node never said so.
const NODE_LOST: &str = "node_lost";

/// A subscriber in full.
type Of = (AppName, StreamId, SubscriberId);

impl State {
    /// What a subscriber's sessions came to.
    pub fn history(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> Option<&Arc<History>> {
        self.histories.get(app, &(stream.clone(), subscriber.clone()))
    }

    /// The histories of a stream in byte order of the subscribers.
    pub fn histories(
        &self,
        app: &AppName,
        stream: &StreamId,
    ) -> impl Iterator<Item = (&SubscriberId, &Arc<History>)> {
        let wanted = stream.clone();
        self.histories
            .of_from(app, (stream.clone(), SubscriberId::lowest())..)
            .take_while(move |((of, _), _)| *of == wanted)
            .map(|((_, id), row)| (id, row))
    }

    /// A page of a stream's newest events, or of one subscriber's.
    pub(crate) fn events(
        &self,
        app: &AppName,
        stream: &StreamId,
        of: Option<&SubscriberId>,
        offset: usize,
        size: usize,
    ) -> Vec<(SubscriberId, ConnectionEvent)> {
        let first = (stream.clone(), of.cloned().unwrap_or_else(SubscriberId::lowest), 0);
        self.events
            .of_from(app, first..)
            .take_while(|((on, by, _), _)| on == stream && of.is_none_or(|of| of == by))
            .skip(offset)
            .take(size)
            .map(|((_, by, _), event)| (by.clone(), ConnectionEvent::clone(event)))
            .collect()
    }

    /// A subscriber's sessions that are not known to be over, and which node serves them.
    pub fn sessions(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> impl Iterator<Item = (SessionId, Owner, &Arc<Session>)> {
        let wanted = (stream.clone(), subscriber.clone());
        let first = (stream.clone(), subscriber.clone(), SessionId::from_u128(0), Owner::default());
        self.sessions
            .of_from(app, first..)
            .take_while(move |((of, by, _, _), _)| (of, by) == (&wanted.0, &wanted.1))
            .map(|((_, _, session, owner), row)| (*session, *owner, row))
    }

    pub(super) fn record_facts(
        &mut self,
        owner: Owner,
        sequence: u64,
        facts: Vec<Fact>,
        changes: Changes<'_>,
    ) -> Outcome {
        let Some(life) = self.life(owner) else { return Outcome::Refused(Refusal::NotJoined) };
        let last = life.sequence;
        if sequence <= last {
            return Outcome::Done;
        }
        if sequence != last.saturating_add(1) {
            return Outcome::OutOfOrder { last };
        }
        if facts.len() > limits::FACTS_PER_BATCH_MAX {
            return Outcome::Refused(Refusal::TooMany);
        }
        if json_len(&facts).is_none_or(|len| len > limits::FACT_BATCH_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        let life = Life { sequence, ..Life::clone(life) };
        self.change(Change::Life { owner, now: Some(Arc::new(life)) }, changes);
        for (index, fact) in (0..).zip(facts) {
            self.take_fact(owner, &fact, changes);
            self.change(Change::Fact { owner, sequence, index, fact: Arc::new(fact) }, changes);
        }
        row::collapse(changes);
        Outcome::Done
    }

    /// Closes a session whose node will never say how it ended.
    pub(super) fn lose_session(
        &mut self,
        (app, stream, subscriber): Of,
        session: SessionId,
        owner: Owner,
        changes: Changes<'_>,
    ) {
        let ended_ms = self.life(owner).and_then(|life| life.ended_ms);
        let at_ms = ended_ms.unwrap_or(self.now.as_millis());
        let of = (app, stream, subscriber);
        self.close(of, session, owner, at_ms, NODE_LOST.to_owned(), Figures::default(), changes);
    }

    fn take_fact(&mut self, owner: Owner, fact: &Fact, changes: Changes<'_>) {
        let Fact { app, stream, subscriber: Some(subscriber), session, at, what } = fact else { return };
        let of = (app.clone(), stream.clone(), subscriber.clone());
        let session = *session;
        let at_ms = at.as_millis();
        match what {
            FactKind::Connected(connection) => {
                let key = (of.1.clone(), of.2.clone(), session, owner);
                let max = limits::SESSIONS_PER_APPLICATION_MAX;
                if self.sessions.get(app, &key).is_some()
                    || self.sessions.room(app, max, Refusal::TooManySlots).is_ok()
                {
                    let figures = self.sessions.get(app, &key).map(|known| known.figures).unwrap_or_default();
                    let now = Session { connection: connection.clone(), since_ms: at_ms, figures };
                    self.set_session(&of, session, owner, Some(now), changes);
                }
                let connection = Some(connection.clone());
                let event = ConnectionEvent { at_ms, node: owner.node, session, connection, ended: None };
                self.add_to_history(of, 0, Figures::default(), event, changes);
            }
            FactKind::Summary(figures) => {
                let key = (of.1.clone(), of.2.clone(), session, owner);
                if let Some(known) = self.sessions.get(app, &key) {
                    let now = Session { figures: known.figures.at_least(*figures), ..Session::clone(known) };
                    self.set_session(&of, session, owner, Some(now), changes);
                }
            }
            FactKind::Disconnected { reason, figures } => {
                self.close(of, session, owner, at_ms, reason.clone(), *figures, changes);
            }
        }
    }

    /// A session counts once: when the row that its beginning made goes.
    #[expect(clippy::too_many_arguments, reason = "one fact in full")]
    fn close(
        &mut self,
        of: Of,
        session: SessionId,
        owner: Owner,
        at_ms: u64,
        reason: String,
        figures: Figures,
        changes: Changes<'_>,
    ) {
        let known = self.sessions.get(&of.0, &(of.1.clone(), of.2.clone(), session, owner)).cloned();
        let connection = known.as_ref().map(|known| known.connection.clone());
        let event = ConnectionEvent { at_ms, node: owner.node, session, connection, ended: Some(reason) };
        let (ended, figures) = match known {
            Some(known) => (1, known.figures.at_least(figures)),
            None => (0, Figures::default()),
        };
        self.set_session(&of, session, owner, None, changes);
        self.add_to_history(of, ended, figures, event, changes);
    }

    fn set_session(
        &mut self,
        (app, stream, subscriber): &Of,
        session: SessionId,
        owner: Owner,
        now: Option<Session>,
        changes: Changes<'_>,
    ) {
        let key = (stream.clone(), subscriber.clone(), session, owner);
        if now.is_none() && self.sessions.get(app, &key).is_none() {
            return;
        }
        let (app, stream, subscriber, now) =
            (app.clone(), stream.clone(), subscriber.clone(), now.map(Arc::new));
        self.change(Change::Session { app, stream, subscriber, session, owner, now }, changes);
    }

    fn add_to_history(
        &mut self,
        (app, stream, subscriber): Of,
        ended: u64,
        figures: Figures,
        event: ConnectionEvent,
        changes: Changes<'_>,
    ) {
        let known = self.history(&app, &stream, &subscriber).map(|known| History::clone(known));
        let max = limits::HISTORIES_PER_APPLICATION_MAX;
        if known.is_none() && self.histories.room(&app, max, Refusal::TooManySubscribers).is_err() {
            return;
        }
        let mut history = known.unwrap_or_default();
        history.ended = history.ended.saturating_add(ended);
        history.figures = history.figures.plus(figures);
        history.touched_ms = self.now.as_millis();
        let max = limits::EVENTS_PER_APPLICATION_MAX;
        let is_full = self.events.room(&app, max, Refusal::TooManySubscribers).is_err();
        let kept = history.next.saturating_sub(history.first);
        if kept > 0 && (is_full || kept >= limits::EVENTS_PER_SUBSCRIBER_MAX) {
            let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
            let oldest = Change::Event { app, stream, subscriber, number: history.first, now: None };
            self.change(oldest, changes);
            history.first += 1;
        }
        if kept > 0 || !is_full {
            let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
            let now = Some(Arc::new(event));
            self.change(Change::Event { app, stream, subscriber, number: history.next, now }, changes);
            history.next += 1;
        }
        self.change(Change::History { app, stream, subscriber, now: Some(Arc::new(history)) }, changes);
    }

    /// Removes the oldest event of a history, or the history when it has none left. Says whether it is gone.
    pub(super) fn shorten(&mut self, (app, stream, subscriber): Of, changes: Changes<'_>) -> bool {
        let Some(history) = self.history(&app, &stream, &subscriber) else { return true };
        if history.first >= history.next {
            self.change(Change::History { app, stream, subscriber, now: None }, changes);
            return true;
        }
        let shorter = History { first: history.first.saturating_add(1), ..History::clone(history) };
        let number = history.first;
        let of = (app.clone(), stream.clone(), subscriber.clone());
        self.change(Change::Event { app: of.0, stream: of.1, subscriber: of.2, number, now: None }, changes);
        self.change(Change::History { app, stream, subscriber, now: Some(Arc::new(shorter)) }, changes);
        false
    }
}
