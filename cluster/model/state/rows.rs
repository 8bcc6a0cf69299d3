//! All rows of a state, one after the other, from any place on.

use std::ops::Bound;
use std::sync::Arc;

use base::AppName;

use super::State;
use crate::{Change, RowKind};

/// Rows of one kind.
type Rows<'a> = Box<dyn Iterator<Item = Change> + 'a>;

/// Where the rows of one kind begin: with the first, or behind a key.
fn behind<K>(key: Option<K>) -> (Bound<K>, Bound<K>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

impl State {
    /// Every row, in the order of their kinds and keys.
    pub fn rows(&self) -> impl Iterator<Item = Change> {
        self.rows_behind(None)
    }

    /// The rows behind `place`, which itself may be gone. To begin is cheap, wherever it is: whoever copies a state page
    /// by page says where the last page ended.
    pub fn rows_behind(&self, place: Option<&Change>) -> impl Iterator<Item = Change> {
        let first = place.and_then(Change::key).map(|(kind, _)| kind);
        let kinds = RowKind::ALL.into_iter().filter(move |kind| first.is_none_or(|first| *kind >= first));
        kinds.flat_map(move |kind| self.rows_of(kind, place.filter(|_| first == Some(kind))))
    }

    /// The rows of one kind, behind `place` if that is of it.
    pub(super) fn rows_of(&self, kind: RowKind, place: Option<&Change>) -> Rows<'_> {
        match kind {
            RowKind::Generation => {
                Box::new(place.is_none().then_some(Change::Generation(self.generation)).into_iter())
            }
            RowKind::Settings => {
                let from = place.and_then(|place| match place {
                    Change::Settings { app, .. } => Some(app.clone()),
                    _ => None,
                });
                let rows = self.settings.range(behind(from));
                Box::new(
                    rows.map(|(app, now)| Change::Settings { app: app.clone(), now: Some(Arc::clone(now)) }),
                )
            }
            RowKind::TokensRevoked => {
                let from = place.and_then(|place| match place {
                    Change::TokensRevoked { app, stream, .. } => Some((app.clone(), stream.clone())),
                    _ => None,
                });
                let rows = self.revocations.range(behind(from));
                Box::new(rows.map(|((app, stream), before)| Change::TokensRevoked {
                    app: app.clone(),
                    stream: stream.clone(),
                    before: Some(*before),
                }))
            }
            RowKind::Node => {
                let from = place.and_then(|place| match place {
                    Change::Node { node, .. } => Some(*node),
                    _ => None,
                });
                let rows = self.nodes.range(behind(from));
                Box::new(rows.map(|(node, now)| Change::Node { node: *node, now: Some(Arc::clone(now)) }))
            }
            RowKind::Life => {
                let from = place.and_then(|place| match place {
                    Change::Life { owner, .. } => Some(*owner),
                    _ => None,
                });
                let rows = self.lives.range(behind(from));
                Box::new(rows.map(|(owner, now)| Change::Life { owner: *owner, now: Some(Arc::clone(now)) }))
            }
            RowKind::User => {
                let from = place.and_then(|place| match place {
                    Change::User { name, .. } => Some(name.clone()),
                    _ => None,
                });
                let rows = self.users.range(behind(from));
                Box::new(
                    rows.map(|(name, now)| Change::User { name: name.clone(), now: Some(Arc::clone(now)) }),
                )
            }
            RowKind::Broadcast
            | RowKind::Token
            | RowKind::Subscriber
            | RowKind::Slot
            | RowKind::Claim
            | RowKind::Vod
            | RowKind::Session
            | RowKind::History
            | RowKind::Event => self.rows_of_applications(kind, place),
        }
    }

    /// The same for the kinds that lie on shelves.
    fn rows_of_applications(&self, kind: RowKind, place: Option<&Change>) -> Rows<'_> {
        let of = |app: &AppName| app.clone();
        match kind {
            RowKind::Broadcast => {
                let from = place.and_then(|place| match place {
                    Change::Broadcast { app, stream, .. } => Some((of(app), stream.clone())),
                    _ => None,
                });
                Box::new(self.broadcasts.behind(from).map(|(app, stream, now)| Change::Broadcast {
                    app: app.clone(),
                    stream: stream.clone(),
                    now: Some(Arc::clone(now)),
                }))
            }
            RowKind::Token => {
                let from = place.and_then(|place| match place {
                    Change::Token { app, stream, token, .. } => {
                        Some((of(app), (stream.clone(), token.clone())))
                    }
                    _ => None,
                });
                Box::new(self.tokens.behind(from).map(|(app, (stream, token), now)| Change::Token {
                    app: app.clone(),
                    stream: stream.clone(),
                    token: token.clone(),
                    now: Some(Arc::clone(now)),
                }))
            }
            RowKind::Subscriber => {
                let from = place.and_then(|place| match place {
                    Change::Subscriber { app, stream, subscriber, .. } => {
                        Some((of(app), (stream.clone(), subscriber.clone())))
                    }
                    _ => None,
                });
                Box::new(self.subscribers.behind(from).map(|(app, (stream, subscriber), now)| {
                    Change::Subscriber {
                        app: app.clone(),
                        stream: stream.clone(),
                        subscriber: subscriber.clone(),
                        now: Some(Arc::clone(now)),
                    }
                }))
            }
            RowKind::Slot => {
                let from = place.and_then(|place| match place {
                    Change::Slot { app, stream, subscriber, session, .. } => {
                        Some((of(app), (stream.clone(), subscriber.clone(), *session)))
                    }
                    _ => None,
                });
                Box::new(self.slots.behind(from).map(|(app, (stream, subscriber, session), now)| {
                    Change::Slot {
                        app: app.clone(),
                        stream: stream.clone(),
                        subscriber: subscriber.clone(),
                        session: *session,
                        now: Some(Arc::clone(now)),
                    }
                }))
            }
            RowKind::Claim => {
                let from = place.and_then(|place| match place {
                    Change::Claim { app, stream, .. } => Some((of(app), stream.clone())),
                    _ => None,
                });
                Box::new(self.claims.behind(from).map(|(app, stream, now)| Change::Claim {
                    app: app.clone(),
                    stream: stream.clone(),
                    now: Some(Arc::clone(now)),
                }))
            }
            RowKind::Vod => {
                let from = place.and_then(|place| match place {
                    Change::Vod { app, vod, .. } => Some((of(app), vod.clone())),
                    _ => None,
                });
                Box::new(self.vods.behind(from).map(|(app, vod, now)| Change::Vod {
                    app: app.clone(),
                    vod: vod.clone(),
                    now: Some(Arc::clone(now)),
                }))
            }
            RowKind::Session => {
                let from = place.and_then(|place| match place {
                    Change::Session { app, stream, subscriber, session, owner, .. } => {
                        Some((of(app), (stream.clone(), subscriber.clone(), *session, *owner)))
                    }
                    _ => None,
                });
                Box::new(self.sessions.behind(from).map(
                    |(app, (stream, subscriber, session, owner), now)| Change::Session {
                        app: app.clone(),
                        stream: stream.clone(),
                        subscriber: subscriber.clone(),
                        session: *session,
                        owner: *owner,
                        now: Some(Arc::clone(now)),
                    },
                ))
            }
            RowKind::History => {
                let from = place.and_then(|place| match place {
                    Change::History { app, stream, subscriber, .. } => {
                        Some((of(app), (stream.clone(), subscriber.clone())))
                    }
                    _ => None,
                });
                Box::new(self.histories.behind(from).map(|(app, (stream, subscriber), now)| {
                    Change::History {
                        app: app.clone(),
                        stream: stream.clone(),
                        subscriber: subscriber.clone(),
                        now: Some(Arc::clone(now)),
                    }
                }))
            }
            RowKind::Event => {
                let from = place.and_then(|place| match place {
                    Change::Event { app, stream, subscriber, number, .. } => {
                        Some((of(app), (stream.clone(), subscriber.clone(), *number)))
                    }
                    _ => None,
                });
                Box::new(self.events.behind(from).map(|(app, (stream, subscriber, number), now)| {
                    Change::Event {
                        app: app.clone(),
                        stream: stream.clone(),
                        subscriber: subscriber.clone(),
                        number: *number,
                        now: Some(Arc::clone(now)),
                    }
                }))
            }
            // They lie on none.
            RowKind::Generation
            | RowKind::Settings
            | RowKind::TokensRevoked
            | RowKind::Node
            | RowKind::Life
            | RowKind::User => Box::new(std::iter::empty()),
        }
    }
}
