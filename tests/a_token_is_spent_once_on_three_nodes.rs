//! A one-time token lets one in, whoever else holds it, whichever node they come to and whichever node dies meanwhile;
//! and nothing that was answered for is lost with the dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{AppName, Clock, SessionId, StreamId, SystemClock, SystemRandomness};
use cluster_model::{
    Direction, Fingerprint, Meta, MetaError, SpendError, TokenFault, TokenId, TokenTerms, Tokens,
};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use test_support::{Cluster, ClusterClient, Node, Turn, in_full, note};
use tokio::task::JoinSet;

/// As many as hold a token.
const RACERS: u128 = 64;
/// Tokens that are fought over at one time.
const AT_ONCE: usize = 4;
const VOTERS: usize = 3;
/// Time for one answer when a leader may be dead: several elections.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Until another one leads, in 99 of 100 cases.
const ELECTED_MAX: Duration = Duration::from_secs(2);
/// Until something can be written again: that, and what the machine of a test takes for 64 racers at once.
const AWAY_MAX: Duration = Duration::from_secs(4);

/// What became of one token.
#[derive(Clone, Copy, Debug, Default)]
struct Race {
    admitted: usize,
    refused: usize,
    /// Nobody knows: the one that was let in may be among them.
    unknown: usize,
    /// Certainly had no effect.
    not_done: usize,
}

/// One application's tokens, by a façade for each member.
struct Doors {
    app: AppName,
    stream: StreamId,
    by: Vec<Tokens>,
    _clients: Vec<ClusterClient>,
}

impl Doors {
    async fn open(cluster: &Cluster) -> Result<Self> {
        let mut clients = Vec::new();
        for number in 1..=VOTERS {
            clients.push(cluster.client(VOTERS + number).await?);
        }
        let by = clients.iter().map(|client| {
            let meta = Arc::clone(&client.meta) as Arc<dyn Meta>;
            Tokens::new(meta, Arc::new(SystemClock), Arc::new(SystemRandomness)).within(ANSWER_MAX)
        });
        let by = by.collect();
        Ok(Self { app: AppName::new("LiveApp")?, stream: StreamId::new("stream1")?, by, _clients: clients })
    }

    fn any(&self, number: u128) -> &Tokens {
        &self.by[number as usize % self.by.len()]
    }

    async fn make(&self, number: u128) -> Result<TokenId> {
        let terms = TokenTerms { direction: Direction::Play, expire_s: 1 << 40, room: None };
        loop {
            match self.any(number).create(&self.app, &self.stream, terms.clone()).await {
                Ok(token) => return Ok(token),
                // One that may be there and that nobody was given harms nobody.
                Err(MetaError::Unknown | MetaError::NotApplied(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn spend(&self, token: &TokenId, by: u128, session: SessionId) -> Result<(), SpendError> {
        let print = Fingerprint(session.as_u128());
        self.any(by).spend(&self.app, &self.stream, token, Direction::Play, session, print).await
    }

    /// All at once, and then who was let in once more, and one that comes late.
    async fn race(self: &Arc<Self>, number: u128) -> Result<Race> {
        let token = self.make(number).await?;
        let mut racers = JoinSet::new();
        for by in 0..RACERS {
            let (doors, token) = (Arc::clone(self), token.clone());
            let session = SessionId::from_u128(number * (RACERS + 1) + by);
            racers.spawn(async move { (session, doors.spend(&token, by, session).await) });
        }
        let (mut race, mut winner) = (Race::default(), None);
        for (session, answer) in racers.join_all().await {
            match answer {
                Ok(()) => {
                    race.admitted += 1;
                    winner = Some(session);
                }
                Err(SpendError::Refused(TokenFault::Spent)) => race.refused += 1,
                Err(SpendError::Meta(MetaError::Unknown)) => race.unknown += 1,
                Err(SpendError::Meta(MetaError::NotApplied(_))) => race.not_done += 1,
                Err(error) => bail!("token {number}: {error}"),
            }
        }
        ensure!(race.admitted <= 1, "token {number} was spent {} times: {race:?}", race.admitted);
        let late = SessionId::from_u128(number * (RACERS + 1) + RACERS);
        match (winner, self.certain(&token, number, late).await?) {
            // What was answered for is not forgotten.
            (Some(_), true) => bail!("token {number} let a second one in: {race:?}"),
            (Some(winner), false) => {
                let again = self.certain(&token, number + 1, winner).await?;
                ensure!(again, "token {number} does not know whom it let in: {race:?}");
            }
            (None, true) => race.admitted += 1,
            (None, false) => ensure!(race.unknown > 0, "token {number} let nobody in: {race:?}"),
        }
        Ok(race)
    }

    /// Whether a session is let in, asked until it is certain.
    async fn certain(&self, token: &TokenId, by: u128, session: SessionId) -> Result<bool> {
        for attempt in 0..5 {
            match self.spend(token, by + attempt, session).await {
                Ok(()) => return Ok(true),
                Err(SpendError::Refused(TokenFault::Spent)) => return Ok(false),
                Err(SpendError::Refused(fault)) => bail!("what was made is lost: {fault}"),
                Err(SpendError::Meta(_)) => {}
            }
        }
        bail!("no certain answer came")
    }

    /// Nobody gets in by any of them any more, whomever one asks.
    async fn all_are_spent(&self, tokens: &[TokenId]) -> Result<()> {
        for (place, token) in tokens.iter().enumerate() {
            let by = self.any(place as u128);
            let fault = by.fault(&self.app, &self.stream, token, Direction::Play).await?;
            ensure!(fault == Some(TokenFault::Spent), "{fault:?}");
        }
        Ok(())
    }
}

/// What came of all races.
#[derive(Debug, Default)]
struct Sum {
    tokens: usize,
    admitted: usize,
    unknown: usize,
    not_done: usize,
}

impl Sum {
    fn add(mut self, race: Race) -> Self {
        self.tokens += 1;
        self.admitted += race.admitted;
        self.unknown += race.unknown;
        self.not_done += race.not_done;
        self
    }
}

/// Races until as many tokens were fought over as wanted, and `goes_on` says no.
async fn races(doors: &Arc<Doors>, tokens: u128, goes_on: impl Fn() -> bool) -> Result<Sum> {
    iter(0..)
        .take_while(|number| std::future::ready(*number < tokens || goes_on()))
        .map(|number| doors.race(number))
        .buffer_unordered(AT_ONCE)
        .try_fold(Sum::default(), async |sum, race| Ok(sum.add(race)))
        .await
}

/// What came of dead leaders: how long nobody led, how long nothing could be written, and what was written then.
#[derive(Default)]
struct Deaths {
    elected: Vec<Duration>,
    away: Vec<Duration>,
    kept: Vec<TokenId>,
}

/// Kills whoever leads, again and again.
async fn kill_leaders(cluster: &mut Cluster, doors: &Doors, kills: usize) -> Result<Deaths> {
    let mut deaths = Deaths::default();
    for kill in 0..kills {
        let leads = Node::eventually(ANSWER_MAX, || cluster.leader()).await.context("nobody leads")?;
        cluster.node_mut(leads).kill9().await?;
        let killed = SystemClock.now();
        let elected = async {
            let other = async || cluster.leader().await.filter(|leader| *leader != leads);
            let found = Node::eventually(ANSWER_MAX, other).await;
            found.map(|_| SystemClock.now() - killed)
        };
        let written = async { (doors.make(kill as u128).await, SystemClock.now() - killed) };
        let (elected, (probe, away)) = tokio::join!(elected, written);
        deaths.elected.push(elected.context("nobody leads")?);
        deaths.away.push(away);
        let probe = probe?;
        ensure!(doors.certain(&probe, kill as u128, SessionId::from_u128(u128::MAX - kill as u128)).await?);
        deaths.kept.push(probe);
        cluster.node_mut(leads).restart().await.with_context(|| format!("after kill {kill}"))?;
        if (kill + 1) % 10 == 0 {
            note(&format!("{} of {kills} leaders killed", kill + 1));
        }
    }
    Ok(deaths)
}

/// The median and what 99 of 100 stay within.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[(times.len() * 99).div_ceil(100) - 1], times[times.len() - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_hold_a_token_one_is_let_in() -> Result<()> {
    let tokens = if in_full() { 10_000 } else { 200 };
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), VOTERS).await?;
    let doors = Arc::new(Doors::open(&cluster).await?);
    let began = SystemClock.now();
    let sum = races(&doors, tokens, || false).await?;
    let per_second = (tokens * RACERS) as f64 / (SystemClock.now() - began).as_secs_f64();
    note(&format!("{tokens} tokens, {RACERS} racers each: {per_second:.0} spends per second; {sum:?}"));
    ensure!(sum.admitted == sum.tokens, "{sum:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_leader_lets_nobody_in_twice() -> Result<()> {
    let kills = if in_full() { 100 } else { 3 };
    let _turn = Turn::take().await?;
    let mut cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), VOTERS).await?;
    let doors = Arc::new(Doors::open(&cluster).await?);
    let killing = AtomicBool::new(true);
    let deaths = async {
        let killed = kill_leaders(&mut cluster, &doors, kills).await;
        killing.store(false, Ordering::Release);
        killed
    };
    let (sum, killed) = tokio::join!(races(&doors, 0, || killing.load(Ordering::Acquire)), deaths);
    let (deaths, sum) = (killed?, sum?);
    doors.all_are_spent(&deaths.kept).await?;
    let (elected, away) = (spread(deaths.elected), spread(deaths.away));
    note(&format!(
        "{kills} leaders killed (median, p99, max): another one after {elected:?}, written again after {away:?}; {sum:?}"
    ));
    ensure!(elected.1 <= ELECTED_MAX && away.1 <= AWAY_MAX, "{elected:?}, {away:?}");
    Ok(())
}
