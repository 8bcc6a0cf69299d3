use super::*;

const LEASE_MS: u64 = 6_000;

fn claim(owner: Owner) -> Command {
    Command::ClaimStream { app: app("a"), stream: id("s"), owner, against: None }
}

fn contend(owner: Owner, epoch: Epoch, observed: Observed) -> Command {
    let against = Some(Contention { epoch, observed });
    Command::ClaimStream { app: app("a"), stream: id("s"), owner, against }
}

fn renew(owner: Owner, epoch: Epoch) -> Command {
    let claims = vec![crate::HeldClaim { app: app("a"), stream: id("s"), epoch }];
    Command::RenewStreams { owner, claims }
}

fn release(epoch: Epoch) -> Command {
    Command::ReleaseStream { app: app("a"), stream: id("s"), epoch }
}

fn down(for_ms: u64) -> Observed {
    Observed::LinkDown { for_ms }
}

const RENEWED: Outcome = Outcome::Renewed { superseded: 0 };
const SUPERSEDED: Outcome = Outcome::Refused(Refusal::Superseded);

impl Run {
    fn claims(&mut self, ms: u64, command: Command) -> Epoch {
        match self.out(ms, command) {
            Outcome::Claimed { epoch } => epoch,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_stream_is_one_nodes_for_its_lease_and_everybodys_after_it() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let first = run.claims(1_000, claim(one));
    let held = Outcome::Held { by: one.node, epoch: first };
    assert_eq!(run.out(1_000 + LEASE_MS - 1, claim(two)), held);
    let second = run.claims(1_000 + LEASE_MS, claim(two));
    assert!(second > first);
    assert_eq!(run.out(7_001, renew(one, first)), Outcome::Renewed { superseded: 1 });
    assert_eq!(run.out(7_001, release(first)), SUPERSEDED);
    assert_eq!(run.state.claim(&app("a"), &id("s")).unwrap().epoch, second);
}

#[test]
fn leases_run_where_another_node_could_get_the_stream_of_one() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.claims(0, claim(one));
    assert!(!run.state.leases_run(), "there is no other node");
    run.joins(LEASE_MS - 1, 2);
    assert!(run.state.leases_run());
    run.joins(LEASE_MS, 3);
    assert!(!run.state.leases_run(), "it lapsed");
    run.claims(LEASE_MS, claim(one));
    run.joins(LEASE_MS, 1);
    assert!(!run.state.leases_run(), "its owner's life is over");
}

#[test]
fn a_claim_is_kept_by_renewing_it() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let epoch = run.claims(0, claim(one));
    for ms in [2_000, 7_999, 13_998] {
        assert_eq!(run.out(ms, renew(one, epoch)), RENEWED);
    }
    assert!(matches!(run.out(13_998 + LEASE_MS - 1, claim(two)), Outcome::Held { .. }));
    // One that lapsed and that nobody took is its owner's still.
    assert_eq!(run.out(25_000, renew(one, epoch)), RENEWED);
    assert_eq!(run.claims(26_000, claim(one)), epoch);
    // Nobody renews for somebody else.
    assert_eq!(run.out(26_000, renew(two, epoch)), Outcome::Renewed { superseded: 1 });
}

#[test]
fn a_contender_needs_a_link_that_was_down_or_a_publisher_that_was_silent_for_long_enough() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let first = run.claims(0, claim(one));
    let held = Outcome::Held { by: one.node, epoch: first };
    assert_eq!(run.out(1, contend(two, first, down(749))), held);
    assert_eq!(run.out(1, contend(two, first, Observed::PublisherSilent { for_ms: 1_999 })), held);
    let second = run.claims(2, contend(two, first, down(750)));
    assert!(second > first);
    assert_eq!(run.out(3, renew(one, first)), Outcome::Renewed { superseded: 1 });
    let third = run.claims(4, contend(one, second, Observed::PublisherSilent { for_ms: 2_000 }));
    assert!(third > second);
}

#[test]
fn what_was_seen_of_a_former_claim_is_no_reason_against_the_present_one() {
    let mut run = Run::default();
    let (one, two, three) = (run.joins(0, 1), run.joins(0, 2), run.joins(0, 3));
    let first = run.claims(0, claim(one));
    let second = run.claims(1, contend(two, first, down(5_000)));
    assert_eq!(run.out(2, contend(three, first, down(5_000))), Outcome::Held { by: two.node, epoch: second });
}

#[test]
fn a_released_stream_is_free_and_its_epoch_never_comes_back() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let first = run.claims(0, claim(one));
    assert_eq!(run.out(1, release(first)), Outcome::Done);
    assert_eq!(run.out(1, release(first)), SUPERSEDED);
    let second = run.claims(2, claim(two));
    assert!(second > first);
    assert_eq!(run.out(3, release(first)), SUPERSEDED);
    assert_eq!(run.out(3, renew(one, first)), Outcome::Renewed { superseded: 1 });
}

#[test]
fn a_claim_ends_with_the_life_of_its_node() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let first = run.claims(0, claim(one));
    let again = run.joins(1, 1);
    assert_eq!(run.out(1, renew(one, first)), Outcome::Refused(Refusal::NotJoined));
    let second = run.claims(2, claim(again));
    assert!(second > first);
    let (node, incarnation) = (again.node, again.incarnation);
    run.at(3, Command::NodeExpired { node, incarnation });
    assert!(run.claims(4, claim(two)) > second);
    assert_eq!(run.out(5, claim(again)), Outcome::Refused(Refusal::NotJoined));
}

#[test]
fn a_restore_is_above_every_epoch_of_before() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let first = run.claims(0, claim(one));
    run.at(1, Command::RaiseGeneration { to: 3 });
    assert_eq!(run.out(2, renew(one, first)), Outcome::Refused(Refusal::NotJoined));
    let again = run.joins(3, 1);
    assert!(again.incarnation > one.incarnation);
    assert_eq!(run.out(3, renew(again, first)), Outcome::Renewed { superseded: 1 });
    let second = run.claims(4, claim(again));
    assert_eq!((second.generation, second > first), (3, true));
}

#[test]
fn who_was_superseded_neither_starts_nor_ends_nor_reports_the_stream() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    let under = |command: Command, epoch: Epoch| match command {
        Command::StreamStarted { app, stream, facts, .. } => {
            Command::StreamStarted { app, stream, facts, epoch: Some(epoch) }
        }
        Command::StreamEnded { app, stream, .. } => Command::StreamEnded { app, stream, epoch: Some(epoch) },
        Command::StreamHeartbeat { app, stream, heartbeat, .. } => {
            Command::StreamHeartbeat { app, stream, heartbeat, epoch: Some(epoch) }
        }
        other => other,
    };
    let first = run.claims(0, claim(one));
    assert_eq!(run.out(1, under(started("s"), first)), Outcome::Started { created: true });
    let second = run.claims(2, contend(two, first, down(750)));
    for command in [started("s"), ended("s"), beat("s")] {
        assert_eq!(run.out(3, under(command, first)), SUPERSEDED);
    }
    assert_eq!(run.out(4, under(started("s"), second)), Outcome::Started { created: false });
    assert_eq!(run.out(5, under(beat("s"), second)), Outcome::Done);
    assert_eq!(run.out(6, under(ended("s"), second)), Outcome::Ended { removed: true });
}

#[test]
fn a_stream_whose_node_is_gone_does_not_stay_live() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    run.at(0, create("s"));
    run.claims(0, claim(one));
    run.at(0, started("s"));
    let app_a = app("a");
    let zombi = Command::ClaimStream { app: app_a.clone(), stream: id("z"), owner: two, against: None };
    run.claims(0, zombi);
    run.at(0, started("z"));
    // A lapsed claim may yet be renewed, so its broadcast waits a little.
    let lapsed = LEASE_MS + expires_after(limits::CLAIM_LAPSED_KEPT);
    run.at(lapsed - 1, expire(u64::MAX));
    assert_eq!(run.broadcast("s").status, Status::Broadcasting);
    // That of a node which lives again does not.
    run.joins(lapsed - 1, 2);
    run.at(lapsed - 1, expire(u64::MAX));
    assert_eq!(run.state.broadcast(&app_a, &id("z")), None);
    run.at(lapsed, expire(u64::MAX));
    assert_eq!(run.broadcast("s").status, Status::Finished);
    assert_eq!(run.state.claims(&app_a).count(), 0);
}

#[test]
fn a_renewal_carries_so_many_claims_and_no_more() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let held =
        |n: usize| crate::HeldClaim { app: app("a"), stream: id(&format!("s{n}")), epoch: Epoch::default() };
    let claims: Vec<_> = (0..=limits::CLAIMS_PER_RENEWAL_MAX).map(held).collect();
    let renewal = Command::RenewStreams { owner: one, claims };
    assert_eq!(run.out(1, renewal), Outcome::Refused(Refusal::TooMany));
}
