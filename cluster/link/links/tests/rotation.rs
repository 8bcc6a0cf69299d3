//! Secrets are replaced while nodes speak.

use super::*;

/// Every file a node can have while `old` is replaced, in the order of the rounds.
fn rounds() -> [Secrets; 4] {
    let (old, new) = (secret(1), secret(2));
    [
        Secrets::one(old.clone()),
        Secrets::two(old.clone(), new.clone()),
        Secrets::two(new.clone(), old),
        Secrets::one(new),
    ]
}

/// Nodes hear each other when each accepts what the other shows: always within a round and between two rounds that
/// follow each other, so that none is needed in which all are down.
#[tokio::test]
async fn nodes_of_one_round_and_the_next_hear_each_other_and_others_do_not() {
    // What is shown, and what is accepted.
    let shown = ["old", "old", "new", "new"];
    let accepted = [&["old"][..], &["old", "new"], &["old", "new"], &["new"]];
    for (one, one_secrets) in rounds().into_iter().enumerate() {
        for (two, two_secrets) in rounds().into_iter().enumerate() {
            let mut called = TestNode::start(2, Like { secrets: two_secrets, ..Like::default() });
            let peers = [(NodeId(2), called.address())].into();
            let caller = TestNode::start(1, Like { secrets: one_secrets.clone(), peers, ..Like::default() });
            caller.send(2, Class::Raft, "hello");
            let hears = accepted[one].contains(&shown[two]) && accepted[two].contains(&shown[one]);
            assert!(hears || one.abs_diff(two) > 1, "rounds {one} and {two} follow each other");
            if hears {
                called.hears(1, "hello").await;
            } else {
                caller.sees_error(2, "the same").await;
                called.refuses(Refusal::OtherSecret, 1).await;
                called.nothing_heard();
            }
            caller.links.close().await;
            called.links.close().await;
        }
    }
}
