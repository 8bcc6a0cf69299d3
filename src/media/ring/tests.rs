use super::*;

struct Entry {
    ms: i64,
    bytes: usize,
    key: bool,
}

impl Timed for Entry {
    fn dts(&self) -> MediaTime {
        MediaTime::from_millis(self.ms)
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn allocated(&self) -> usize {
        self.bytes
    }
    fn key(&self) -> bool {
        self.key
    }
}

fn push(ring: &Ring<Entry>, ms: i64, bytes: usize, key: bool) -> u64 {
    ring.push(Arc::new(Entry { ms, bytes, key }))
}

#[test]
fn a_reader_sees_every_entry_in_order() {
    let ring = Ring::new(&MediaBudget::unlimited());
    let mut cursor = Cursor(0);
    for i in 0..100 {
        assert_eq!(push(&ring, i * 33, 10, i % 10 == 0), i as u64);
        let read = ring.read(&mut cursor, 16);
        assert_eq!((read.entries.len(), read.first, read.skipped), (1, i as u64, 0));
        assert_eq!(read.entries[0].ms, i * 33);
    }
    assert!(ring.read(&mut cursor, 16).entries.is_empty());
}

#[test]
fn the_oldest_go_beyond_ten_seconds() {
    let ring = Ring::new(&MediaBudget::unlimited());
    for second in 0..30 {
        push(&ring, second * 1000, 1, true);
    }
    assert_eq!(ring.tail(), 19, "10 s before second 29");
    assert_eq!(ring.held(), (11, std::time::Duration::from_secs(10)));
}

#[test]
fn the_oldest_go_beyond_the_byte_budget() {
    let ring = Ring::new(&MediaBudget::unlimited());
    for i in 0..40 {
        push(&ring, i, 1024 * 1024, i == 0);
    }
    assert_eq!(ring.held().0, limits::RING_BYTES_MAX);
    assert_eq!(ring.newest_key(), None, "the only key entry went with the old ones");
}

#[test]
fn one_entry_larger_than_the_budget_is_still_held() {
    let ring = Ring::new(&MediaBudget::unlimited());
    push(&ring, 0, 1, true);
    push(&ring, 1, limits::RING_BYTES_MAX + 1, true);
    assert_eq!((ring.tail(), ring.head()), (1, 2));
}

#[test]
fn a_slow_reader_jumps_to_the_newest_key_entry() {
    let ring = Ring::new(&MediaBudget::unlimited());
    let mut cursor = Cursor(0);
    for i in 0..1200 {
        push(&ring, i * 100, 1, i % 50 == 0);
    }
    let read = ring.read(&mut cursor, 4);
    assert_eq!((read.first, read.skipped), (1150, 1150));
    assert!(read.entries[0].key);
}

#[test]
fn a_slow_reader_without_a_key_entry_waits_at_the_head() {
    let ring = Ring::new(&MediaBudget::unlimited());
    let mut cursor = Cursor(0);
    for i in 0..1200 {
        push(&ring, i * 100, 1, false);
    }
    let read = ring.read(&mut cursor, 4);
    assert_eq!((read.entries.len(), read.first, read.skipped), (0, 1200, 1200));
}

#[test]
fn positions_are_found_by_time() {
    let ring = Ring::new(&MediaBudget::unlimited());
    for i in 0..10 {
        push(&ring, i * 100, 1, false);
    }
    assert_eq!(ring.at_or_after(MediaTime::from_millis(250)), 3);
    assert_eq!(ring.at_or_after(MediaTime::from_millis(300)), 3);
    assert_eq!(ring.at_or_after(MediaTime::from_millis(5000)), 10);
}

#[tokio::test]
async fn a_push_wakes_a_sleeping_reader_and_one_that_comes_later() {
    let ring = Ring::new(&MediaBudget::unlimited());
    let bell = Bell::new();
    ring.hang(&bell);
    ring.hang(&bell);
    push(&ring, 0, 1, true);
    bell.rung().await;
    let sleeper = tokio::spawn({
        let bell = bell.clone();
        async move { bell.rung().await }
    });
    tokio::task::yield_now().await;
    push(&ring, 1, 1, true);
    sleeper.await.unwrap();
}
