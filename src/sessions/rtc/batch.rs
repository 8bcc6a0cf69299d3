//! Sends of a shard on their way to the socket: sealed into one buffer, sent with few system calls.

use std::net::SocketAddr;
use std::time::Instant;

use rtc::{Shard, Transmit};

use super::tcp::is_tcp;

/// Sends that are sealed before any of them is sent, at most: what one system call may take. More save
/// nothing that could be measured, and 16 of an ordinary frame still fit a core's cache.
pub const BATCH_SENDS_MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Send {
    transmit: Transmit,
    /// Behind its last byte in the buffer.
    end: usize,
}

/// Some sends, in order. What the socket has not taken stays for the next turn.
#[derive(Debug, Default)]
pub struct SendBatch {
    buffer: Vec<u8>,
    sends: Vec<Send>,
    /// The first that is not done.
    next: usize,
    /// Bytes of the buffer that are sent.
    sent: usize,
}

impl SendBatch {
    /// Takes the shard's next sends, at most `max`; how many. The batch has to be empty.
    pub fn fill(&mut self, shard: &mut Shard, now: Instant, max: usize) -> usize {
        self.buffer.clear();
        self.sends.clear();
        (self.next, self.sent) = (0, 0);
        while self.sends.len() < max.min(BATCH_SENDS_MAX)
            && let Some(transmit) = shard.poll_transmit(now, &mut self.buffer)
        {
            self.sends.push(Send { transmit, end: self.buffer.len() });
        }
        self.sends.len()
    }

    /// Where the first send goes that is not done; `None` when all are.
    pub fn to(&self) -> Option<SocketAddr> {
        self.sends.get(self.next).map(|send| send.transmit.to)
    }

    /// The first send that is not done, and what is left of it.
    pub fn first(&self) -> Option<(Transmit, &[u8])> {
        let send = self.sends.get(self.next)?;
        Some((send.transmit, self.buffer.get(self.sent..send.end)?))
    }

    /// The sends from the first on that leave the same way: one family, one source, one segment size.
    pub fn alike(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let left = self.sends.get(self.next..).unwrap_or_default();
        let first = left.first().map(|send| send.transmit);
        let is_alike = move |send: &&Send| {
            first.is_some_and(|first| {
                let Transmit { to, from, segment_size } = send.transmit;
                to.is_ipv4() == first.to.is_ipv4()
                    && is_tcp(to) == is_tcp(first.to)
                    && from == first.from
                    && segment_size == first.segment_size
            })
        };
        let mut start = self.sent;
        left.iter().take_while(is_alike).map(move |send| {
            let contents = self.buffer.get(start..send.end).unwrap_or_default();
            start = send.end;
            (send.transmit.to, contents)
        })
    }

    /// So many bytes of the first send are sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sends.get(self.next).is_some_and(|send| send.end <= self.sent) {
            self.next += 1;
        }
    }

    /// The first so many sends are done: taken by the socket, or given up.
    pub fn done(&mut self, sends: usize) {
        self.next += sends;
        self.sent = self.next.checked_sub(1).and_then(|last| self.sends.get(last)).map_or(0, |send| send.end);
    }
}

#[cfg(test)]
impl SendBatch {
    /// A batch of these sends.
    pub fn of(sends: impl IntoIterator<Item = (Transmit, Vec<u8>)>) -> Self {
        let mut batch = Self::default();
        for (transmit, contents) in sends {
            batch.buffer.extend_from_slice(&contents);
            batch.sends.push(Send { transmit, end: batch.buffer.len() });
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(port: u16, segment_size: Option<usize>, contents: &[u8]) -> (Transmit, Vec<u8>) {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        (Transmit { to, from: None, segment_size }, contents.to_vec())
    }

    fn alike(batch: &SendBatch) -> Vec<(u16, Vec<u8>)> {
        batch.alike().map(|(to, contents)| (to.port(), contents.to_vec())).collect()
    }

    #[test]
    fn what_leaves_the_same_way_goes_together_and_in_order() {
        let mut batch = SendBatch::of([
            send(1, None, b"one"),
            send(2, None, b"two"),
            send(3, Some(2), b"three"),
            send(4, None, b"four"),
        ]);
        assert_eq!(alike(&batch), [(1, b"one".to_vec()), (2, b"two".to_vec())]);
        batch.done(1);
        assert_eq!(alike(&batch), [(2, b"two".to_vec())]);
        batch.done(1);
        assert_eq!(alike(&batch), [(3, b"three".to_vec())]);
        batch.sent(2);
        assert_eq!(batch.first().map(|(_, left)| left), Some(&b"ree"[..]));
        batch.sent(3);
        assert_eq!(alike(&batch), [(4, b"four".to_vec())]);
        batch.sent(4);
        assert_eq!(batch.to(), None);
        assert!(alike(&batch).is_empty());
    }

    #[test]
    fn a_send_that_is_given_up_half_way_leaves_the_next_whole() {
        let mut batch = SendBatch::of([send(1, Some(2), b"one"), send(2, None, b"two")]);
        batch.sent(2);
        batch.done(1);
        assert_eq!(alike(&batch), [(2, b"two".to_vec())]);
    }
}
