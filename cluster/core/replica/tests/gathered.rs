//! What comes in before outputs are taken goes on its way together.

use cluster_model::Broadcast;
use prost_011::Message as _;
use raft::eraftpb::{Entry, MessageType};

use super::*;

impl Cluster {
    /// What `node` wants done now.
    fn outputs(&mut self, node: NodeId) -> Vec<Output> {
        let replica = self.replicas.get_mut(&node).unwrap();
        std::iter::from_fn(|| replica.poll()).collect()
    }

    /// Does it, and all that follows.
    fn carry_out(&mut self, node: NodeId, outputs: Vec<Output>) {
        // Where `settle` takes them from.
        self.replicas.get_mut(&node).unwrap().outputs.extend(outputs);
        self.settle();
    }

    /// Another one than leads.
    fn follower(&self, leader: NodeId) -> NodeId {
        self.replicas.keys().copied().find(|node| *node != leader).unwrap()
    }

    fn put_down(&mut self, on: NodeId, request: u128, command: &Command) {
        let (now, deadline) = (self.time(), self.now + 30 * TICK);
        self.replicas.get_mut(&on).unwrap().propose(RequestId::from_u128(request), command, deadline, now);
    }

    fn forward(&mut self, from: NodeId, to: NodeId, request: u128, command: &Command) {
        let now = self.time();
        let (request, command) = (RequestId::from_u128(request), command.encode().unwrap());
        let bytes = Envelope::Propose { request, command }.encode();
        self.replicas.get_mut(&to).unwrap().receive(from, &bytes, now).unwrap();
    }

    fn ask(&mut self, on: NodeId, id: u64) {
        let (now, deadline) = (self.time(), self.now + 30 * TICK);
        let replica = self.replicas.get_mut(&on).unwrap();
        replica.read(ReadId(id), count(), Consistency::Linearizable, deadline, now);
    }

    fn is_answered(&self, requests: std::ops::Range<u128>) -> bool {
        requests.into_iter().all(|request| matches!(self.answer(request), Some(Proposal::Applied { .. })))
    }
}

/// How many messages of raft are of one kind.
fn sent(outputs: &[Output], kind: MessageType) -> usize {
    let is_one = |output: &&Output| match output {
        Output::Send { class: Class::Raft, bytes, .. } => {
            let Ok(Envelope::Raft(bytes)) = Envelope::decode(bytes) else { panic!("another envelope") };
            Message::decode(&*bytes).unwrap().get_msg_type() == kind
        }
        _ => false,
    };
    outputs.iter().filter(is_one).count()
}

#[test]
fn what_is_proposed_together_is_one_message_to_each_member_and_one_write() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let (follower, last) = (cluster.follower(leader), cluster.replicas[&leader].status().last);
    for n in 0..10 {
        cluster.put_down(leader, n, &create(&format!("s{n}")));
        // The last five are wanted by another one as well.
        cluster.forward(follower, leader, 5 + n, &create(&format!("s{}", 5 + n)));
    }
    let outputs = cluster.outputs(leader);
    let writes: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Persist(persist) => Some(persist.entries.len()),
            _ => None,
        })
        .collect();
    assert_eq!((writes, sent(&outputs, MessageType::MsgAppend)), (vec![15], 2));
    assert_eq!(cluster.replicas[&leader].status().last, last + 15);
    let waiting: usize = cluster.replicas[&leader].waiters.values().map(BTreeSet::len).sum();
    assert_eq!(waiting, 10);
    cluster.carry_out(leader, outputs);
    assert!(cluster.is_answered(0..10));
    assert_eq!(cluster.replicas[&leader].revision(), Revision(15));
    assert!(cluster.replicas[&leader].waiters.is_empty());
}

#[test]
fn what_was_to_be_proposed_when_leadership_goes_is_told_so_or_handed_on() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.put_down(leader, 1, &create("own"));
    cluster.forward(NodeId(100), leader, 2, &create("other"));
    let newer = Message {
        from: follower.0,
        to: leader.0,
        term: cluster.replicas[&leader].status().term + 1,
        msg_type: MessageType::MsgHeartbeat.into(),
        ..Message::default()
    };
    let now = cluster.time();
    let bytes = Envelope::Raft(newer.encode_to_vec()).encode();
    cluster.replicas.get_mut(&leader).unwrap().receive(follower, &bytes, now).unwrap();
    let outputs = cluster.outputs(leader);
    let told = outputs.iter().filter_map(|output| match output {
        Output::Send { to, class: Class::Meta, bytes } => Some((*to, Envelope::decode(bytes).unwrap())),
        _ => None,
    });
    let command = create("own").encode().unwrap();
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (NodeId(100), Envelope::Elsewhere { leader: Some(follower) }),
            (follower, Envelope::Propose { request: RequestId::from_u128(1), command })
        ]
    );
}

#[test]
fn what_leadership_goes_over_for_was_proposed_before() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.put_down(leader, 1, &create("s"));
    let now = cluster.time();
    cluster.replicas.get_mut(&leader).unwrap().transfer(follower, now);
    cluster.settle();
    assert!(cluster.is_answered(1..2));
    assert!(cluster.replicas[&follower].leads());
}

/// Raft takes a run as a whole or not at all, and has room for so many bytes.
#[test]
fn what_there_was_no_room_for_goes_when_there_is() {
    const MEGABYTE: usize = 1_000_000;
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let command = |n: u128| {
        let broadcast = Broadcast { name: Some("x".repeat(MEGABYTE)), ..Broadcast::default() };
        let (app, stream) = (AppName::new("a").unwrap(), StreamId::new(&format!("s{n}")).unwrap());
        Command::CreateBroadcast { app, stream, broadcast: Box::new(broadcast) }
    };
    (0..50).for_each(|n| cluster.put_down(leader, n, &command(n)));
    let outputs = cluster.outputs(leader);
    let in_log = cluster.replicas[&leader].in_log.len();
    assert!((30..34).contains(&in_log), "{in_log}");
    cluster.carry_out(leader, outputs);
    assert!(cluster.is_answered(0..50), "without a tick");
}

#[test]
fn the_log_holds_no_more_than_so_many_that_are_not_applied() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    let most = limits::META_COMMANDS_MAX as u128;
    (0..most).for_each(|n| cluster.put_down(leader, n, &create(&format!("s{n}"))));
    (most..most + 10).for_each(|n| cluster.forward(follower, leader, n, &create(&format!("s{n}"))));
    let outputs = cluster.outputs(leader);
    let replica = &cluster.replicas[&leader];
    assert_eq!((replica.in_log.len(), replica.room()), (limits::META_COMMANDS_MAX, 0));
    // Who wants one that is in it is told of it, room or not.
    cluster.forward(NodeId(100), leader, most, &create(&format!("s{most}")));
    assert_eq!(cluster.replicas[&leader].waiters[&RequestId::from_u128(most)].len(), 2);
    cluster.carry_out(leader, outputs);
    assert!(cluster.is_answered(0..most), "without a tick");
}

#[test]
fn reads_that_come_together_share_one_question() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    // What was asked during the election is over.
    cluster.ticks(10);
    (0..10).for_each(|id| cluster.ask(follower, id));
    let outputs = cluster.outputs(follower);
    assert_eq!(sent(&outputs, MessageType::MsgReadIndex), 1);
    // One that comes meanwhile is asked with the next question, which goes when the first one is answered.
    cluster.ask(follower, 10);
    assert_eq!(sent(&cluster.outputs(follower), MessageType::MsgReadIndex), 0);
    cluster.carry_out(follower, outputs);
    let answered: BTreeSet<_> = cluster.readings.iter().map(|(id, _)| id.0).collect();
    assert_eq!(answered, (0..=10).collect(), "without a tick");
}

#[test]
fn who_is_far_from_the_leader_reads_and_is_fresh() {
    assert!(2 * FAR > limits::META_READ_RETRY_AFTER);
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.far = Some(follower);
    cluster.ticks(30);
    cluster.ask(follower, 1);
    for _ in 0..30 {
        cluster.ticks(1);
        let replica = &cluster.replicas[&follower];
        assert_eq!(replica.authority(cluster.time()), Authority::Fresh, "{:?}", replica.age(cluster.time()));
    }
    assert!(cluster.readings.iter().any(|(id, _)| id.0 == 1));
    assert!(cluster.replicas[&leader].leads());
}

/// A leader that stood still wakes up: another one may lead, and what was said to it before comes all at once, some of it
/// twice.
#[test]
fn a_question_that_comes_twice_confirms_no_read_by_answers_of_before() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.ticks(10);
    let context: Vec<u8> = [follower.0, 1, 1_000].into_iter().flat_map(u64::to_le_bytes).collect();
    let to_leader = |kind: MessageType| Message {
        from: follower.0,
        to: leader.0,
        msg_type: kind.into(),
        ..Message::default()
    };
    let asks = Message {
        entries: vec![Entry { data: context.clone(), ..Entry::default() }],
        ..to_leader(MessageType::MsgReadIndex)
    };
    let term = cluster.replicas[&leader].status().term;
    let confirms = Message { term, context, ..to_leader(MessageType::MsgHeartbeatResponse) };
    let comes = |cluster: &mut Cluster, message: &Message| {
        let (now, bytes) = (cluster.time(), Envelope::Raft(message.encode_to_vec()).encode());
        cluster.replicas.get_mut(&leader).unwrap().receive(follower, &bytes, now).unwrap();
    };
    comes(&mut cluster, &asks);
    cluster.settle();
    cluster.ask(leader, 1);
    let outputs = cluster.outputs(leader);
    comes(&mut cluster, &asks);
    comes(&mut cluster, &confirms);
    let later = cluster.outputs(leader);
    assert!(
        !later.iter().any(|output| matches!(output, Output::Read { .. })),
        "nobody confirmed that it leads"
    );
    cluster.carry_out(leader, outputs);
    assert_eq!(cluster.readings.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1]);
}
