//! What happens to sessions, on its way into the log.

use std::pin::pin;
use std::time::Duration;

use base::{AppName, limits};
use cluster_model::{Fact, Facts, MetaError, Owner, Recorded, Refusal, Settings};
use observe::metric;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Life;

/// Pause after a batch that was not taken.
const AGAIN: Duration = Duration::from_secs(1);

enum Note {
    Fact(Box<Fact>),
    /// Everything noted before is to be sent at once.
    Flush(oneshot::Sender<()>),
}

/// Facts of this node's sessions, in order, on their way into the log: in batches, each taken exactly once. At most
/// [`limits::FACTS_WAITING_MAX`] wait; more are lost and counted. Clones are the same.
#[derive(Clone)]
pub struct FactLog {
    notes: mpsc::Sender<Note>,
    settings: Settings,
}

impl FactLog {
    /// Nothing noted yet. To be called in a runtime, where the batches are then sent for as long as a clone lives.
    pub fn start(facts: Facts, life: Life, settings: Settings) -> Self {
        let (notes, noted) = mpsc::channel(limits::FACTS_WAITING_MAX);
        tokio::spawn(send(noted, Sender { facts, life, last: (Owner::default(), 0) }));
        Self { notes, settings }
    }

    /// Whether sessions of an application that begin now are noted: its `writeSubscriberEventsToDatastore`.
    pub fn records(&self, app: &AppName) -> bool {
        let settings = self.settings.snapshot(app);
        settings.is_none_or(|settings| settings.write_subscriber_events_to_datastore())
    }

    /// Notes a fact. Never waits.
    pub fn note(&self, fact: Fact) {
        if self.notes.try_send(Note::Fact(Box::new(fact))).is_err() {
            metric::facts_lost().increment(1);
        }
    }

    /// The node stops: waits until everything that was noted is in the log, or `patience` ends.
    pub async fn flush(&self, patience: Duration) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            // The task lives as long as this clone.
            let _ = self.notes.send(Note::Flush(done)).await;
            let _ = is_done.await;
        };
        if timeout(patience, flushed).await.is_err() {
            tracing::warn!(
                "facts of sessions are not in the log: the metadata plane did not take them in time"
            );
        }
    }
}

struct Sender {
    facts: Facts,
    life: Life,
    /// The last batch that was taken.
    last: (Owner, u64),
}

async fn send(mut noted: mpsc::Receiver<Note>, mut sender: Sender) {
    while let Some(first) = noted.recv().await {
        let mut batch = Vec::new();
        // The brackets of the list.
        let mut bytes = 2;
        let mut complete = pin!(sleep(limits::FACTS_COLLECTED));
        let mut next = Some(first);
        while let Some(note) = next {
            match note {
                Note::Fact(fact) => {
                    let len =
                        serde_json::to_vec(&fact).map_or(usize::MAX, |json| json.len().saturating_add(1));
                    if len > limits::FACT_BATCH_BYTES_MAX / 2 {
                        tracing::error!("a fact is too large for a batch, it is lost");
                        metric::facts_lost().increment(1);
                    } else {
                        bytes += len;
                        batch.push(*fact);
                    }
                }
                Note::Flush(done) => {
                    sender.hand_over(std::mem::take(&mut batch)).await;
                    // Who no longer waits for it needs no answer.
                    let _ = done.send(());
                    break;
                }
            }
            // Any next one fits.
            let has_room =
                batch.len() < limits::FACTS_PER_BATCH_MAX && bytes <= limits::FACT_BATCH_BYTES_MAX / 2;
            next = if has_room {
                tokio::select! {
                    note = noted.recv() => note,
                    () = &mut complete => None,
                }
            } else {
                None
            };
        }
        sender.hand_over(batch).await;
    }
}

impl Sender {
    /// Hands a batch over, until it is taken: the same one under the same number.
    async fn hand_over(&mut self, batch: Vec<Fact>) {
        if batch.is_empty() {
            return;
        }
        let mut owner = self.life.owner();
        let mut sequence = if self.last.0 == owner { self.last.1 + 1 } else { 1 };
        loop {
            match self.facts.record(owner, sequence, batch.clone()).await {
                Ok(Recorded::Taken) => {
                    metric::facts_recorded().increment(batch.len() as u64);
                    break;
                }
                Ok(Recorded::OutOfOrder { last }) => {
                    sequence = last + 1;
                    continue;
                }
                Err(MetaError::Refused(Refusal::NotJoined)) => {
                    if let Ok(next) = self.life.after(owner).await {
                        (owner, sequence) = (next, 1);
                        continue;
                    }
                }
                Err(MetaError::Refused(refusal)) => {
                    tracing::error!(%refusal, facts = batch.len(), "a batch of facts was refused, they are lost");
                    metric::facts_lost().increment(batch.len() as u64);
                    break;
                }
                Err(error) => tracing::debug!(%error, "a batch of facts was not taken yet"),
            }
            sleep(AGAIN).await;
        }
        self.last = (owner, sequence);
    }
}
