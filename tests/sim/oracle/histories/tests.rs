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
        assert_eq!(is_linearizable::<SettingsSpec>(history), Some(false), "{history:?}");
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
        &[lost(0, put(0)), operation(1, 2, Asked::Read, Told::Value(0)), operation(3, 4, Asked::Read, Told::Value(1))],
        &[lost(0, put(0)), operation(100, 102, put(0), stored(1))],
        // A read at the time of a write may see either.
        &[operation(0, 10, put(0), stored(1)), operation(4, 6, Asked::Read, Told::Value(0))],
    ];
    for history in good {
        assert_eq!(is_linearizable::<SettingsSpec>(history), Some(true), "{history:?}");
    }
}

#[test]
fn bad_histories_of_broadcasts_are_rejected() {
    let (done, exists) = (Told::Outcome(Outcome::Done), Told::Outcome(Outcome::Exists));
    let bad: &[&[Operation<Asked, Told>]] = &[
        &[operation(0, 10, Asked::Create, done), operation(2, 11, Asked::Create, done)],
        &[operation(0, 10, Asked::Create, exists)],
        &[operation(0, 1, Asked::Create, done), operation(2, 3, Asked::Read, Told::Value(0))],
        &[operation(0, 1, Asked::Create, done), operation(2, 3, Asked::Delete, done), operation(4, 5, Asked::Delete, done)],
    ];
    for history in bad {
        assert_eq!(is_linearizable::<BroadcastSpec>(history), Some(false), "{history:?}");
    }
}
