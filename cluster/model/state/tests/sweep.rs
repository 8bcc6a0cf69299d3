use super::*;

fn create_token(n: usize, expire_s: i64) -> Command {
    let terms = TokenTerms { direction: Direction::Play, expire_s, room: None };
    Command::CreateToken { app: app("a"), stream: id("s"), token: token(&n.to_string()), terms }
}

#[test]
fn a_sweep_does_so_many_rows_and_says_whether_there_are_more() {
    let mut run = Run::default();
    for n in 0..limits::META_SWEEP_ROWS_MAX + 5 {
        run.at(1, create_token(n, 1));
    }
    let first = run.at(1_000, expire(1_000));
    assert_eq!(first.outcome, Outcome::Swept { more: true });
    assert!(first.changes.len() <= limits::META_SWEEP_ROWS_MAX);
    assert_eq!(run.out(1_000, expire(1_000)), SWEPT);
    assert_eq!(run.state.tokens.len_of(&app("a")), 0);
}

#[test]
fn a_sweep_goes_no_further_than_it_is_told_and_than_the_commands_time() {
    let mut run = Run::default();
    run.at(1, create_token(1, 1));
    run.at(1, create_token(2, 2));
    assert_eq!(run.at(999, expire(u64::MAX)).changes.len(), 0);
    assert_eq!(run.at(5_000, expire(1_000)).changes.len(), 1);
    assert_eq!(run.at(5_000, expire(5_000)).changes.len(), 1);
    assert_eq!(run.at(5_000, expire(5_000)).changes.len(), 0);
}

#[test]
fn a_dead_node_with_many_claims_and_slots_is_swept_in_bounded_steps() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let count = limits::META_SWEEP_ROWS_MAX;
    for n in 0..count {
        let (app, stream) = (app("a"), id(&format!("s{n}")));
        run.at(
            1,
            Command::ClaimStream { app: app.clone(), stream: stream.clone(), owner: one, against: None },
        );
        run.at(1, started(stream.as_str()));
        let (subscriber, session) = (subscriber("x"), session(n as u128));
        run.at(1, Command::AcquireSlot { app, stream, subscriber, session, owner: one });
    }
    run.joins(2, 1);
    let mut steps = 0;
    loop {
        let step = run.at(2, expire(2));
        assert!(step.changes.len() <= limits::META_SWEEP_ROWS_MAX);
        steps += 1;
        if step.outcome == SWEPT {
            break;
        }
    }
    assert_eq!(steps, 4);
    assert_eq!(run.state.broadcasts_len(&app("a")), 0);
    assert_eq!((run.state.claims.len_of(&app("a")), run.state.slots.len_of(&app("a"))), (0, 0));
}
