use super::*;

fn expired(owner: Owner) -> Command {
    Command::NodeExpired { node: owner.node, incarnation: owner.incarnation }
}

#[test]
fn every_life_of_a_node_has_a_greater_number_also_after_it_was_forgotten_and_after_a_restore() {
    let mut run = Run::default();
    let first = run.joins(1, 7);
    let second = run.joins(2, 7);
    assert!(second.incarnation > first.incarnation);
    assert_eq!((run.state.is_alive(first), run.state.is_alive(second)), (false, true));
    run.at(3, expired(second));
    let forget = || Command::ForgetNode { node: NodeId(7) };
    assert_eq!(run.out(4, forget()), Outcome::Done);
    let third = run.joins(5, 7);
    assert!(third.incarnation > second.incarnation);
    run.at(6, Command::RaiseGeneration { to: 1 });
    assert!(!run.state.is_alive(third));
    assert!(run.joins(7, 7).incarnation > Incarnation(1 << 40));
}

#[test]
fn an_expiry_is_of_one_life() {
    let mut run = Run::default();
    let first = run.joins(1, 7);
    let second = run.joins(2, 7);
    assert_eq!(run.out(3, expired(first)), Outcome::Refused(Refusal::NotJoined));
    assert!(run.state.is_alive(second));
    assert_eq!(run.out(3, expired(second)), Outcome::Done);
    assert_eq!(run.out(3, expired(second)), Outcome::Refused(Refusal::NotJoined));
    let node = run.state.node(NodeId(7)).unwrap();
    assert_eq!((node.expired_ms, node.card.address.as_str()), (Some(3), "node7"));
}

#[test]
fn a_dead_node_is_shown_for_a_while_and_a_live_one_is_not_forgotten() {
    let mut run = Run::default();
    let node = run.joins(0, 7);
    assert_eq!(run.out(1, Command::ForgetNode { node: NodeId(7) }), Outcome::Refused(Refusal::Alive));
    assert_eq!(run.out(1, Command::ForgetNode { node: NodeId(8) }), Outcome::Absent);
    run.at(1, expired(node));
    let shown = 1 + expires_after(limits::NODE_DEAD_KEPT);
    run.at(shown - 1, expire(u64::MAX));
    assert!(run.state.node(NodeId(7)).is_some());
    run.at(shown, expire(u64::MAX));
    assert_eq!(run.state.node(NodeId(7)), None);
    assert_eq!(run.state.index, Index::default());
}

#[test]
fn there_are_so_many_nodes_and_no_more() {
    let mut run = Run::default();
    for n in 0..limits::NODES_MAX as u64 {
        run.joins(1, n);
    }
    let join = |n| Command::NodeJoined { node: NodeId(n), card: card(NodeId(n)) };
    assert_eq!(run.out(1, join(u64::MAX)), Outcome::Refused(Refusal::TooManyNodes));
    // One that is known may always begin anew, until it has done so too often.
    run.joins(1, 1);
    let long = NodeCard { address: "x".repeat(limits::NODE_BYTES_MAX), ..NodeCard::default() };
    let large = Command::NodeJoined { node: NodeId(1), card: long };
    assert_eq!(run.out(1, large), Outcome::Refused(Refusal::TooLarge));
    while run.state.lives.len() < limits::INCARNATIONS_MAX {
        run.joins(1, 1);
    }
    assert_eq!(run.out(1, join(1)), Outcome::Refused(Refusal::TooManyNodes));
}
