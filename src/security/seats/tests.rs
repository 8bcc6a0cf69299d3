use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn stream() -> StreamId {
    StreamId::new("s1").unwrap()
}

fn publish(seats: &Arc<Seats>, publishers: usize) -> Result<Seat, Denial> {
    let limits = SeatLimits { publishers_of_app: Some(publishers), ..SeatLimits::default() };
    seats.take(&app(), &stream(), (Direction::Publish, Viewer::default()), limits)
}

#[test]
fn a_seat_passes_on_only_while_its_holder_gives_way() {
    let seats = Arc::<Seats>::default();
    let first = publish(&seats, 1).unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    let of_first = Arc::clone(&lost);
    first.give_way_when(move || of_first.load(Ordering::SeqCst));
    assert_eq!(publish(&seats, 1).unwrap_err(), Denial::AlreadyLive);
    lost.store(true, Ordering::SeqCst);
    assert!(!seats.is_held(&app(), &stream()));

    // It is the same one seat of the application's.
    let second = publish(&seats, 1).unwrap();
    assert!(seats.is_held(&app(), &stream()));
    assert_eq!(publish(&seats, 2).unwrap_err(), Denial::AlreadyLive, "the second does not give way");
    drop(first);
    assert!(seats.is_held(&app(), &stream()), "the first had nothing to free any more");
    drop(second);
    assert!(seats.is_empty());
}

#[test]
fn a_takeover_that_comes_to_nothing_gives_the_seat_back() {
    let seats = Arc::<Seats>::default();
    let first = publish(&seats, 1).unwrap();
    let silent = Arc::new(AtomicBool::new(true));
    let of_first = Arc::clone(&silent);
    first.give_way_when(move || of_first.load(Ordering::SeqCst));
    let second = publish(&seats, 1).unwrap();
    // The first was heard again, and the stream refused the second.
    silent.store(false, Ordering::SeqCst);
    drop(second);
    assert!(seats.is_held(&app(), &stream()), "the first has its seat again");
    assert_eq!(publish(&seats, 2).unwrap_err(), Denial::AlreadyLive);
    drop(first);
    assert!(seats.is_empty());
}

#[test]
fn a_seat_does_not_go_back_to_who_is_gone() {
    let seats = Arc::<Seats>::default();
    let first = publish(&seats, 1).unwrap();
    first.give_way_when(|| true);
    let second = publish(&seats, 1).unwrap();
    // As while it is being dropped: its seat was freed, it is still there.
    let held = first.holder.clone();
    drop(first);
    drop(second);
    drop(held);
    assert!(seats.is_empty());
    drop(publish(&seats, 1).unwrap());
}

#[test]
fn of_many_that_want_a_lost_publishers_seat_one_gets_it() {
    let seats = Arc::<Seats>::default();
    let first = publish(&seats, 1).unwrap();
    first.give_way_when(|| true);
    let wanted: Vec<_> = (0..8)
        .map(|_| {
            let seats = Arc::clone(&seats);
            std::thread::spawn(move || publish(&seats, 1))
        })
        .collect();
    let got: Vec<_> = wanted.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect();
    assert_eq!(got.len(), 1);
}
