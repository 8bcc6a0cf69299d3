use std::time::Duration;

use base::{AppName, StreamId};
use cluster_model::{Command, RequestId, Stamped, UserName, apply};

use super::*;

const SECOND: Moment = Duration::from_secs(1);

/// A member, and what changed on it.
#[derive(Default)]
struct Member {
    state: State,
    changes: Vec<(Revision, WallTime, Vec<Change>)>,
}

impl Member {
    fn does(&mut self, command: Command) {
        let n = self.state.revision().0 + 1;
        let stamped = Stamped { request: RequestId::from_u128(n.into()), at: WallTime(n * 10), command };
        let applied = apply(&mut self.state, stamped);
        self.changes.push((applied.revision, self.state.now(), applied.changes));
    }

    /// Two rows behind a place.
    fn page(&self, behind: Option<(u8, String)>) -> (Vec<(u8, String, Vec<u8>)>, bool) {
        let place = behind.map(|(kind, key)| Change::of_key(RowKind::try_from(kind).unwrap(), &key).unwrap());
        let mut rows = self.state.rows_behind(place.as_ref());
        let page = rows.by_ref().take(2).map(|change| {
            let row = change.row().unwrap().unwrap();
            (row.kind.number(), row.key, row.value.unwrap())
        });
        (page.collect(), rows.next().is_none())
    }

    fn tell(&self, mirror: &mut Mirror) {
        let seen = mirror.revision().unwrap();
        for (revision, now, changes) in self.changes.iter().filter(|(revision, ..)| *revision > seen) {
            mirror.take_changes(*revision, *now, changes);
        }
    }
}

fn create(name: &str) -> Command {
    let (app, stream) = (AppName::new("a").unwrap(), StreamId::new(name).unwrap());
    Command::CreateBroadcast { app, stream, broadcast: Box::default() }
}

fn delete(name: &str) -> Command {
    Command::DeleteBroadcast { app: AppName::new("a").unwrap(), stream: StreamId::new(name).unwrap() }
}

fn user(name: &str) -> Command {
    let when = cluster_model::PutWhen::Always;
    Command::PutUser { name: UserName::new(name).unwrap(), when, user: Box::default() }
}

/// Rows come and go before and behind the place where the copy stands.
#[test]
fn what_changes_while_it_is_copied_is_in_the_copy() {
    let mut member = Member::default();
    for n in 10..19 {
        member.does(create(&format!("s{n}")));
    }
    let mut mirror = Mirror::new(SECOND);
    let mut number = 0;
    let mut pages = 0;
    while mirror.whole().is_none() {
        assert_eq!(mirror.wanted(SECOND), Wanted::Page { elsewhere: false }, "page {pages}");
        number += 1;
        let behind = mirror.asks(number, SECOND);
        assert_eq!(mirror.wanted(SECOND), Wanted::Nothing);
        let (rows, ends) = member.page(behind);
        let at = (member.state.revision(), member.state.now());
        assert_eq!(mirror.take_page(number, at, &rows, ends), Ok(Taken::Here));
        assert_eq!(mirror.take_page(number, at, &rows, ends), Ok(Taken::Stray), "once");
        pages += 1;
        for command in
            [create(&format!("r{pages}")), delete(&format!("s1{pages}")), user(&format!("u{pages}"))]
        {
            if pages < 6 {
                member.does(command);
            }
        }
        if mirror.completes() {
            break;
        }
        if mirror.wanted(SECOND) == Wanted::Changes {
            member.tell(&mut mirror);
            mirror.completes();
        }
    }
    member.tell(&mut mirror);
    assert!(pages > 4, "{pages}");
    assert_eq!(mirror.whole(), Some(&member.state.replica()));
    assert_eq!(mirror.wanted(SECOND), Wanted::Changes);
    assert!(mirror.has(member.state.revision(), 0) && !mirror.has(member.state.revision(), 1));
}

#[test]
fn a_page_of_a_member_that_lags_is_not_taken() {
    let (mut behind, mut ahead) = (Member::default(), Member::default());
    for n in 0..5 {
        behind.does(create(&format!("s{n}")));
        ahead.does(create(&format!("s{n}")));
    }
    ahead.does(delete("s3"));
    let mut mirror = Mirror::new(SECOND);
    mirror.asks(1, SECOND);
    let (rows, ends) = ahead.page(None);
    let at = |member: &Member| (member.state.revision(), member.state.now());
    mirror.take_page(1, at(&ahead), &rows, ends).unwrap();
    let place = mirror.asks(2, SECOND);
    let (rows, ends) = behind.page(place);
    assert_eq!(mirror.take_page(2, at(&behind), &rows, ends), Ok(Taken::Old));
    assert_eq!(mirror.wanted(SECOND), Wanted::Page { elsewhere: false });
}

fn whole_of(member: &Member) -> Vec<(u8, String, Vec<u8>)> {
    let rows = member.state.rows().map(|change| change.row().unwrap().unwrap());
    rows.map(|row| (row.kind.number(), row.key, row.value.unwrap())).collect()
}

/// Who was whole and begins anew takes no first page either of a member that is behind what was read here.
#[test]
fn a_copy_that_is_begun_anew_does_not_go_back() {
    let (mut behind, mut ahead) = (Member::default(), Member::default());
    behind.does(create("s"));
    ahead.does(create("s"));
    ahead.does(create("t"));
    let mut mirror = Mirror::new(SECOND);
    let take = |mirror: &mut Mirror, member: &Member, number| {
        mirror.asks(number, SECOND);
        let at = (member.state.revision(), member.state.now());
        mirror.take_page(number, at, &whole_of(member), true)
    };
    assert_eq!(take(&mut mirror, &ahead, 1), Ok(Taken::Here));
    assert!(mirror.completes());
    mirror.copy_anew(SECOND);
    assert_eq!(take(&mut mirror, &behind, 2), Ok(Taken::Old));
    assert!(!mirror.completes() && mirror.revision().is_none());
    assert_eq!(mirror.whole(), Some(&ahead.state.replica()));
    assert_eq!(take(&mut mirror, &ahead, 3), Ok(Taken::Here));
    assert!(mirror.completes());
}

#[test]
fn a_copy_is_read_until_the_next_one_is_whole() {
    let mut member = Member::default();
    member.does(create("s"));
    member.does(create("t"));
    let mut mirror = Mirror::new(SECOND);
    let copy = |mirror: &mut Mirror, member: &Member, number| {
        mirror.asks(number, SECOND);
        let at = (member.state.revision(), member.state.now());
        assert_eq!(mirror.take_page(number, at, &whole_of(member), true), Ok(Taken::Here));
        assert!(mirror.completes());
    };
    copy(&mut mirror, &member, 1);
    mirror.copy_anew(SECOND);
    assert_eq!(mirror.whole(), Some(&member.state.replica()));
    assert_eq!((mirror.revision(), mirror.has(Revision(2), 0)), (None, false));
    // The new one is of a cluster that was restored, and further back.
    let mut restored = Member::default();
    restored.does(Command::RaiseGeneration { to: 1 });
    copy(&mut mirror, &restored, 2);
    assert_eq!((mirror.generation(), mirror.whole()), (1, Some(&restored.state.replica())));
}

#[test]
fn a_copy_that_takes_too_long_is_begun_anew() {
    let mut member = Member::default();
    member.does(create("s"));
    let mut mirror = Mirror::new(SECOND);
    let place = mirror.asks(1, SECOND);
    let (rows, _) = member.page(place);
    mirror.take_page(1, (Revision(1), WallTime(10)), &rows, false).unwrap();
    assert_eq!(mirror.revision(), Some(Revision(1)));
    let later = SECOND + limits::META_COPY_MAX;
    assert_eq!(mirror.wanted(later), Wanted::Page { elsewhere: true });
    assert_eq!((mirror.revision(), mirror.wanted(later)), (None, Wanted::Page { elsewhere: false }));
}

#[test]
fn what_is_no_row_is_refused() {
    let mut mirror = Mirror::new(SECOND);
    mirror.asks(1, SECOND);
    let rows = [(200, String::new(), vec![])];
    assert_eq!(mirror.take_page(1, (Revision(1), WallTime(1)), &rows, true), Err(WireError));
    assert!(!mirror.completes());
    // Whoever sent it is not asked again at once, and not first.
    assert_eq!(mirror.wanted(SECOND), Wanted::Nothing);
    assert_eq!(mirror.wanted(SECOND + 2 * limits::META_RETRY_AFTER), Wanted::Page { elsewhere: true });
}
