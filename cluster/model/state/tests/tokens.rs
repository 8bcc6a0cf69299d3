use super::*;

const PLAY: Direction = Direction::Play;

fn create(text: &str, expire_s: i64) -> Command {
    create_in("s", text, TokenTerms { direction: PLAY, expire_s, room: None })
}

fn create_in(stream: &str, text: &str, terms: TokenTerms) -> Command {
    Command::CreateToken { app: app("a"), stream: id(stream), token: token(text), terms }
}

fn spend(text: &str, by: u128) -> Command {
    spend_as(text, PLAY, by)
}

fn spend_as(text: &str, direction: Direction, by: u128) -> Command {
    let (app, stream, token) = (app("a"), id("s"), token(text));
    Command::SpendToken {
        app,
        stream,
        token,
        direction,
        session: session(by),
        fingerprint: Fingerprint(7),
        outside_room: false,
    }
}

fn revoke(text: &str) -> Command {
    Command::RevokeToken { app: app("a"), stream: id("s"), token: token(text) }
}

fn revoke_all() -> Command {
    Command::RevokeTokens { app: app("a"), stream: id("s") }
}

fn refused(fault: TokenFault) -> Outcome {
    Outcome::TokenRefused(fault)
}

fn listed(state: &State) -> Vec<&str> {
    state.tokens(&app("a"), &id("s")).map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_token_opens_one_session_and_for_that_one_it_may_be_shown_again() {
    let mut run = Run::default();
    assert_eq!(run.out(1, create("t", 100)), Outcome::Done);
    assert_eq!(run.out(2, spend("t", 1)), Outcome::Spent);
    assert_eq!(run.out(3, spend("t", 2)), refused(TokenFault::Spent));
    let again = run.at(4, spend("t", 1));
    assert_eq!((again.outcome, again.changes.len()), (Outcome::Spent, 0));
    // Also when it has expired meanwhile: the answer it missed was yes.
    assert_eq!(run.out(100_000, spend("t", 1)), Outcome::Spent);
    assert_eq!(run.out(100_000, spend("t", 2)), refused(TokenFault::Spent));
}

#[test]
fn a_token_is_for_its_stream_its_direction_and_its_time() {
    let mut run = Run::default();
    run.at(1, create("t", 100));
    assert_eq!(run.out(1, spend("other", 1)), refused(TokenFault::Unknown));
    assert_eq!(run.out(1, spend_as("t", Direction::Publish, 1)), refused(TokenFault::WrongType));
    let (app, stream) = (app("a"), id("elsewhere"));
    let (token, session, fingerprint) = (token("t"), session(1), Fingerprint(1));
    let elsewhere = Command::SpendToken {
        app,
        stream,
        token,
        direction: PLAY,
        session,
        fingerprint,
        outside_room: false,
    };
    assert_eq!(run.out(1, elsewhere), refused(TokenFault::Unknown));
    assert_eq!(run.out(100_000, spend("t", 1)), refused(TokenFault::Expired));
    // AMS makes tokens that are over already; one for the time before 1970 is no different.
    assert_eq!(run.out(100_000, create("past", -5)), Outcome::Done);
    assert_eq!(run.out(100_000, spend("past", 1)), refused(TokenFault::Expired));
}

#[test]
fn time_that_went_back_revives_no_token() {
    let mut run = Run::default();
    run.at(1, create("t", 100));
    run.at(100_000, create("u", 200));
    assert_eq!(run.out(5, spend("t", 1)), refused(TokenFault::Expired));
}

#[test]
fn a_token_of_a_room_lets_in_many_until_it_expires() {
    let mut run = Run::default();
    run.at(1, create_in("s", "t", TokenTerms { direction: PLAY, expire_s: 100, room: Some(id("r")) }));
    assert_eq!(run.out(2, spend("t", 1)), Outcome::Spent);
    assert_eq!(run.out(3, spend("t", 2)), Outcome::Spent);
    assert_eq!(run.out(100_000, spend("t", 1)), refused(TokenFault::Expired));
}

/// As AMS: where no room is named a room's token is one of its stream, and good once; then it is gone for the room as well.
#[test]
fn a_token_of_a_room_is_spent_by_who_is_outside_of_it() {
    let outside = |by| match spend("t", by) {
        Command::SpendToken { app, stream, token, direction, session, fingerprint, .. } => {
            let outside_room = true;
            Command::SpendToken { app, stream, token, direction, session, fingerprint, outside_room }
        }
        other => other,
    };
    let mut run = Run::default();
    run.at(1, create_in("s", "t", TokenTerms { direction: PLAY, expire_s: 100, room: Some(id("r")) }));
    assert_eq!(run.out(2, spend("t", 1)), Outcome::Spent);
    assert_eq!(run.out(3, outside(2)), Outcome::Spent);
    assert_eq!(run.out(4, outside(3)), refused(TokenFault::Spent));
    assert_eq!(run.out(4, spend("t", 1)), refused(TokenFault::Spent));
    assert_eq!(run.out(5, outside(2)), Outcome::Spent);
    // After a restore nobody knows whether that had happened already; in the room it makes no difference.
    run.at(6, create_in("s", "u", TokenTerms { direction: PLAY, expire_s: 100, room: Some(id("r")) }));
    run.at(7, Command::RaiseGeneration { to: 1 });
    let late = Command::SpendToken {
        app: app("a"),
        stream: id("s"),
        token: token("u"),
        direction: PLAY,
        session: session(4),
        fingerprint: Fingerprint(7),
        outside_room: true,
    };
    assert_eq!(run.out(8, late), refused(TokenFault::Void));
    assert_eq!(run.out(8, spend("u", 4)), Outcome::Spent);
}

/// It is found by its room until it goes, whichever way.
#[test]
fn a_token_is_found_by_its_room() {
    let terms = |room: Option<&str>| TokenTerms { direction: PLAY, expire_s: 100, room: room.map(id) };
    let home = |run: &Run, room: &str, text: &str| {
        run.state.home_in_room(&app("a"), &id(room), &token(text)).map(|home| home.as_str().to_owned())
    };
    let mut run = Run::default();
    for (text, room) in [("t", Some("r")), ("u", Some("r")), ("v", Some("q")), ("w", None)] {
        run.at(1, create_in("s", text, terms(room)));
    }
    assert_eq!(home(&run, "r", "t"), Some("s".to_owned()));
    for (room, text) in [("q", "t"), ("s", "t"), ("r", "v"), ("r", "w"), ("r", "tt")] {
        assert_eq!(home(&run, room, text), None, "{room} {text}");
    }
    run.at(2, revoke("t"));
    assert_eq!((home(&run, "r", "t"), home(&run, "r", "u")), (None, Some("s".to_owned())));
    run.at(3, revoke_all());
    assert_eq!(home(&run, "r", "u"), None);
    run.at(4, create_in("other", "u", terms(Some("r"))));
    assert_eq!(home(&run, "r", "u"), Some("other".to_owned()));
    run.at(100_000, expire(100_000));
    assert_eq!(run.state.index, Index::default());
}

#[test]
fn a_text_is_one_token_of_its_stream() {
    let mut run = Run::default();
    assert_eq!(run.out(1, create("t", 100)), Outcome::Done);
    run.at(2, spend("t", 1));
    assert_eq!(run.out(3, create("t", 100)), Outcome::Exists);
    let terms = TokenTerms { direction: PLAY, expire_s: 100, room: None };
    assert_eq!(run.out(3, create_in("other", "t", terms)), Outcome::Done);
}

#[test]
fn a_revoked_token_is_gone_also_for_the_session_it_opened() {
    let mut run = Run::default();
    run.at(1, create("t", 100));
    run.at(2, spend("t", 1));
    assert_eq!(run.out(3, revoke("t")), Outcome::Done);
    assert_eq!(run.out(4, revoke("t")), Outcome::Absent);
    assert_eq!(run.out(5, spend("t", 1)), refused(TokenFault::Unknown));
}

#[test]
fn revoking_all_voids_what_was_made_before_and_nothing_made_later() {
    let mut run = Run::default();
    assert_eq!(run.out(1, revoke_all()), Outcome::Absent);
    for n in 0..limits::META_SWEEP_ROWS_MAX + 5 {
        run.at(1, create(&format!("old{n:04}"), 100));
    }
    run.at(2, spend("old0000", 1));
    let revoked = run.at(3, revoke_all());
    assert_eq!((revoked.outcome, revoked.changes.len()), (Outcome::Done, 1));
    run.at(4, create("new", 100));
    assert_eq!(listed(&run.state), ["new"]);
    assert_eq!(run.out(5, spend("old0000", 1)), refused(TokenFault::Revoked));
    assert_eq!(run.out(5, spend("old0001", 1)), refused(TokenFault::Revoked));
    assert_eq!(run.out(5, revoke("old0001")), Outcome::Absent);
    assert_eq!(run.out(5, spend("new", 1)), Outcome::Spent);
    // The voided ones go in bounded steps, and the revocation with the last of them.
    assert_eq!(run.out(6, expire(6)), Outcome::Swept { more: true });
    assert_eq!(run.out(6, expire(6)), SWEPT);
    assert_eq!(run.state.tokens.len_of(&app("a")), 1);
    assert!(run.state.revocations.is_empty());
    assert_eq!(run.at(6, expire(6)).changes, []);
}

#[test]
fn spent_and_expired_tokens_are_swept() {
    let mut run = Run::default();
    run.at(1, create("far", i64::MAX));
    run.at(1, create("near", 10));
    run.at(1, create("spent", 10));
    run.at(1, spend("spent", 1));
    run.at(2, spend("far", 1));
    let kept = expires_after(limits::TOKEN_SPENT_KEPT);
    assert_eq!(run.at(9_999, expire(9_999)).changes.len(), 0);
    assert_eq!(run.at(10_000, expire(10_000)).changes.len(), 1);
    // Who came in by one that is over by now may still be there.
    assert_eq!(run.at(kept, expire(u64::MAX)).changes.len(), 0);
    assert_eq!(run.at(kept + 1, expire(u64::MAX)).changes.len(), 1);
    assert_eq!(run.out(kept + 2, expire(u64::MAX)), SWEPT);
    assert_eq!(run.out(kept + 2, spend("far", 2)), refused(TokenFault::Unknown));
    assert_eq!(run.state.index, Index::default());
}

#[test]
fn after_a_restore_unspent_one_time_tokens_are_void_and_the_rest_is_not() {
    let mut run = Run::default();
    for text in ["spent", "unspent"] {
        run.at(1, create(text, 100));
    }
    run.at(1, create_in("s", "room", TokenTerms { direction: PLAY, expire_s: 100, room: Some(id("r")) }));
    run.at(2, spend("spent", 1));
    assert_eq!(run.out(3, Command::RaiseGeneration { to: 1 }), Outcome::Stored { version: 1 });
    assert_eq!(run.out(3, Command::RaiseGeneration { to: 1 }), Outcome::Conflict { version: 1 });
    run.at(4, create("new", 100));
    assert_eq!(run.out(5, spend("unspent", 1)), refused(TokenFault::Void));
    assert_eq!(run.out(5, spend("spent", 1)), Outcome::Spent);
    assert_eq!(run.out(5, spend("room", 1)), Outcome::Spent);
    assert_eq!(run.out(5, spend("new", 1)), Outcome::Spent);
    assert_eq!(listed(&run.state), ["room"]);
}

#[test]
fn an_application_holds_so_many_tokens_and_no_more() {
    let mut run = Run::default();
    let row = Arc::new(Token {
        terms: TokenTerms { direction: PLAY, expire_s: 100, room: None },
        made_at: Revision(1),
        generation: 0,
        spent: None,
    });
    // Past index and digest, which would take most of the time.
    for n in 0..limits::TOKENS_PER_APPLICATION_MAX {
        run.state.tokens.set(&app("a"), (id("s"), token(&n.to_string())), Some(Arc::clone(&row)));
    }
    assert_eq!(run.out(2, create("new", 100)), Outcome::Refused(Refusal::TooManyTokens));
    assert_eq!(run.out(2, spend("1", 1)), Outcome::Spent);
    assert_eq!(run.out(2, revoke("2")), Outcome::Done);
    assert_eq!(run.out(2, create("new", 100)), Outcome::Done);
}
