//! What of a peer's DATA the crate is shown: the crate takes any TSN however far ahead, and pieces of a message
//! without end.

use std::collections::VecDeque;

use base::limits;

/// How far one serial number is ahead of another (RFC 1982); negative: behind. Half of the numbers are ahead and half
/// behind; what is near the border is taken as far ahead, because the crate, which may be further than is known here,
/// would take it as such.
const fn ahead(of: u32, number: u32) -> i32 {
    let ahead = number.wrapping_sub(of) as i32;
    if ahead < i32::MIN / 2 { i32::MAX } else { ahead }
}

/// What came of looking at a packet's DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// The crate may see the packet.
    Yes,
    /// Too far ahead of what is missing: to be sent again once that has come.
    TooFar,
    /// More is held than an honest peer can have underway.
    TooMuch,
}

/// The peer's TSNs as the crate has them, as far as its SACKs tell.
#[derive(Debug)]
pub(super) struct Window {
    /// All up to here have come, or were given up. The crate may be further.
    cumulative: u32,
    /// Which of those behind it have come.
    seen: VecDeque<bool>,
    /// Pieces of messages that are not whole, at most.
    held: usize,
    most: usize,
}

impl Window {
    /// Of a peer whose first TSN will be `first`, and which may have `most` pieces of messages that are not whole.
    pub(super) const fn new(first: u32, most: usize) -> Self {
        Self { cumulative: first.wrapping_sub(1), seen: VecDeque::new(), held: 0, most }
    }

    /// Looks at the TSNs of a packet.
    pub(super) fn admit(&mut self, tsns: impl Iterator<Item = u32> + Clone) -> Admitted {
        if tsns.clone().any(|tsn| ahead(self.cumulative, tsn) > limits::DATA_CHUNKS_AHEAD_MAX) {
            return Admitted::TooFar;
        }
        for tsn in tsns {
            // What came before is dropped by the crate, too.
            let Some(place) =
                usize::try_from(ahead(self.cumulative, tsn)).ok().and_then(|n| n.checked_sub(1))
            else {
                continue;
            };
            if self.seen.len() <= place {
                self.seen.resize(place + 1, false);
            }
            if let Some(seen) = self.seen.get_mut(place).filter(|seen| !**seen) {
                *seen = true;
                self.held += 1;
            }
        }
        if self.held > self.most { Admitted::TooMuch } else { Admitted::Yes }
    }

    /// Whether the crate may be told that everything up to `tsn` is given up.
    pub(super) const fn may_forward(&self, tsn: u32) -> bool {
        ahead(self.cumulative, tsn) <= limits::DATA_CHUNKS_AHEAD_MAX
    }

    /// Whether everything up to `tsn` has come.
    pub(super) const fn has(&self, tsn: u32) -> bool {
        ahead(self.cumulative, tsn) <= 0
    }

    /// A message was whole, and was read.
    pub(super) fn read(&mut self, chunks: usize) {
        self.held = self.held.saturating_sub(chunks);
    }

    /// The crate told the peer what has come, and whether nothing of it is held any more. This sets right what was
    /// given up in between.
    pub(super) fn told(&mut self, cumulative: u32, holds_nothing: bool) {
        let came = usize::try_from(ahead(self.cumulative, cumulative)).unwrap_or(0);
        self.seen.drain(..came.min(self.seen.len()));
        if came > 0 {
            self.cumulative = cumulative;
        }
        if holds_nothing {
            self.held = 0;
        }
    }

    /// Pieces of messages that are held, at most.
    pub(super) const fn held(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Near the end of the numbers, so that they begin anew.
    const FIRST: u32 = u32::MAX - 2;

    fn numbers(of: impl IntoIterator<Item = u32>) -> std::vec::IntoIter<u32> {
        of.into_iter().map(|n| FIRST.wrapping_add(n)).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn pieces_are_counted_once_until_their_message_is_read() {
        let mut window = Window::new(FIRST, limits::DATA_CHUNKS_HELD_MAX);
        assert_eq!(window.admit(numbers(0..5)), Admitted::Yes);
        assert_eq!(window.admit(numbers(3..8)), Admitted::Yes);
        assert_eq!(window.held(), 8);
        assert!(!window.has(FIRST));
        window.told(FIRST.wrapping_add(4), false);
        assert!(window.has(FIRST.wrapping_add(4)) && !window.has(FIRST.wrapping_add(5)));
        assert_eq!(window.admit(numbers(0..8)), Admitted::Yes);
        assert_eq!(window.held(), 8, "they came before");
        window.read(6);
        assert_eq!(window.held(), 2);
        window.told(FIRST.wrapping_add(7), true);
        assert_eq!(window.held(), 0, "what was given up is held no more");
        window.told(FIRST, false);
        assert!(window.has(FIRST.wrapping_add(7)), "it goes not back");
    }

    #[test]
    fn nothing_is_taken_from_far_ahead() {
        let mut window = Window::new(FIRST, limits::DATA_CHUNKS_HELD_MAX);
        let most = limits::DATA_CHUNKS_AHEAD_MAX as u32;
        assert_eq!(window.admit(numbers([most - 1])), Admitted::Yes);
        assert_eq!(window.admit(numbers([0, most])), Admitted::TooFar);
        assert_eq!(window.held(), 1, "a packet is taken whole or not at all");
        assert!(window.may_forward(FIRST.wrapping_add(most - 1)));
        assert!(!window.may_forward(FIRST.wrapping_add(most)));
        assert!(window.may_forward(FIRST.wrapping_sub(9)), "the crate answers what is old");
        // The crate, which may be some numbers further, has it 2^31 steps ahead, and would take each.
        let border = (i32::MAX as u32).wrapping_sub(1);
        assert!(!window.may_forward(FIRST.wrapping_add(border + 2)));
        assert_eq!(window.admit(numbers([border + 2])), Admitted::TooFar);
        assert!(!window.has(FIRST.wrapping_add(border + 2)));
    }

    #[test]
    fn a_message_without_end_is_noticed() {
        let mut window = Window::new(FIRST, limits::DATA_CHUNKS_HELD_MAX);
        let mut number = 0;
        let refused = loop {
            if window.admit(numbers([number])) != Admitted::Yes {
                break number;
            }
            window.told(FIRST.wrapping_add(number), false);
            number += 1;
        };
        assert_eq!(refused as usize, limits::DATA_CHUNKS_HELD_MAX);
    }
}
