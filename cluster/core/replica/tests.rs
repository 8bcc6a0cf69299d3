//! Replicas that talk to each other at once and write at once, unless a test says otherwise.

use base::{AppName, StreamId, WallTime};
use cluster_model::{
    Answer, Change, Command, Consistency, Outcome, Proposal, Query, Reading, RowKind, Token, TokenId,
    TokenTerms,
};

use super::*;
use crate::{Client, MembershipChange, ReadId};

mod elections;
mod gathered;

const TICK: Moment = limits::RAFT_TICK;
/// There and back takes longer than a question waits until it is asked again.
const FAR: Moment = TICK.saturating_mul(3);

/// Members and what is on their disks.
struct Cluster {
    replicas: BTreeMap<NodeId, Replica>,
    disks: BTreeMap<NodeId, Saved>,
    now: Moment,
    answers: Vec<(RequestId, Proposal)>,
    readings: Vec<(ReadId, Reading)>,
    halted: Vec<(NodeId, Halt)>,
    /// Nobody hears them and they hear nobody.
    cut: BTreeSet<NodeId>,
    /// What it says and what is said to it takes [`FAR`].
    far: Option<NodeId>,
    under_way: VecDeque<(Moment, NodeId, NodeId, Vec<u8>)>,
    levels: BTreeMap<NodeId, u32>,
    /// Said to nodes that are no members.
    said: Vec<(NodeId, Vec<u8>)>,
}

impl Cluster {
    fn of(voters: u64) -> Self {
        let all: Vec<_> = (1..=voters).map(NodeId).collect();
        let mut cluster = Self {
            replicas: BTreeMap::new(),
            disks: BTreeMap::new(),
            now: Moment::ZERO,
            answers: Vec::new(),
            readings: Vec::new(),
            halted: Vec::new(),
            cut: BTreeSet::new(),
            far: None,
            under_way: VecDeque::new(),
            levels: BTreeMap::new(),
            said: Vec::new(),
        };
        for node in &all {
            cluster.disks.insert(*node, Saved::first(all.iter().copied(), State::default()));
            cluster.start(*node);
        }
        cluster
    }

    fn start(&mut self, node: NodeId) {
        let mut config = Config::new(node, 7);
        config.level = self.levels.get(&node).copied().unwrap_or(1);
        (config.tuning.log_entries_kept, config.tuning.log_entries_max) = (8, 16);
        let saved = self.disks.entry(node).or_default().clone();
        let replica = Replica::start(config, saved, self.time()).unwrap();
        self.replicas.insert(node, replica);
    }

    fn time(&self) -> Now {
        Now { monotonic: self.now, wall: WallTime(1_000 + u64::try_from(self.now.as_millis()).unwrap()) }
    }

    /// Until nobody wants anything done.
    fn settle(&mut self) {
        loop {
            let next = self.replicas.iter_mut().find_map(|(node, replica)| Some((*node, replica.poll()?)));
            let Some((node, output)) = next else { return };
            let now = self.time();
            match output {
                Output::Send { to, bytes, .. } => {
                    if self.cut.contains(&node) || self.cut.contains(&to) {
                        continue;
                    }
                    if self.far.is_some_and(|far| [node, to].contains(&far)) {
                        self.under_way.push_back((self.now + FAR, node, to, bytes));
                        continue;
                    }
                    self.deliver(node, to, bytes);
                }
                Output::Persist(persist) => {
                    let n = persist.n;
                    self.disks.entry(node).or_default().write(*persist);
                    self.replicas.get_mut(&node).unwrap().persisted(n, now);
                }
                Output::Answer { request, proposal } => self.answers.push((request, proposal)),
                Output::Read { id, result } => self.readings.push((id, result.unwrap())),
                Output::Halted(why) => self.halted.push((node, why)),
                Output::Applied(_) | Output::Relist { .. } | Output::Leader { .. } => {}
            }
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        let now = self.time();
        match self.replicas.get_mut(&to) {
            Some(receiver) => receiver.receive(from, &bytes, now).unwrap(),
            None => self.said.push((from, bytes)),
        }
    }

    fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            self.now += TICK;
            let now = self.time();
            while let Some((_, from, to, bytes)) =
                self.under_way.pop_front_if(|(at, ..)| *at <= now.monotonic)
            {
                self.deliver(from, to, bytes);
            }
            for replica in self.replicas.values_mut() {
                replica.tick(now);
            }
            self.settle();
        }
    }

    fn leader(&mut self) -> NodeId {
        for _ in 0..20 {
            self.ticks(5);
            let leads = |(node, replica): (&NodeId, &Replica)| {
                (replica.leads() && !self.cut.contains(node)).then_some(*node)
            };
            if let Some(leader) = self.replicas.iter().find_map(leads) {
                return leader;
            }
        }
        panic!("nobody leads");
    }

    fn propose(&mut self, on: NodeId, request: u128, stream: &str) {
        let command = create(stream);
        let (now, deadline) = (self.time(), self.now + 30 * TICK);
        self.replicas.get_mut(&on).unwrap().propose(RequestId::from_u128(request), &command, deadline, now);
        self.settle();
    }

    fn answer(&self, request: u128) -> Option<Proposal> {
        let wanted = RequestId::from_u128(request);
        self.answers.iter().find(|(request, _)| *request == wanted).map(|(_, proposal)| *proposal)
    }
}

fn create(stream: &str) -> Command {
    let (app, stream) = (AppName::new("a").unwrap(), StreamId::new(stream).unwrap());
    Command::CreateBroadcast { app, stream, broadcast: Box::default() }
}

fn applied(revision: u64, outcome: Outcome) -> Option<Proposal> {
    Some(Proposal::Applied { revision: Revision(revision), outcome })
}

fn count() -> Query {
    Query::BroadcastCount { app: AppName::new("a").unwrap(), which: cluster_model::Which::All }
}

#[test]
fn any_member_takes_a_write_and_all_come_to_the_same() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    for (request, node) in (1..).zip(1..=3) {
        cluster.propose(NodeId(node), request, &format!("s{node}"));
        assert_eq!(cluster.answer(request), applied(node, Outcome::Done), "node {node}, {leader} leads");
    }
    cluster.propose(leader, 3, "s3");
    assert_eq!(cluster.answer(3), applied(3, Outcome::Done), "a retry is answered as before");
    cluster.ticks(10);
    let hashes: BTreeSet<_> = cluster.replicas.values().map(|replica| replica.state().hash().0).collect();
    assert_eq!(hashes.len(), 1);
}

#[test]
fn nothing_is_said_or_promised_before_it_is_on_disk() {
    let saved = Saved::first([NodeId(1)], State::default());
    let now = |ticks: u32| Now { monotonic: TICK * ticks, wall: WallTime(5) };
    let mut replica = Replica::start(Config::new(NodeId(1), 7), saved, now(0)).unwrap();
    let Some(Output::Persist(first)) = replica.poll() else { panic!("the life is counted first") };
    assert_eq!((first.boot, first.sync), (Some(1), true));
    for tick in 1..100 {
        replica.tick(now(tick));
    }
    let said = std::iter::from_fn(|| replica.poll()).any(|output| !matches!(output, Output::Leader { .. }));
    assert!(!said, "until that is on disk");
    replica.persisted(first.n, now(100));
    for tick in 100..130 {
        replica.tick(now(tick));
        while let Some(output) = replica.poll() {
            if let Output::Persist(persist) = output {
                replica.persisted(persist.n, now(tick));
            }
        }
    }
    assert!(replica.status().leads);
    replica.propose(RequestId::from_u128(1), &create("s"), TICK * 400, now(130));
    let mut writes = Vec::new();
    while let Some(output) = replica.poll() {
        match output {
            Output::Persist(persist) => writes.push(persist.n),
            Output::Leader { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    replica.persisted(*writes.last().unwrap(), now(131));
    let answered =
        std::iter::from_fn(|| replica.poll()).any(|output| matches!(output, Output::Answer { .. }));
    assert!(answered);
}

#[test]
fn a_read_of_a_leader_that_is_cut_off_is_not_answered() {
    let mut cluster = Cluster::of(3);
    let old = cluster.leader();
    cluster.propose(old, 1, "s");
    cluster.cut.insert(old);
    let new = cluster.leader();
    assert_ne!(new, old);
    cluster.propose(new, 2, "t");
    let (now, deadline) = (cluster.time(), cluster.now + 300 * TICK);
    for (id, node) in [(1, old), (2, new)] {
        let replica = cluster.replicas.get_mut(&node).unwrap();
        replica.read(ReadId(id), count(), Consistency::Linearizable, deadline, now);
    }
    cluster.ticks(20);
    let answered: Vec<_> = cluster.readings.iter().map(|(id, reading)| (id.0, &reading.answer)).collect();
    assert_eq!(answered, [(2, &Answer::Count(2))]);
    cluster.cut.clear();
    cluster.ticks(20);
    assert_eq!(
        cluster.readings.last().map(|(id, reading)| (id.0, &reading.answer)),
        Some((1, &Answer::Count(2)))
    );
}

#[test]
fn a_new_member_catches_up_by_a_snapshot_and_takes_the_place_of_the_dead_one() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    for n in 0..60 {
        cluster.propose(leader, n, &format!("s{n}"));
    }
    let dead = cluster.replicas.keys().copied().find(|node| *node != leader).unwrap();
    cluster.replicas.remove(&dead);
    cluster.disks.insert(NodeId(4), Saved::joining());
    cluster.start(NodeId(4));
    cluster.settle();
    let now = cluster.time();
    let change = MembershipChange::Add { node: NodeId(4), replaces: Some(dead) };
    cluster.replicas.get_mut(&leader).unwrap().change_membership(change, now).unwrap();
    cluster.ticks(60);
    let joined = cluster.replicas[&NodeId(4)].status();
    assert!(joined.members.voters.contains(&NodeId(4)) && !joined.members.contains(dead), "{joined:?}");
    assert!(!joined.members.is_joint() && joined.compacted > 1, "{joined:?}");
    // From its disk it comes back as it was, the applied index and the members included.
    cluster.start(NodeId(4));
    cluster.ticks(30);
    assert_eq!(cluster.replicas[&NodeId(4)].revision(), Revision(60));
    let again = MembershipChange::Add { node: dead, replaces: None };
    let now = cluster.time();
    let refused = cluster.replicas.get_mut(&leader).unwrap().change_membership(again, now);
    assert_eq!(refused, Err(crate::MembershipError::UsedBefore));
}

#[test]
fn a_removed_member_is_told_and_stops() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let gone = cluster.replicas.keys().copied().find(|node| *node != leader).unwrap();
    cluster.cut.insert(gone);
    let now = cluster.time();
    let change = MembershipChange::Remove { node: gone };
    cluster.replicas.get_mut(&leader).unwrap().change_membership(change, now).unwrap();
    cluster.ticks(20);
    cluster.cut.clear();
    cluster.ticks(40);
    assert_eq!(cluster.halted, [(gone, Halt::Removed)]);
}

/// Of two, since the one that stays must know that it is a majority by itself.
#[test]
fn a_leader_that_is_to_go_hands_over_and_is_removed_by_the_next_one() {
    for voters in [2, 3] {
        let mut cluster = Cluster::of(voters);
        let old = cluster.leader();
        cluster.propose(old, 1, "s");
        let remove = |cluster: &mut Cluster, on: NodeId| {
            let (now, change) = (cluster.time(), MembershipChange::Remove { node: old });
            let said = cluster.replicas.get_mut(&on).unwrap().change_membership(change, now);
            cluster.settle();
            said
        };
        assert_eq!(remove(&mut cluster, old), Err(crate::MembershipError::HandsOver));
        let new = cluster.leader();
        assert_ne!(new, old, "of {voters}");
        assert_eq!(remove(&mut cluster, new), Ok(()));
        cluster.ticks(40);
        assert_eq!(cluster.halted, [(old, Halt::Removed)]);
        let members = cluster.replicas[&new].status().members;
        assert!(!members.contains(old) && members.voters.len() as u64 == voters - 1, "{members:?}");
        cluster.propose(new, 2, "t");
        assert_eq!(cluster.answer(2), applied(2, Outcome::Done));
    }
}

#[test]
fn a_leader_that_nobody_could_follow_stays_and_says_why() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader();
    let other = cluster.replicas.keys().copied().find(|node| *node != leader).unwrap();
    cluster.cut.insert(other);
    let mut said = Ok(());
    // Until it no longer hears the other one, and before it leads no more.
    for _ in 0..2 * limits::RAFT_ELECTION_TICKS_MIN {
        let (now, change) = (cluster.time(), MembershipChange::Remove { node: leader });
        said = cluster.replicas.get_mut(&leader).unwrap().change_membership(change, now);
        if said == Err(crate::MembershipError::NoSuccessor) {
            break;
        }
        cluster.ticks(1);
    }
    let gone = [Err(crate::MembershipError::NoSuccessor), Err(crate::MembershipError::NotLeader)];
    assert!(gone.contains(&said), "{said:?}");
    assert!(cluster.replicas[&leader].status().members.contains(leader) && cluster.halted.is_empty());
}

#[test]
fn the_level_rises_when_every_member_knows_it_and_keeps_out_who_does_not() {
    let mut cluster = Cluster::of(3);
    for node in [1, 2] {
        cluster.levels.insert(NodeId(node), 2);
        cluster.start(NodeId(node));
    }
    cluster.leader();
    cluster.ticks(60);
    assert!(cluster.replicas.values().all(|replica| replica.status().level == 1));
    cluster.levels.insert(NodeId(3), 2);
    cluster.start(NodeId(3));
    cluster.leader();
    cluster.ticks(60);
    assert!(cluster.replicas.values().all(|replica| replica.status().level == 2));
    // An older program that comes back on one of them does not start.
    let older = Replica::start(Config::new(NodeId(1), 7), cluster.disks[&NodeId(1)].clone(), cluster.time());
    assert!(older.is_err_and(|error| error.to_string().contains("level 2")));
}

#[test]
fn the_level_rises_however_many_nodes_gave_signs_of_life() {
    let mut cluster = Cluster::of(3);
    for node in [1, 2] {
        cluster.levels.insert(NodeId(node), 2);
        cluster.start(NodeId(node));
    }
    // The one that knows no more than level 1 goes, and another one comes.
    let (old, new) = (NodeId(3), NodeId(4));
    cluster.replicas.remove(&old);
    let leader = cluster.leader();
    let alive = Envelope::Alive { level: 1, wall: WallTime(1_000) }.encode();
    for n in 0..=limits::META_WATCHING_NODES_MAX as u64 {
        let now = cluster.time();
        cluster.replicas.get_mut(&leader).unwrap().receive(NodeId(100 + n), &alive, now).unwrap();
    }
    cluster.disks.insert(new, Saved::joining());
    cluster.levels.insert(new, 2);
    cluster.start(new);
    cluster.settle();
    let change = MembershipChange::Add { node: new, replaces: Some(old) };
    let now = cluster.time();
    cluster.replicas.get_mut(&leader).unwrap().change_membership(change, now).unwrap();
    cluster.ticks(100);
    assert!(cluster.replicas.values().all(|replica| replica.status().level == 2));
    let known: Vec<_> =
        cluster.replicas[&leader].levels.keys().copied().filter(|node| *node != leader).collect();
    assert_eq!(known, [NodeId(3 - leader.0), new]);
}

#[test]
fn a_command_that_is_not_known_halts_the_replica() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let replica = cluster.replicas.get_mut(&leader).unwrap();
    replica.raft.propose(Vec::new(), vec![200, 1, 2, 3]).unwrap();
    cluster.ticks(20);
    assert_eq!(cluster.halted.len(), 3, "{:?}", cluster.halted);
    assert!(cluster.halted.iter().all(|(_, why)| matches!(why, Halt::UnknownEntry { .. })));
    // It says so again after a restart, and answers nothing.
    cluster.propose(leader, 9, "s");
    assert_eq!(cluster.answer(9), Some(Proposal::NotApplied(cluster_model::NotApplied::Closed)));
}

#[test]
fn a_client_is_served_whomever_it_asks_first() {
    let mut cluster = Cluster::of(3);
    cluster.leader();
    let members: Vec<_> = cluster.replicas.keys().copied().collect();
    for seed in 0..3 {
        let mut client = Client::start(Config::new(NodeId(100), seed), members.clone(), seed, cluster.time());
        let request = RequestId::from_u128(50 + u128::from(seed));
        client.propose(request, &create(&format!("c{seed}")), cluster.now + 100 * TICK, cluster.time());
        client.read(ReadId(1), &count(), cluster.now + 100 * TICK, cluster.time());
        let (mut answered, mut read, mut seen) = (false, false, false);
        for _ in 0..60 {
            cluster.ticks(1);
            let now = cluster.time();
            client.tick(now);
            while let Some(output) = client.poll() {
                match output {
                    Output::Send { to, bytes, .. } => {
                        let replica = cluster.replicas.get_mut(&to).unwrap();
                        replica.receive(NodeId(100), &bytes, now).unwrap();
                    }
                    Output::Answer { proposal, .. } => {
                        answered = Some(proposal) == applied(seed + 1, Outcome::Done);
                    }
                    Output::Read { result, .. } => read = result.is_ok(),
                    Output::Applied(_) | Output::Relist { .. } => {
                        seen = client.state().map(State::revision) == Some(Revision(seed + 1));
                    }
                    other => panic!("{other:?}"),
                }
            }
            cluster.settle();
            for (node, bytes) in std::mem::take(&mut cluster.said) {
                client.receive(node, &bytes, now).unwrap();
            }
        }
        assert!(answered && read && seen, "seed {seed}: {answered} {read} {seen}");
        assert_eq!(client.authority(cluster.time()), Authority::Fresh);
        let leader = cluster.leader();
        assert_eq!(client.state(), Some(&cluster.replicas[&leader].state().replica()));
    }
}

/// Many tokens, each of which is small: what is around them on the wire counts too.
#[test]
fn no_page_of_small_rows_is_larger_than_a_message_may_be() {
    const TOKENS: usize = 20_000;
    let mut state = State::default();
    let terms = TokenTerms { direction: cluster_model::Direction::Play, expire_s: 9_000_000_000, room: None };
    let token = std::sync::Arc::new(Token { terms, made_at: Revision(1), generation: 0, spent: None });
    let tokens = (0..TOKENS).map(|n| Change::Token {
        app: AppName::new("a").unwrap(),
        stream: StreamId::new("s").unwrap(),
        token: TokenId::new(&format!("token{n:05}")).unwrap(),
        now: Some(std::sync::Arc::clone(&token)),
    });
    state.absorb(Revision(1), WallTime(1), &tokens.collect::<Vec<_>>());
    let mut cluster = Cluster::of(1);
    cluster.disks.insert(NodeId(1), Saved::first([NodeId(1)], state));
    cluster.start(NodeId(1));
    cluster.settle();
    let (mut behind, mut listed, mut ends, mut pages) = (None, 0, false, 0);
    while !ends {
        let list = Envelope::List { id: pages, from: Revision(1), generation: 0, behind: behind.take() };
        let now = cluster.time();
        cluster.replicas.get_mut(&NodeId(1)).unwrap().receive(NodeId(9), &list.encode(), now).unwrap();
        cluster.settle();
        let (_, bytes) = cluster.said.pop().unwrap();
        assert!(bytes.len() <= limits::CLUSTER_SNAPSHOT_BYTES_MAX, "{}", bytes.len());
        let Ok(Envelope::Listed { rows, ends: last, .. }) = Envelope::decode(&bytes) else { panic!() };
        listed += rows.iter().filter(|(kind, ..)| *kind == RowKind::Token.number()).count();
        behind = rows.last().map(|(kind, key, _)| (*kind, key.clone()));
        (ends, pages) = (last, pages + 1);
    }
    assert!(listed == TOKENS && pages > 1, "{listed} on {pages}");
}
