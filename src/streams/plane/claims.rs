//! Which streams this node publishes, as the cluster knows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use base::{AppName, Clock, StreamId, limits};
use cluster_model::{
    Broadcasts, Change, ClaimError, Epoch, Heartbeat, HeldClaim, MetaError, NodeId, Refusal, Revision,
    StreamStarted, Streams, Watch, WatchEvent,
};
use observe::metric;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Life;

/// The streams this node has claimed, and their records. A stream is claimed before its broadcast is recorded as live,
/// and given back once its end is; between the two one task renews the claims of all of them. Clones are the same.
#[derive(Clone)]
pub struct Claims(Arc<Inner>);

struct Inner {
    streams: Streams,
    broadcasts: Broadcasts,
    life: Life,
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<Key, Held>>,
    /// Whether a renewal is overdue; said once.
    isolated: Mutex<bool>,
}

type Key = (AppName, StreamId);

struct Held {
    epoch: Epoch,
    /// Until when nobody else may have it, by this node's clock.
    until: Instant,
    /// What is recorded again if the claim was lost and won back.
    started: StreamStarted,
    lost: watch::Sender<bool>,
    /// A publisher of another node waits for the stream.
    contested: Arc<Notify>,
}

/// Why a stream does not begin here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// Another node publishes it.
    #[error("the stream is published on node {by}")]
    Elsewhere {
        /// Which node.
        by: NodeId,
        /// Under which claim.
        epoch: Epoch,
    },
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Claims {
    /// Nothing claimed yet. To be called in a runtime, where the renewals then run for as long as a clone lives.
    pub fn start(streams: Streams, broadcasts: Broadcasts, life: Life, clock: Arc<dyn Clock>) -> Self {
        let inner = Arc::new(Inner {
            streams,
            broadcasts,
            life,
            clock,
            held: Mutex::default(),
            isolated: Mutex::default(),
        });
        tokio::spawn(keep(Arc::downgrade(&inner)));
        tokio::spawn(follow_contests(inner.streams.contests(), Arc::downgrade(&inner)));
        Self(inner)
    }

    /// A publisher is in: the stream is this node's, and its broadcast is live. Said again by the next publisher of the
    /// same stream. Whoever gets an error says [`Claims::end`], unless somebody else publishes the stream here: whether its
    /// beginning is recorded may not be known.
    pub async fn begin(
        &self,
        app: &AppName,
        stream: &StreamId,
        started: StreamStarted,
    ) -> Result<(), BeginError> {
        let key = (app.clone(), stream.clone());
        let (epoch, until) = self.0.claim_or_contest(&key).await?;
        let recorded = self.0.broadcasts.under(epoch).started(app, stream, started.clone()).await;
        // Who published before goes on with it if this one is not taken.
        let is_first = !self.0.held.lock().contains_key(&key);
        match recorded {
            Err(MetaError::Refused(refusal)) => {
                if is_first {
                    self.0.give_back(&key, epoch).await;
                }
                Err(MetaError::Refused(refusal).into())
            }
            Err(error) if !is_first => Err(error.into()),
            // Recorded, or perhaps.
            answer => {
                let held = &mut *self.0.held.lock();
                let (lost, contested) = held.remove(&key).map_or_else(
                    || (watch::Sender::new(false), Arc::default()),
                    |held| (held.lost, held.contested),
                );
                held.insert(key, Held { epoch, until, started, lost, contested });
                Ok(answer?)
            }
        }
    }

    /// The node that publishes a stream, if that is another one, in words: as this node knows it.
    pub async fn elsewhere(&self, app: &AppName, stream: &StreamId) -> Option<String> {
        // Without an answer there is none: it is said to people, and decides nothing.
        let shown = self.0.streams.owner_local(app, stream).await.ok().flatten()?;
        let by = shown.claim.owner.node;
        (by != self.0.life.owner().node).then(|| format!("node {by} ({})", shown.node.card.address))
    }

    /// Waits until the stream is somebody else's. Never, for one that is not claimed.
    pub async fn lost(&self, app: &AppName, stream: &StreamId) {
        let key = (app.clone(), stream.clone());
        let lost = self.0.held.lock().get(&key).map(|held| held.lost.subscribe());
        if let Some(mut lost) = lost
            && lost.wait_for(|lost| *lost).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Waits until a publisher of another node waits for the stream. Never, for one that is not claimed.
    pub async fn contested(&self, app: &AppName, stream: &StreamId) {
        let key = (app.clone(), stream.clone());
        let contested = self.0.held.lock().get(&key).map(|held| Arc::clone(&held.contested));
        match contested {
            Some(contested) => contested.notified().await,
            None => std::future::pending().await,
        }
    }

    /// A live stream reports; `false` when its broadcast is no longer live, was deleted, or is somebody else's.
    pub async fn heartbeat(
        &self,
        app: &AppName,
        stream: &StreamId,
        heartbeat: Heartbeat,
    ) -> Result<bool, MetaError> {
        let Some(records) = self.0.records(app, stream) else { return Ok(false) };
        match records.heartbeat(app, stream, heartbeat).await {
            Err(MetaError::Refused(Refusal::Superseded)) => Ok(false),
            answer => answer,
        }
    }

    /// The stream is over: that is recorded, and then it may be published anywhere. On an error it is claimed as before,
    /// to be tried again.
    pub async fn end(&self, app: &AppName, stream: &StreamId) -> Result<(), MetaError> {
        // Without one it never began here: whoever came was refused, and another node may have the stream, which goes on.
        let Some(records) = self.0.records(app, stream) else { return Ok(()) };
        match records.ended(app, stream).await {
            // Whoever has it now records it.
            Ok(()) | Err(MetaError::Refused(Refusal::Superseded)) => {}
            Err(error) => return Err(error),
        }
        let key = (app.clone(), stream.clone());
        let held = self.0.held.lock().remove(&key);
        if let Some(held) = held {
            // Before anybody is told: the next publisher here claims it under the same epoch.
            self.0.give_back(&key, held.epoch).await;
        }
        Ok(())
    }
}

impl Inner {
    async fn claim(&self, (app, stream): &Key) -> Result<(Epoch, Instant), BeginError> {
        let mut owner = self.life.owner();
        loop {
            match self.streams.claim(app, stream, owner, None).await {
                Ok(lease) => return Ok((lease.epoch, lease.until)),
                Err(ClaimError::Held { by, epoch }) => return Err(BeginError::Elsewhere { by, epoch }),
                Err(ClaimError::Meta(MetaError::Refused(Refusal::NotJoined))) => {
                    owner = self.life.after(owner).await?;
                }
                Err(ClaimError::Meta(error)) => return Err(error.into()),
            }
        }
    }

    /// The same for a publisher: a node that has the stream is asked for it, and gives it back if its own publisher is lost
    /// or silent. Without an answer it has it.
    async fn claim_or_contest(&self, key: &Key) -> Result<(Epoch, Instant), BeginError> {
        let mut outcome = self.claim(key).await;
        let Err(BeginError::Elsewhere { epoch, .. }) = outcome else { return outcome };
        let deadline = self.clock.now() + limits::CLAIM_CONTEST_MAX;
        let (app, stream) = key;
        let mut changes = self.streams.watch(app, stream, Revision::ZERO);
        self.streams.contest(app, stream, epoch).await?;
        while matches!(outcome, Err(BeginError::Elsewhere { .. })) {
            let left = deadline.saturating_duration_since(self.clock.now());
            match tokio::time::timeout(left, changes.next()).await {
                Ok(WatchEvent::Changed { .. }) => {}
                Ok(WatchEvent::Relist) => drop(self.streams.relist(app, stream, &mut changes).await?),
                Ok(WatchEvent::Closed) | Err(_) => break,
            }
            // Never given up half way: it would have the stream, and nobody would know.
            outcome = self.claim(key).await;
        }
        outcome
    }

    /// The records of a stream, under its claim.
    fn records(&self, app: &AppName, stream: &StreamId) -> Option<Broadcasts> {
        let key = (app.clone(), stream.clone());
        self.held.lock().get(&key).map(|held| self.broadcasts.under(held.epoch))
    }

    /// The stream may be published anywhere; until that is known, by this node alone.
    async fn give_back(&self, (app, stream): &Key, epoch: Epoch) {
        if let Err(error) = self.streams.release(app, stream, epoch).await {
            tracing::debug!(%app, %stream, %error, "a claim was not given back, it lapses");
        }
    }

    fn held(&self) -> Vec<HeldClaim> {
        let held = self.held.lock();
        held.iter()
            .map(|((app, stream), held)| HeldClaim {
                app: app.clone(),
                stream: stream.clone(),
                epoch: held.epoch,
            })
            .collect()
    }

    async fn renew(&self) {
        let claims = self.held();
        if claims.is_empty() {
            return;
        }
        let owner = self.life.owner();
        match self.streams.within(limits::CLAIM_RENEWAL_MAX).renew(owner, &claims).await {
            Ok(renewed) => {
                for claim in &claims {
                    if !renewed.superseded.contains(claim) {
                        self.prolong(claim, renewed.until);
                    }
                }
                for claim in renewed.superseded {
                    self.win_back(claim).await;
                }
            }
            Err(MetaError::Refused(Refusal::NotJoined)) => {
                if self.life.after(owner).await.is_ok() {
                    for claim in claims {
                        self.win_back(claim).await;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "claims were not renewed"),
        }
        self.note_isolation();
    }

    fn prolong(&self, claim: &HeldClaim, until: Instant) {
        if let Some(held) = self.held.lock().get_mut(&(claim.app.clone(), claim.stream.clone()))
            && held.epoch == claim.epoch
        {
            held.until = until;
        }
    }

    /// A claim is no longer this node's. If nobody else has the stream it becomes so again, else the stream ends here.
    async fn win_back(&self, claim: HeldClaim) {
        let key = (claim.app, claim.stream);
        let same = |held: &&Held| held.epoch == claim.epoch;
        let Some(started) = self.held.lock().get(&key).filter(same).map(|held| held.started.clone()) else {
            return;
        };
        let won = match self.claim(&key).await {
            Ok(won) => won,
            Err(BeginError::Elsewhere { by, .. }) => {
                tracing::warn!(app = %key.0, stream = %key.1, %by, "another node publishes the stream: it ends here");
                metric::claims_lost().increment(1);
                if let Some(held) = self.held.lock().get(&key).filter(same) {
                    held.lost.send_replace(true);
                }
                return;
            }
            Err(BeginError::Meta(error)) => {
                tracing::debug!(app = %key.0, stream = %key.1, %error, "a claim was not won back yet");
                return;
            }
        };
        let started = StreamStarted { goes_on: true, ..started };
        let recorded = self.broadcasts.under(won.0).started(&key.0, &key.1, started).await;
        if let Err(error) = recorded {
            tracing::warn!(app = %key.0, stream = %key.1, %error, "the stream goes on and is not recorded as live");
        }
        match self.held.lock().get_mut(&key) {
            Some(held) if held.epoch == claim.epoch => {
                (held.epoch, held.until) = won;
                return;
            }
            // Begun anew meanwhile, perhaps under this very claim.
            Some(_) => return,
            None => {}
        }
        // It ended meanwhile, and what was just recorded is not so.
        if let Err(error) = self.broadcasts.under(won.0).ended(&key.0, &key.1).await {
            tracing::debug!(app = %key.0, stream = %key.1, %error, "the stream's end is recorded when its claim lapses");
            return;
        }
        self.give_back(&key, won.0).await;
    }

    /// Streams whose claims lapsed go on: their viewers lose nothing. That nobody else can have them is no longer certain.
    fn note_isolation(&self) {
        let now = self.clock.now();
        let lapsed = self.held.lock().values().filter(|held| held.until <= now).count();
        metric::claims_lapsed().set(lapsed as f64);
        let isolated = &mut *self.isolated.lock();
        if lapsed > 0 && !*isolated {
            tracing::warn!(
                lapsed,
                "the metadata plane does not answer: the node's streams go on, and another node may claim them"
            );
        } else if lapsed == 0 && *isolated {
            tracing::info!("the metadata plane answers again, all claims are renewed");
        }
        *isolated = lapsed > 0;
    }
}

/// Lets the streams of this node know who waits for them, until the node is gone.
async fn follow_contests(mut contests: Watch, claims: Weak<Inner>) {
    loop {
        let event = contests.next().await;
        let Some(claims) = claims.upgrade() else { return };
        match event {
            WatchEvent::Changed { changes, .. } => {
                for change in changes {
                    let Change::StreamContested { app, stream, epoch } = change else { continue };
                    let held = claims.held.lock();
                    if let Some(held) = held.get(&(app, stream)).filter(|held| held.epoch == epoch) {
                        held.contested.notify_one();
                    }
                }
            }
            WatchEvent::Relist => {
                if let Err(error) = claims.streams.contests_missed(&mut contests).await {
                    tracing::debug!(%error, "who waits for streams of this node is not heard yet");
                    drop(claims);
                    // The watch says again that it fell behind, at once.
                    tokio::time::sleep(limits::META_RETRY_AFTER).await;
                }
            }
            WatchEvent::Closed => return,
        }
    }
}

/// Renews until the node is gone.
async fn keep(claims: Weak<Inner>) {
    loop {
        tokio::time::sleep(limits::CLAIM_RENEWED_EVERY).await;
        let Some(claims) = claims.upgrade() else { return };
        claims.renew().await;
    }
}
