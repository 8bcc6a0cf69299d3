//! A node that is no member, and members that are only what they say.

use std::collections::BTreeSet;

use base::AppName;
use cluster_model::Which;

use super::*;

/// Some of them gone since the node was configured.
const CONFIGURED: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const VOTERS: [NodeId; 3] = [NodeId(4), NodeId(5), NodeId(6)];

struct Asker {
    client: Client,
    now: Now,
}

impl Asker {
    /// One that knows who the members are, from one of them.
    fn of_seed(seed: u64) -> Self {
        let now = Now { monotonic: Duration::from_secs(1), wall: WallTime(1_000) };
        let client = Client::start(Config::new(NodeId(100), seed), CONFIGURED.to_vec(), 1, now);
        let mut asker = Self { client, now };
        asker.client.tick(now);
        let (_, id) = asker.asked().into_iter().next().expect("how fresh it is");
        asker.is_told(id, &Members { voters: VOTERS.into(), ..Members::default() });
        asker.asked();
        asker
    }

    /// A member answers the question `id`.
    fn is_told(&mut self, id: u64, members: &Members) {
        let envelope = Envelope::Reading {
            id,
            revision: Revision::ZERO,
            generation: 0,
            reading: Vec::new(),
            members: serde_json::to_vec(members).unwrap(),
        };
        self.client.receive(VOTERS[0], &envelope.encode(), self.now).unwrap();
    }

    /// All whom a question goes to that nobody answers.
    fn round(&mut self) -> BTreeSet<NodeId> {
        self.read(1_000);
        let mut all: BTreeSet<_> = self.asked().into_iter().map(|(node, _)| node).collect();
        for _ in 0..2 * (VOTERS.len() + CONFIGURED.len()) {
            all.extend(self.asked_again());
        }
        all
    }

    /// Who was asked since, and under which number.
    fn asked(&mut self) -> Vec<(NodeId, u64)> {
        let mut asked = Vec::new();
        while let Some(output) = self.client.poll() {
            if let Output::Send { to, bytes, .. } = output
                && let Envelope::Read { id, .. } = Envelope::decode(&bytes).unwrap()
            {
                asked.push((to, id));
            }
        }
        asked
    }

    fn read(&mut self, id: u64) {
        let query = Query::BroadcastCount { app: AppName::new("a").unwrap(), which: Which::All };
        let deadline = self.now.monotonic + Duration::from_secs(30);
        self.client.read(ReadId(id), &query, deadline, self.now);
    }

    /// Whom the reads that nobody answered go to next.
    fn asked_again(&mut self) -> Vec<NodeId> {
        self.now.monotonic += 2 * limits::META_RETRY_AFTER;
        // How fresh the node is was asked before: what is asked of the reads is what follows.
        self.client.freshen_again = Moment::MAX;
        self.client.tick(self.now);
        self.asked().into_iter().map(|(node, _)| node).collect()
    }
}

/// A read of two seconds asks two of them: those gone must not be both.
#[test]
fn a_read_goes_to_a_member_and_then_to_another_one() {
    for seed in 0..12 {
        let mut asker = Asker::of_seed(seed);
        asker.read(1);
        let first = asker.asked()[0].0;
        assert!(VOTERS.contains(&first), "seed {seed}: {first}");
        let mut all: BTreeSet<_> = [first].into();
        for _ in 1..VOTERS.len() + CONFIGURED.len() {
            all.extend(asker.asked_again());
        }
        // Nobody was asked twice before everybody was once.
        assert_eq!(all.len(), VOTERS.len() + CONFIGURED.len(), "seed {seed}: {all:?}");
    }
}

#[test]
fn no_read_comes_back_to_who_did_not_answer_because_of_others() {
    let mut asker = Asker::of_seed(0);
    // As many as go round: with one turn for all, the last one would be where it was.
    let many = VOTERS.len() + CONFIGURED.len();
    (0..many as u64).for_each(|id| asker.read(id));
    let asked: BTreeSet<_> = asker.asked().into_iter().map(|(node, _)| node).collect();
    let [silent] = asked.into_iter().collect::<Vec<_>>()[..] else { panic!("one is asked first") };
    let again = asker.asked_again();
    assert!(again.len() == many && !again.contains(&silent), "{silent}: {again:?}");
    // What comes now begins with another one, too.
    asker.read(many as u64);
    assert!(asker.asked().iter().all(|(node, _)| *node != silent));
}

/// Members may all be replaced while no question is answered in time: whoever is heard of is asked too.
#[test]
fn who_becomes_a_member_is_asked_and_who_leads_and_whom_a_late_answer_names() {
    let mut asker = Asker::of_seed(0);
    let (learner, leader, newest) = (NodeId(7), NodeId(8), NodeId(9));
    asker.client.leader = Some(VOTERS[0]);
    asker
        .client
        .receive(VOTERS[0], &Envelope::Elsewhere { leader: Some(leader) }.encode(), asker.now)
        .unwrap();
    let members =
        Members { voters: [newest].into(), learners: [learner].into(), newest, ..Members::default() };
    asker.is_told(u64::MAX, &members);
    let all = asker.round();
    assert_eq!(all, CONFIGURED.into_iter().chain([learner, leader, newest]).collect());
    // One that is late and older tells nothing new.
    asker.is_told(u64::MAX, &Members { voters: VOTERS.into(), newest: learner, ..Members::default() });
    assert_eq!(asker.client.known.voters, [newest].into());
}

/// Who watches through a member that is gone, and writes by one that is there.
#[test]
fn what_was_written_is_watched_for_where_it_was_written() {
    let mut asker = Asker::of_seed(0);
    let (watched, leader) = (VOTERS[1], VOTERS[2]);
    let page =
        |id| Envelope::Listed { id, revision: Revision(7), now: WallTime(7), rows: vec![], ends: true };
    asker.client.mirror.asks(1, asker.now.monotonic);
    asker.client.receive(watched, &page(1).encode(), asker.now).unwrap();
    assert_eq!(asker.client.state().map(State::revision), Some(Revision(7)));
    while asker.client.poll().is_some() {}
    let answer = |revision| Envelope::Answer {
        request: RequestId::from_u128(1),
        revision: Revision(revision),
        outcome: cluster_model::Outcome::Done,
    };
    let watches = |asker: &mut Asker| {
        asker.now.monotonic += limits::RAFT_TICK;
        asker.client.freshen_again = Moment::MAX;
        asker.client.watch_again = Moment::MAX;
        asker.client.tick(asker.now);
        let mut to = Vec::new();
        while let Some(output) = asker.client.poll() {
            if let Output::Send { to: node, bytes, .. } = output
                && let Envelope::Watch { from, .. } = Envelope::decode(&bytes).unwrap()
            {
                to.push((node, from));
            }
        }
        to
    };
    // What is here already is not waited for.
    asker.client.receive(leader, &answer(7).encode(), asker.now).unwrap();
    assert_eq!(watches(&mut asker), []);
    asker.client.receive(leader, &answer(8).encode(), asker.now).unwrap();
    assert_eq!(watches(&mut asker), [(leader, Revision(7))]);
    assert_eq!(watches(&mut asker), [], "it is asked once");
}

#[test]
fn a_command_that_changed_nothing_moves_the_copy_all_the_same() {
    let mut asker = Asker::of_seed(0);
    asker.client.mirror.asks(1, asker.now.monotonic);
    let page = Envelope::Listed { id: 1, revision: Revision(7), now: WallTime(7), rows: vec![], ends: true };
    asker.client.receive(VOTERS[0], &page.encode(), asker.now).unwrap();
    while asker.client.poll().is_some() {}
    let (after, upto, now) = (Revision(7), Revision(9), WallTime(9));
    let nothing = Envelope::Changes { after, upto, generation: 0, now, changes: vec![] };
    asker.client.receive(VOTERS[0], &nothing.encode(), asker.now).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| asker.client.poll())
        .filter_map(|output| match output {
            Output::Applied(entry) => Some((entry.revision, entry.changes.len())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(upto, 0)]);
    assert_eq!(asker.client.state().map(State::revision), Some(upto));
}
