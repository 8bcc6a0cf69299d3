use super::*;
use crate::{Hidden, PutWhen};

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn put(user: &str, when: PutWhen) -> Command {
    Command::PutUser { name: name(user), when, user: Box::default() }
}

#[test]
fn of_all_who_would_be_the_first_user_one_is() {
    let mut run = Run::default();
    assert_eq!(run.out(1, put("one", PutWhen::NoUsers)), Outcome::Done);
    assert_eq!(run.out(1, put("two", PutWhen::NoUsers)), Outcome::Exists);
    assert_eq!(run.out(1, put("one", PutWhen::NoUsers)), Outcome::Exists);
    assert_eq!(run.state.users().count(), 1);
}

#[test]
fn a_user_is_made_changed_and_deleted() {
    let mut run = Run::default();
    assert_eq!(run.out(1, put("one", PutWhen::Present)), Outcome::Absent);
    assert_eq!(run.out(1, put("one", PutWhen::Absent)), Outcome::Done);
    assert_eq!(run.out(1, put("one", PutWhen::Absent)), Outcome::Exists);
    assert_eq!(run.out(1, put("one", PutWhen::Present)), Outcome::Done);
    assert_eq!(run.out(1, put("two", PutWhen::Always)), Outcome::Done);
    let delete = || Command::DeleteUser { name: name("one") };
    assert_eq!((run.out(2, delete()), run.out(2, delete())), (Outcome::Done, Outcome::Absent));
}

#[test]
fn there_are_so_many_users_of_such_a_size_and_no_more() {
    let mut run = Run::default();
    let large = User { password: Hidden::new("x".repeat(limits::USER_BYTES_MAX)), ..User::default() };
    let large = Command::PutUser { name: name("one"), when: PutWhen::Always, user: Box::new(large) };
    assert_eq!(run.out(1, large), Outcome::Refused(Refusal::TooLarge));
    for n in 0..limits::USERS_MAX {
        assert_eq!(run.out(1, put(&format!("n{n}"), PutWhen::Absent)), Outcome::Done);
    }
    assert_eq!(run.out(1, put("more", PutWhen::Absent)), Outcome::Refused(Refusal::TooManyUsers));
    assert_eq!(run.out(1, put("n1", PutWhen::Always)), Outcome::Done);
}

#[test]
fn a_recording_is_put_and_deleted_under_its_id() {
    let mut run = Run::default();
    let vod = || VodId::new("v").unwrap();
    let put = |record: Vod| Command::PutVod { app: app("a"), vod: vod(), record: Box::new(record) };
    assert_eq!(run.out(1, put(Vod { vod_id: Some("other".to_owned()), ..Vod::default() })), Outcome::Done);
    assert_eq!(run.state.vod(&app("a"), &vod()).unwrap().vod_id.as_deref(), Some("v"));
    let large = Vod { metadata: Some("x".repeat(limits::VOD_BYTES_MAX)), ..Vod::default() };
    assert_eq!(run.out(1, put(large)), Outcome::Refused(Refusal::TooLarge));
    let delete = || Command::DeleteVod { app: app("a"), vod: vod() };
    assert_eq!((run.out(2, delete()), run.out(2, delete())), (Outcome::Done, Outcome::Absent));
}
