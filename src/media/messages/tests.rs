use std::time::Duration;

use base::{Clock, SystemClock};

use super::*;
use crate::{Bell, StreamMedia};

fn now() -> Instant {
    SystemClock.now()
}

fn message(from: MessageSource, payload: impl Into<Bytes>) -> DataMessage {
    let payload = payload.into();
    DataMessage { text: false, payload, from, to_players: true, to_publisher: true, came: now() }
}

fn bytes(count: usize) -> DataMessage {
    message(MessageSource::Rest, vec![7; count])
}

#[test]
fn everybody_is_sent_everything_but_what_they_said() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let ring = media.messages();
    let (a, b) = (ring.name_player(), ring.name_player());
    for from in [MessageSource::Publisher, MessageSource::Player(a), MessageSource::Rest] {
        media.send_message(message(from, "hello")).unwrap();
    }
    let read = ring.read(&mut Cursor(0), 16);
    let of = |who: &dyn Fn(&DataMessage) -> bool| -> Vec<_> {
        read.entries.iter().filter(|message| who(message)).map(|message| message.from).collect()
    };
    assert_eq!(of(&|message| message.is_for_player(a)), [MessageSource::Publisher, MessageSource::Rest]);
    assert_eq!(of(&|message| message.is_for_player(b)).len(), 3);
    assert_eq!(of(&DataMessage::is_for_publisher), [MessageSource::Player(a), MessageSource::Rest]);
    let mut private = message(MessageSource::Player(a), "hello");
    private.to_players = false;
    assert!(!private.is_for_player(b) && private.is_for_publisher());
}

#[test]
fn a_reader_sees_every_message_in_order_and_as_it_came() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let mut cursor = Cursor(media.messages().head());
    for number in 0..100_u8 {
        let text = number % 2 == 0;
        media.send_message(DataMessage { text, ..message(MessageSource::Rest, vec![number]) }).unwrap();
    }
    let mut seen = Vec::new();
    while cursor.0 < media.messages().head() {
        let read = media.messages().read(&mut cursor, 7);
        assert_eq!(read.skipped, 0);
        seen.extend(read.entries.iter().map(|message| (message.text, message.payload.to_vec())));
    }
    let sent: Vec<_> = (0..100_u8).map(|number| (number % 2 == 0, vec![number])).collect();
    assert_eq!(seen, sent);
}

#[test]
fn the_oldest_go_beyond_each_bound_and_who_was_slow_goes_on_with_the_oldest_left() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let (ring, mut cursor) = (media.messages(), Cursor(0));
    for _ in 0..limits::DATA_RING_MESSAGES_MAX + 5 {
        media.send_message(bytes(0)).unwrap();
    }
    let read = ring.read(&mut cursor, 1);
    assert_eq!((read.skipped, read.first, read.entries.len()), (5, 5, 1));
    assert_eq!(ring.read(&mut cursor, 1).skipped, 0);
    let fit = limits::DATA_RING_BYTES_MAX / limits::DATA_MESSAGE_BYTES_MAX;
    for _ in 0..fit + 1 {
        media.send_message(bytes(limits::DATA_MESSAGE_BYTES_MAX)).unwrap();
    }
    assert_eq!(ring.held(), (fit, limits::DATA_RING_BYTES_MAX));
    let late = now() + limits::DATA_RING_AGE_MAX;
    ring.forget_old(late - Duration::from_secs(5));
    assert_eq!(ring.held().0, fit);
    ring.forget_old(late + Duration::from_secs(5));
    assert_eq!(ring.held(), (0, 0));
    let read = ring.read(&mut cursor, 9);
    assert_eq!((read.entries.len(), cursor.0), (0, ring.head()), "it waits at the head");
    assert!(read.skipped > 0);
}

#[test]
fn what_cannot_be_handed_on_is_refused_by_name() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let large = bytes(limits::DATA_MESSAGE_BYTES_MAX + 1);
    assert_eq!(media.send_message(large), Err(MessageError::TooLarge));
    let text = DataMessage { text: true, ..message(MessageSource::Rest, &[0xff, 0xfe][..]) };
    assert_eq!(media.send_message(text), Err(MessageError::NotText));
    assert_eq!(media.messages().head(), 0);
    media.send_message(bytes(3)).unwrap();
    media.close();
    assert_eq!(media.send_message(bytes(3)), Err(MessageError::Ended));
    assert_eq!(media.messages().read(&mut Cursor(0), 9).entries.len(), 1, "what was said can be read");
}

#[tokio::test]
async fn a_message_rings_the_bells_of_its_stream() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let bell = Bell::new();
    media.hang(&bell);
    media.send_message(bytes(1)).unwrap();
    bell.rung().await;
}

#[test]
fn messages_are_charged_to_the_budget_and_cut_like_any_ring() {
    let budget = MediaBudget::new(10 * limits::DATA_MESSAGE_BYTES_MAX);
    let media = StreamMedia::new(&budget);
    media.send_message(bytes(1_000)).unwrap();
    assert!((1_000..1_300).contains(&budget.held()), "{}", budget.held());
    for _ in 0..20 {
        media.send_message(bytes(limits::DATA_MESSAGE_BYTES_MAX)).unwrap();
        assert!(budget.held() <= budget.bytes_max());
    }
    assert!(budget.shed() > 0);
    drop(media);
    assert_eq!(budget.held(), 0);
}
