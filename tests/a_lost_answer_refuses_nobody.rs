//! Who holds a one-time token that nobody else holds is let in by it, also when the answer is lost on its way; and nobody is
//! let in by it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::{AppName, Clock, SessionId, StreamId, SystemClock, SystemRandomness, limits};
use cluster_model::{
    Direction, Fingerprint, Meta, MetaError, SpendError, TokenFault, TokenId, TokenTerms, Tokens,
};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use test_support::{Cluster, ClusterClient, Loss, Turn, in_full, note};

const VOTERS: usize = 3;
/// Of a hundred answers one is lost.
const LOST_OF_THOUSAND: u64 = 10;
/// Who present a token at one time.
const AT_ONCE: usize = 32;
/// What a machine that has other things to do too may take for an answer that came at once: less than it takes until a node
/// asks again.
const AT_ONCE_MAX: Duration = limits::META_RETRY_AFTER.saturating_sub(Duration::from_millis(1));

/// Three nodes without a vote, whose way back from the members loses answers, and the façade of each.
struct Doors {
    app: AppName,
    stream: StreamId,
    by: Vec<Tokens>,
    _clients: Vec<ClusterClient>,
}

impl Doors {
    async fn open(cluster: &Cluster, losses: &[Arc<Loss>]) -> Result<Self> {
        let mut clients = Vec::new();
        for (place, loss) in losses.iter().enumerate() {
            clients.push(cluster.client_with(VOTERS + 1 + place, loss).await?);
        }
        let by = clients.iter().map(|client| {
            let meta = Arc::clone(&client.meta) as Arc<dyn Meta>;
            // As patient as the gate is.
            Tokens::new(meta, Arc::new(SystemClock), Arc::new(SystemRandomness))
                .within(limits::SPEND_RETRY_MAX)
        });
        let by = by.collect();
        Ok(Self { app: AppName::new("LiveApp")?, stream: StreamId::new("stream1")?, by, _clients: clients })
    }

    fn any(&self, number: usize) -> &Tokens {
        &self.by[number % self.by.len()]
    }

    async fn make(&self, number: usize) -> Result<TokenId> {
        let terms = TokenTerms { direction: Direction::Play, expire_s: 1 << 40, room: None };
        Ok(self.any(number).create(&self.app, &self.stream, terms).await?)
    }

    /// Presents a token as one session, by a node, and says what came of it and how long that took.
    async fn present(&self, number: usize, token: &TokenId) -> Presented {
        let (session, began) = (SessionId::from_u128(number as u128), SystemClock.now());
        let print = Fingerprint(number as u128);
        let tokens = self.any(number + 1);
        let answer = tokens.spend(&self.app, &self.stream, token, Direction::Play, session, print).await;
        Presented { answer, took: since(began) }
    }

    /// What the token would be refused for by another node than it was presented to.
    async fn fault(&self, number: usize, token: &TokenId) -> Result<Option<TokenFault>> {
        Ok(self.any(number + 2).fault(&self.app, &self.stream, token, Direction::Play).await?)
    }
}

struct Presented {
    answer: Result<(), SpendError>,
    took: Duration,
}

/// What became of those who presented a token.
#[derive(Debug, Default)]
struct Sum {
    /// Let in by the first answer.
    at_once: usize,
    /// Let in by a later one: the node asked again, under the same request.
    asked_again: usize,
    /// Told that the token is worth nothing.
    refused: usize,
    /// Told in time neither that nor the other: the gate says that the data store is not available.
    not_told: usize,
    longest: Duration,
}

impl Sum {
    fn add(mut self, presented: &Presented) -> Self {
        match &presented.answer {
            Ok(()) if presented.took <= AT_ONCE_MAX => self.at_once += 1,
            Ok(()) => self.asked_again += 1,
            Err(SpendError::Refused(_)) => self.refused += 1,
            Err(SpendError::Meta(MetaError::Unknown | MetaError::NotApplied(_))) => self.not_told += 1,
            Err(SpendError::Meta(_)) => self.refused += 1,
        }
        self.longest = self.longest.max(presented.took);
        self
    }
}

fn since(began: Instant) -> Duration {
    SystemClock.now() - began
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_of_a_hundred_is_lost_and_all_who_hold_a_token_get_in() -> Result<()> {
    let presenters = if in_full() { 10_000 } else { 1_000 };
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), VOTERS).await?;
    let losses: Vec<_> = (1..=3).map(|seed| Loss::of_thousand(LOST_OF_THOUSAND, seed)).collect();
    let doors = Doors::open(&cluster, &losses).await?;
    let tokens: Vec<TokenId> =
        iter(0..presenters).map(|number| doors.make(number)).buffered(AT_ONCE).try_collect().await?;
    let answers = || losses.iter().map(|loss| loss.answers()).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let before = answers();

    let doors = &doors;
    let sum = iter(tokens.iter().enumerate())
        .map(|(number, token)| async move { doors.present(number, token).await })
        .buffer_unordered(AT_ONCE)
        .fold(Sum::default(), |sum, presented| std::future::ready(sum.add(&presented)))
        .await;

    let after = answers();
    let (came, lost) = (after.0 - before.0, after.1 - before.1);
    note(&format!("{presenters} presenters, one token each; {lost} of {came} answers lost: {sum:?}"));
    ensure!(lost > 0, "nothing was lost: nothing is shown");
    ensure!(sum.refused == 0 && sum.not_told == 0, "{sum:?}");
    // Each answer that was lost is one that asked again, and the machine's own pauses may add some.
    ensure!(sum.at_once + sum.asked_again == presenters && sum.asked_again > 0, "{sum:?}");

    // And each of them once: nobody else is let in by any of these.
    let faults: Vec<_> = iter(tokens.iter().enumerate())
        .map(|(number, token)| async move { doors.fault(number, token).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .context("a token cannot be looked at")?;
    let good = faults.iter().filter(|fault| **fault != Some(TokenFault::Spent)).count();
    ensure!(good == 0, "{good} tokens are as good as new");
    Ok(())
}
