use cluster_model::TokenFault;

use super::*;

fn operation(began: u64, ended: u64, call: Asked, told: Told) -> Operation<Asked, Told> {
    Operation { began, ended: Some((ended, told)), call }
}

fn lost(began: u64, call: Asked) -> Operation<Asked, Told> {
    Operation { began, ended: None, call }
}

const fn stored(version: u64) -> Told {
    Told::Outcome(Outcome::Stored { version })
}

const fn conflict(version: u64) -> Told {
    Told::Outcome(Outcome::Conflict { version })
}

/// Histories that no linearizable plane can have given.
#[test]
fn bad_histories_of_settings_are_rejected() {
    let put = Asked::Put;
    let bad: &[&[Operation<Asked, Told>]] = &[
        // Both writers of one version won.
        &[operation(0, 10, put(0), stored(1)), operation(5, 15, put(0), stored(1))],
        // A read after an answered write does not see it.
        &[operation(0, 10, put(0), stored(1)), operation(11, 12, Asked::Read, Told::Value(0))],
        // Two reads, one after the other, go back in time.
        &[
            operation(0, 50, put(0), stored(1)),
            operation(10, 12, Asked::Read, Told::Value(1)),
            operation(13, 14, Asked::Read, Told::Value(0)),
        ],
        // A conflict with a version that nobody had written yet.
        &[operation(0, 1, put(3), conflict(1)), operation(2, 3, put(0), stored(1))],
        // A write without an answer was seen and then not.
        &[
            lost(0, put(0)),
            operation(5, 6, Asked::Read, Told::Value(1)),
            operation(7, 8, Asked::Read, Told::Value(0)),
        ],
        // A write without an answer cannot have happened before it was asked.
        &[operation(0, 1, Asked::Read, Told::Value(1)), lost(2, put(0))],
    ];
    for history in bad {
        assert_eq!(is_linearizable::<specs::Settings>(history), Some(false), "{history:?}");
    }
}

#[test]
fn good_histories_of_settings_are_accepted() {
    let put = Asked::Put;
    let good: &[&[Operation<Asked, Told>]] = &[
        &[],
        // Of two at a time one wins, whichever was asked first.
        &[operation(0, 10, put(0), conflict(1)), operation(5, 15, put(0), stored(1))],
        // Without an answer: happened late, early or never.
        &[
            lost(0, put(0)),
            operation(1, 2, Asked::Read, Told::Value(0)),
            operation(3, 4, Asked::Read, Told::Value(1)),
        ],
        &[lost(0, put(0)), operation(100, 102, put(0), stored(1))],
        // A read at the time of a write may see either.
        &[operation(0, 10, put(0), stored(1)), operation(4, 6, Asked::Read, Told::Value(0))],
    ];
    for history in good {
        assert_eq!(is_linearizable::<specs::Settings>(history), Some(true), "{history:?}");
    }
}

#[test]
fn bad_histories_of_broadcasts_are_rejected() {
    let (done, exists) = (Told::Outcome(Outcome::Done), Told::Outcome(Outcome::Exists));
    let bad: &[&[Operation<Asked, Told>]] = &[
        &[operation(0, 10, Asked::Create, done), operation(2, 11, Asked::Create, done)],
        &[operation(0, 10, Asked::Create, exists)],
        &[operation(0, 1, Asked::Create, done), operation(2, 3, Asked::Read, Told::Value(0))],
        &[
            operation(0, 1, Asked::Create, done),
            operation(2, 3, Asked::Delete, done),
            operation(4, 5, Asked::Delete, done),
        ],
    ];
    for history in bad {
        assert_eq!(is_linearizable::<specs::Broadcast>(history), Some(false), "{history:?}");
    }
}

#[test]
fn bad_histories_of_tokens_are_rejected() {
    let (done, spent) = (Told::Outcome(Outcome::Done), Told::Outcome(Outcome::Spent));
    let refused = |fault| Told::Outcome(Outcome::TokenRefused(fault));
    let made = || operation(0, 1, Asked::Create, done);
    let bad: &[&[Operation<Asked, Told>]] = &[
        // Two sessions were let in.
        &[made(), operation(2, 9, Asked::Spend(1), spent), operation(3, 8, Asked::Spend(2), spent)],
        // Let in, forgotten, let in again.
        &[
            made(),
            operation(2, 3, Asked::Spend(1), spent),
            operation(4, 5, Asked::Spend(2), refused(TokenFault::Unknown)),
            operation(6, 7, Asked::Spend(3), spent),
        ],
        // Refused as spent, and nobody had spent it.
        &[made(), operation(2, 3, Asked::Spend(1), refused(TokenFault::Spent))],
        // Refused as unknown though it was made.
        &[made(), operation(2, 3, Asked::Spend(1), refused(TokenFault::Unknown))],
        // Spent before anybody made it.
        &[operation(2, 3, Asked::Spend(1), spent), operation(5, 6, Asked::Create, done)],
        // Said to be good after it was spent.
        &[made(), operation(2, 3, Asked::Spend(1), spent), operation(4, 5, Asked::Read, done)],
    ];
    for history in bad {
        assert_eq!(is_linearizable::<specs::Token>(history), Some(false), "{history:?}");
    }
    let good: &[&[Operation<Asked, Told>]] = &[
        &[made(), operation(2, 3, Asked::Spend(1), spent), operation(4, 5, Asked::Spend(1), spent)],
        &[made(), lost(2, Asked::Spend(1)), operation(3, 4, Asked::Spend(2), refused(TokenFault::Spent))],
        &[lost(0, Asked::Create), operation(3, 4, Asked::Spend(2), spent)],
    ];
    for history in good {
        assert_eq!(is_linearizable::<specs::Token>(history), Some(true), "{history:?}");
    }
}

const fn epoch(n: u64) -> Epoch {
    Epoch { generation: 0, n }
}

#[test]
fn bad_histories_of_claims_are_rejected() {
    let claimed = |n| Told::Outcome(Outcome::Claimed { epoch: epoch(n) });
    let held = |n| Told::Outcome(Outcome::Held { by: cluster_model::NodeId(1), epoch: epoch(n) });
    let renewed = |superseded| Told::Outcome(Outcome::Renewed { superseded });
    let done = Told::Outcome(Outcome::Done);
    let bad: &[&[Operation<Asked, Told>]] = &[
        // Two nodes have it under one epoch.
        &[operation(0, 1, Asked::Claim(1, 1), claimed(5)), operation(2, 3, Asked::Claim(2, 2), claimed(5))],
        // A later claim has a smaller epoch.
        &[operation(0, 1, Asked::Claim(1, 1), claimed(5)), operation(2, 3, Asked::Claim(2, 2), claimed(4))],
        // Renewed though somebody else has it.
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            operation(2, 3, Asked::Claim(2, 2), claimed(6)),
            operation(4, 5, Asked::Renew(epoch(5)), renewed(0)),
        ],
        // Given up though somebody else has it.
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            operation(2, 3, Asked::Claim(2, 2), claimed(6)),
            operation(4, 5, Asked::Release(epoch(5)), done),
        ],
        // Refused in the name of one that was superseded.
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            operation(2, 3, Asked::Claim(2, 2), claimed(6)),
            operation(4, 5, Asked::Claim(3, 3), held(5)),
        ],
        // Shown after it was given up.
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            operation(2, 3, Asked::Release(epoch(5)), done),
            operation(4, 5, Asked::Read, Told::Claim(Some(epoch(5)))),
        ],
    ];
    for history in bad {
        assert_eq!(is_linearizable::<specs::Claim>(history), Some(false), "{history:?}");
    }
    let good: &[&[Operation<Asked, Told>]] = &[
        // Swept, and claimed anew by who had it, who was not told.
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            lost(2, Asked::Claim(1, 1)),
            operation(4, 5, Asked::Read, Told::Claim(Some(epoch(9)))),
        ],
        &[lost(0, Asked::Claim(1, 1)), operation(2, 3, Asked::Claim(2, 2), held(5))],
        &[operation(0, 1, Asked::Claim(1, 1), claimed(5)), operation(2, 3, Asked::Claim(1, 1), claimed(5))],
        &[
            operation(0, 1, Asked::Claim(1, 1), claimed(5)),
            operation(2, 3, Asked::Renew(epoch(5)), renewed(1)),
        ],
    ];
    for history in good {
        assert_eq!(is_linearizable::<specs::Claim>(history), Some(true), "{history:?}");
    }
}

#[test]
fn bad_histories_of_slots_blocks_and_facts_are_rejected() {
    let done = Told::Outcome(Outcome::Done);
    let slots: &[&[Operation<Asked, Told>]] = &[
        &[operation(0, 1, Asked::Acquire(1), done), operation(2, 3, Asked::Acquire(2), done)],
        &[operation(0, 1, Asked::Acquire(1), Told::Outcome(Outcome::SlotsTaken { limit: 1 }))],
        &[operation(0, 1, Asked::GiveBack(1), done)],
    ];
    for history in slots {
        assert_eq!(is_linearizable::<specs::Slot>(history), Some(false), "{history:?}");
    }
    let blocked = [operation(0, 1, Asked::Block(true), done), operation(2, 3, Asked::Read, Told::Value(0))];
    assert_eq!(is_linearizable::<specs::Block>(&blocked), Some(false));
    let facts = [operation(0, 1, Asked::Record(1), done), operation(2, 3, Asked::Record(3), done)];
    assert_eq!(is_linearizable::<specs::Facts>(&facts), Some(false));
}
