use base::{Randomness, SeededRandomness};

use super::*;
use crate::{Connection, Fact, FactKind, Figures, HeldClaim, PutWhen, Stamped};

/// Any command at all, of few names, so that they meet.
fn any(dice: &SeededRandomness, now_ms: u64) -> Command {
    let roll = |sides: u64| dice.next_u64() % sides;
    let (app, stream) = (app(["a", "b"][roll(2) as usize]), id(&format!("s{}", roll(4))));
    let owner = Owner { node: NodeId(roll(3)), incarnation: Incarnation(roll(40)) };
    let epoch = Epoch { generation: 0, n: roll(200) };
    let (token, subscriber) = (token(&roll(6).to_string()), subscriber(&roll(3).to_string()));
    let (session, direction) = (session(roll(5).into()), Direction::Play);
    match roll(32) {
        0 => Command::CreateBroadcast { app, stream, broadcast: Box::default() },
        1 | 2 => started(stream.as_str()),
        3 => ended(stream.as_str()),
        4 => beat(stream.as_str()),
        5 => Command::DeleteBroadcast { app, stream },
        6 => Command::ResetAfterRestart,
        7 => Command::PutSettings { app, expected: roll(3), document: SettingsDocument::default() },
        8 | 9 => {
            let expire_s = i64::try_from(now_ms / 1_000 + roll(20)).unwrap();
            let room = (roll(4) == 0).then(|| id("r"));
            Command::CreateToken { app, stream, token, terms: TokenTerms { direction, expire_s, room } }
        }
        10 | 11 => Command::SpendToken {
            app,
            stream,
            token,
            direction,
            session,
            fingerprint: Fingerprint(1),
            outside_room: false,
        },
        12 => Command::RevokeToken { app, stream, token },
        13 => Command::RevokeTokens { app, stream },
        14 => Command::PutSubscriber { app, stream, subscriber, terms: SubscriberTerms::default() },
        15 => Command::DeleteSubscriber { app, stream, subscriber },
        16 => Command::DeleteSubscribers { app, stream },
        17 => Command::BlockSubscriber { app, stream, subscriber, kind: "play".to_owned(), seconds: roll(9) },
        18 | 19 => Command::AcquireSlot { app, stream, subscriber, session, owner },
        20 => Command::ReleaseSlot { app, stream, subscriber, session, owner },
        21 | 22 => {
            let observed = Observed::LinkDown { for_ms: roll(1_500) };
            let against = (roll(2) == 0).then_some(Contention { epoch, observed });
            Command::ClaimStream { app, stream, owner, against }
        }
        23 => Command::RenewStreams { owner, claims: vec![HeldClaim { app, stream, epoch }] },
        24 => Command::ReleaseStream { app, stream, epoch },
        25 => Command::NodeJoined { node: owner.node, card: card(owner.node) },
        26 => Command::NodeExpired { node: owner.node, incarnation: owner.incarnation },
        27 => Command::ForgetNode { node: owner.node },
        28 => match roll(3) {
            0 => Command::DeleteUser { name: UserName::new("u").unwrap() },
            1 => Command::PutVod { app, vod: VodId::new("v").unwrap(), record: Box::default() },
            _ => {
                let (name, when) = (UserName::new("u").unwrap(), PutWhen::NoUsers);
                Command::PutUser { name, when, user: Box::default() }
            }
        },
        29 => {
            let connection = Connection { direction, protocol: String::new(), peer: None, proof: None };
            let figures = Figures { bytes: roll(100), ..Figures::default() };
            let what = match roll(3) {
                0 => FactKind::Summary(figures),
                1 => FactKind::Disconnected { reason: String::new(), figures },
                _ => FactKind::Connected(connection),
            };
            let fact =
                Fact { app, stream, subscriber: Some(subscriber), session, at: WallTime(now_ms), what };
            Command::RecordFacts { owner, sequence: 1 + roll(4), facts: vec![fact] }
        }
        30 => Command::RaiseGeneration { to: roll(30) / 29 },
        _ => Command::Expire { up_to: WallTime(now_ms) },
    }
}

/// Aims a command at what is there, since a blind one seldom hits a life, a claim, or the next batch.
fn aimed(state: &State, dice: &SeededRandomness, command: Command) -> Command {
    if dice.next_u64().is_multiple_of(4) {
        return command;
    }
    let alive = |node: NodeId| Owner {
        node,
        incarnation: state.node(node).map(|node| node.incarnation).unwrap_or_default(),
    };
    let current = |app: &AppName, stream: &StreamId| {
        state.claim(app, stream).map(|claim| claim.epoch).unwrap_or_default()
    };
    match command {
        Command::AcquireSlot { app, stream, subscriber, session, owner } => {
            Command::AcquireSlot { app, stream, subscriber, session, owner: alive(owner.node) }
        }
        Command::ReleaseSlot { app, stream, subscriber, session, owner } => {
            Command::ReleaseSlot { app, stream, subscriber, session, owner: alive(owner.node) }
        }
        Command::ClaimStream { app, stream, owner, against } => {
            let against = against.map(|against| Contention { epoch: current(&app, &stream), ..against });
            Command::ClaimStream { app, stream, owner: alive(owner.node), against }
        }
        Command::RenewStreams { owner, mut claims } => {
            for claim in &mut claims {
                claim.epoch = current(&claim.app, &claim.stream);
            }
            Command::RenewStreams { owner: alive(owner.node), claims }
        }
        Command::ReleaseStream { app, stream, .. } => {
            let epoch = current(&app, &stream);
            Command::ReleaseStream { app, stream, epoch }
        }
        Command::NodeExpired { node, .. } => {
            Command::NodeExpired { node, incarnation: alive(node).incarnation }
        }
        Command::RecordFacts { owner, facts, .. } => {
            let owner = alive(owner.node);
            let sequence = state.life(owner).map_or(1, |life| life.sequence + 1);
            Command::RecordFacts { owner, sequence, facts }
        }
        other => other,
    }
}

/// The golden value of a hash: replicas of different versions compare theirs.
#[test]
fn a_hash_is_the_same_in_every_build() {
    let mut run = Run::default();
    run.at(1_000, create("s"));
    run.joins(1_000, 1);
    let shown: String = run.state.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, "5f7f651583dda4ed25afb1c774276e562fab49ef797506de219cd6a3ea9f6cfd");
}

#[test]
fn a_hash_does_not_depend_on_how_a_state_came_to_be() {
    let (mut long, mut short) = (Run::default(), Run::default());
    for name in ["x", "y", "s"] {
        long.at(1, create(name));
        long.at(1, Command::DeleteBroadcast { app: app("a"), stream: id(name) });
    }
    long.at(5, create("s"));
    long.at(5, create("t"));
    short.at(5, create("t"));
    short.at(5, create("s"));
    let (long, mut short) = (long.state.replica(), short.state.replica());
    assert_ne!(long.hash(), short.hash());
    short.absorb(long.revision(), WallTime(0), &[]);
    assert_eq!(long.hash(), short.hash());
}

/// Any commands: two replicas agree to the last bit, one that only absorbs changes shows the same rows, and
/// one that was restored from a snapshot in between goes on in the same way.
#[test]
fn replicas_agree() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let dice = SeededRandomness::new(seed);
        let (mut one, mut two, mut reader) = (State::default(), State::default(), State::default());
        let mut now_ms = 1_000;
        for n in 0..600_u128 {
            now_ms += if dice.next_u64().is_multiple_of(50) { 4_000_000 } else { dice.next_u64() % 1_000 };
            let command = aimed(&one, &dice, any(&dice, now_ms));
            // One in eight is a retry of an earlier request.
            let request = RequestId::from_u128(if dice.next_u64().is_multiple_of(8) { n / 2 } else { n });
            let stamped = Stamped { request, at: WallTime(now_ms), command };
            let before = one.revision();
            let applied = apply(&mut one, stamped.clone());
            assert_eq!(apply(&mut two, stamped), applied);
            let name = format!("{:?}", applied.outcome);
            outcomes.insert(name.split([' ', '{']).next().unwrap().to_owned());
            if !applied.repeated {
                assert_eq!(applied.revision, before.next());
                reader.absorb(applied.revision, one.now(), &applied.changes);
            }
            if dice.next_u64().is_multiple_of(64) {
                two = State::restore(&two.snapshot().unwrap()).unwrap();
            }
        }
        assert_eq!(one, two, "seed {seed}");
        assert_eq!(one.hash(), two.hash(), "seed {seed}");
        assert_eq!(reader, one.replica(), "seed {seed}");
    }
    for outcome in ["Claimed", "Held", "Joined", "OutOfOrder", "Renewed", "SlotsTaken", "Spent", "Swept"] {
        assert!(outcomes.contains(outcome), "{outcome} never came of it: {outcomes:?}");
    }
}

#[test]
fn a_snapshot_that_was_cut_or_changed_is_refused() {
    let mut run = Run::default();
    run.at(1, create("s"));
    let snapshot = run.state.snapshot().unwrap();
    assert_eq!(State::restore(&snapshot).unwrap(), run.state);
    for cut in 0..snapshot.len() {
        assert!(State::restore(&snapshot[..cut]).is_err(), "{cut}");
        let mut flipped = snapshot.clone();
        flipped[cut] ^= 1;
        assert!(State::restore(&flipped).is_err(), "{cut}");
    }
    let mut newer = snapshot;
    newer[0] = 2;
    let error = State::restore(&newer).unwrap_err();
    assert_eq!(error.to_string(), "format version 2 is unknown, this program reads version 1");
}

#[test]
fn a_hash_tells_states_apart_by_rows_time_and_requests() {
    let mut run = Run::default();
    run.at(1, create("s"));
    let hash = run.state.hash();
    assert_eq!(run.state.clone().hash(), hash);
    let mut later = run.state.clone();
    later.absorb(Revision::ZERO, WallTime(2), &[]);
    let mut other_request = run.state.replica();
    assert_ne!(other_request.hash(), hash);
    other_request.remember(RequestId::from_u128(2), Revision(1), Outcome::Done);
    run.at(1, Command::DeleteBroadcast { app: app("a"), stream: id("s") });
    for other in [later, other_request, run.state] {
        assert_ne!(other.hash(), hash);
    }
}
