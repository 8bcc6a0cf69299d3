//! Deletes what is stored of the streams of an application that was deleted.

use std::collections::BTreeSet;

use api::ApplicationFault;
use base::{AppName, StreamId, limits};
use cluster_model::{Broadcasts, MetaError, Settings, Subscribers, Tokens, Which};
use futures_util::future::try_join_all;

/// As many pages as the fullest application has, and again as many for lists that this node has from before.
const PAGES_MAX: usize = 2 * limits::BROADCASTS_PER_APPLICATION_MAX.div_ceil(limits::BROADCASTS_PER_LIST_MAX);

/// What is stored of streams.
#[derive(Clone)]
pub struct Data {
    /// Whether the application is one again.
    pub settings: Settings,
    /// The streams.
    pub broadcasts: Broadcasts,
    /// Their tokens.
    pub tokens: Tokens,
    /// Their subscribers.
    pub subscribers: Subscribers,
}

impl Data {
    /// Deletes the broadcasts of an application, and the tokens and subscribers of its streams, stored or not. Connection events of
    /// streams that have neither broadcast nor subscribers stay until they are too old. Stops when the application is made anew
    /// meanwhile: what is there is that one's.
    pub async fn delete(&self, app: &AppName) -> Result<(), ApplicationFault> {
        let mut deleted = 0_usize;
        for _ in 0..PAGES_MAX {
            let page = self.broadcasts.list(app, Which::All, 0, limits::BROADCASTS_PER_LIST_MAX).await?;
            let mut ids: BTreeSet<_> = page
                .iter()
                .filter_map(|broadcast| StreamId::new(broadcast.stream_id.as_deref()?).ok())
                .collect();
            if ids.is_empty() {
                // What tokens and subscribers are for need not be stored.
                ids = self.tokens.streams(app).await?;
                ids.append(&mut self.subscribers.streams(app).await?);
            }
            if ids.is_empty() {
                tracing::warn!(%app, deleted, "what was stored of the streams of the deleted application is deleted");
                return Ok(());
            }
            let ids: Vec<_> = ids.into_iter().collect();
            for some in ids.chunks(limits::BROADCASTS_DELETED_AT_ONCE_MAX) {
                if self.settings.snapshot(app).is_some() {
                    let why = "The application was made anew before all its data was deleted";
                    return Err(ApplicationFault::Refused(why.to_owned()));
                }
                try_join_all(some.iter().map(|stream| self.delete_one(app, stream))).await?;
                deleted += some.len();
            }
        }
        let why =
            "The application is deleted, but not all its data: there was more than an application may have";
        Err(ApplicationFault::Refused(why.to_owned()))
    }

    /// The broadcast last: what failed is found again by it.
    async fn delete_one(&self, app: &AppName, stream: &StreamId) -> Result<(), MetaError> {
        self.tokens.revoke_all(app, stream).await?;
        self.subscribers.delete_all(app, stream).await?;
        self.broadcasts.delete(app, stream).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{SystemClock, SystemRandomness};
    use cluster_model::testing::{InMemory, seals};
    use cluster_model::{Broadcast, Direction, SubscriberId, SubscriberTerms, TokenTerms};
    use config::AppSettings;

    use super::*;

    #[tokio::test]
    async fn all_of_an_application_goes_and_nothing_of_another() {
        let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
        let meta = Arc::new(InMemory::new(clock.clone()));
        let rows = Data {
            settings: Settings::new(meta.clone(), seals(), clock.clone(), randomness.clone()),
            broadcasts: Broadcasts::new(
                meta.clone(),
                seals(),
                clock.clone(),
                randomness.clone(),
                "localhost",
            ),
            tokens: Tokens::new(meta.clone(), clock.clone(), randomness.clone()),
            subscribers: Subscribers::new(meta, seals(), clock, randomness.clone()),
        };
        let (old, other) = (AppName::new("old").unwrap(), AppName::new("other").unwrap());
        let stream = StreamId::new("s300").unwrap();
        let subscriber = SubscriberId::new("anna").unwrap();
        for app in [&old, &other] {
            let count = if app == &old { limits::BROADCASTS_PER_LIST_MAX + 100 } else { 301 };
            for n in 0..count {
                let draft = Broadcast { stream_id: Some(format!("s{n}")), ..Broadcast::default() };
                rows.broadcasts.create(app, draft, None).await.unwrap();
            }
            let terms = TokenTerms { direction: Direction::Play, expire_s: i64::MAX, room: None };
            rows.tokens.create(app, &stream, terms).await.unwrap();
            rows.subscribers.put(app, &stream, &subscriber, SubscriberTerms::default()).await.unwrap();
        }
        // What nobody stored a broadcast for.
        let unstored = StreamId::new("unstored").unwrap();
        let terms = TokenTerms { direction: Direction::Publish, expire_s: i64::MAX, room: None };
        rows.tokens.create(&old, &unstored, terms).await.unwrap();
        rows.subscribers.put(&old, &unstored, &subscriber, SubscriberTerms::default()).await.unwrap();
        // One that is an application again keeps what it has.
        rows.settings.seed(&old, &AppSettings::new(&old, &*randomness)).await.unwrap();
        assert!(rows.delete(&old).await.is_err());
        assert_eq!(rows.broadcasts.count(&old, Which::All).await, Ok(350));
        rows.settings.delete(&old).await.unwrap();
        rows.delete(&old).await.unwrap();
        assert_eq!(rows.broadcasts.count(&old, Which::All).await, Ok(0));
        assert_eq!(rows.broadcasts.count(&other, Which::All).await, Ok(301));
        assert!(rows.tokens.list(&old, &unstored, 0, 9).await.unwrap().is_empty());
        assert!(rows.subscribers.get(&old, &unstored, &subscriber).await.unwrap().is_none());
        for (app, left) in [(&old, 0), (&other, 1)] {
            assert_eq!(rows.tokens.list(app, &stream, 0, 9).await.unwrap().len(), left);
            let found = rows.subscribers.get(app, &stream, &subscriber).await.unwrap();
            assert_eq!(found.is_some(), left == 1);
        }
    }
}
