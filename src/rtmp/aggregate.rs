//! Aggregate messages (Adobe's RTMP specification 1.0, 7.1.6): several messages in one, each with the
//! header of an FLV tag and its length behind it.

use bytes::{Buf, Bytes};

/// The bytes end inside a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut;

/// A message that stood in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) timestamp_ms: u32,
    pub(crate) type_id: u8,
    pub(crate) payload: Bytes,
}

/// The messages of an aggregate, each in memory of its own: one that stays for long, as media does, would
/// keep all of the aggregate, and only its own length is charged for. Times within count from the first
/// one, which is at the aggregate's own.
pub(crate) struct Parts {
    left: Bytes,
    timestamp_ms: u32,
    first: Option<u32>,
}

impl Parts {
    pub(crate) const fn new(timestamp_ms: u32, payload: Bytes) -> Self {
        Self { left: payload, timestamp_ms, first: None }
    }

    fn advance(&mut self) -> Result<Part, Cut> {
        const HEADER_BYTES: usize = 11;
        const BACK_POINTER_BYTES: usize = 4;
        let &[type_id, s0, s1, s2, t0, t1, t2, t3, _, _, _] =
            self.left.first_chunk::<HEADER_BYTES>().ok_or(Cut)?;
        let size = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        // The upper byte comes last.
        let time = u32::from_be_bytes([t3, t0, t1, t2]);
        self.left.advance(HEADER_BYTES);
        if self.left.len() < size {
            return Err(Cut);
        }
        let payload = Bytes::copy_from_slice(&self.left.split_to(size));
        // Some leave the last one out.
        self.left.advance(BACK_POINTER_BYTES.min(self.left.len()));
        let first = *self.first.get_or_insert(time);
        let timestamp_ms = self.timestamp_ms.wrapping_add(time.wrapping_sub(first));
        Ok(Part { timestamp_ms, type_id, payload })
    }
}

impl Iterator for Parts {
    type Item = Result<Part, Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let part = self.advance();
        if part.is_err() {
            self.left.clear();
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lent, aggregate};

    #[test]
    fn messages_come_out_at_their_times() {
        let body = aggregate(&[(8, 70_000, &[0xaf, 1]), (9, 70_033, &[0x27]), (18, 69_990, &[])]);
        let parts: Vec<_> = Parts::new(5, body.into()).map(Result::unwrap).collect();
        let told: Vec<_> =
            parts.iter().map(|part| (part.type_id, part.timestamp_ms, part.payload.len())).collect();
        assert_eq!(told, [(8, 5, 2), (9, 38, 1), (18, 5_u32.wrapping_sub(10), 0)]);
        // The upper byte of a time, and a back pointer left out.
        let late = aggregate(&[(9, 0x0100_0000, &[1]), (9, 0x0100_0001, &[2])]);
        let parts: Vec<_> = Parts::new(0, late[..late.len() - 4].to_vec().into()).collect();
        assert!(matches!(&parts[1], Ok(Part { timestamp_ms: 1, .. })), "{parts:?}");
    }

    #[test]
    fn a_message_that_stays_does_not_keep_the_aggregate() {
        let body = Lent::new(aggregate(&[(9, 0, &[0x27, 1]), (99, 0, &[0; 1_000])]));
        let kept = Parts::new(0, body.lend()).next().unwrap().unwrap();
        assert!(body.is_back(), "{kept:?}");
    }

    #[test]
    fn a_cut_one_gives_what_was_whole() {
        let body = aggregate(&[(8, 0, &[1, 2, 3]), (8, 1, &[4, 5, 6])]);
        for length in 0..body.len() {
            let parts: Vec<_> = Parts::new(0, body[..length].to_vec().into()).collect();
            let whole = parts.iter().filter(|part| part.is_ok()).count();
            // 11 bytes of header, 3 of body, 4 of back pointer.
            assert_eq!(whole, usize::from(length >= 14) + usize::from(length >= 32), "{length}");
        }
    }
}
