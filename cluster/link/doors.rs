//! How many connections there may be: in all, from one address, and of those who have not shown who they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base::{PeerAddr, limits};
use parking_lot::Mutex;

use crate::Refusal;

#[derive(Clone, Copy, Default)]
struct Count {
    all: usize,
    strangers: usize,
}

/// Counts connections of other nodes.
#[derive(Default)]
pub(crate) struct Doors(Mutex<(Count, HashMap<IpAddr, Count>)>);

impl Doors {
    /// One more, of somebody unknown.
    pub(crate) fn open(self: &Arc<Self>, peer: PeerAddr) -> Result<Open, Refusal> {
        let address = peer.limit_key();
        let (total, by_address) = &mut *self.0.lock();
        if total.all >= limits::CLUSTER_CONNECTIONS_MAX || total.strangers >= limits::CLUSTER_STRANGERS_MAX {
            return Err(Refusal::TooMany);
        }
        let from = by_address.get(&address).copied().unwrap_or_default();
        if from.all >= limits::CLUSTER_CONNECTIONS_PER_ADDRESS_MAX
            || from.strangers >= limits::CLUSTER_STRANGERS_PER_ADDRESS_MAX
        {
            return Err(Refusal::TooManyOfAddress);
        }
        by_address.insert(address, Count { all: from.all + 1, strangers: from.strangers + 1 });
        *total = Count { all: total.all + 1, strangers: total.strangers + 1 };
        Ok(Open { doors: Arc::clone(self), address, stranger: true })
    }

    /// Open now.
    pub(crate) fn open_now(&self) -> usize {
        self.0.lock().0.all
    }

    fn less(&self, address: IpAddr, less: Count) {
        let (total, by_address) = &mut *self.0.lock();
        let subtract = |from: &mut Count| {
            from.all -= less.all;
            from.strangers -= less.strangers;
        };
        subtract(total);
        if let Some(from) = by_address.get_mut(&address) {
            subtract(from);
            if from.all == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// A connection that is counted until this is dropped.
pub(crate) struct Open {
    doors: Arc<Doors>,
    address: IpAddr,
    stranger: bool,
}

impl Open {
    /// It is known now who that is.
    pub(crate) fn known(&mut self) {
        if std::mem::take(&mut self.stranger) {
            self.doors.less(self.address, Count { all: 0, strangers: 1 });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.doors.less(self.address, Count { all: 1, strangers: usize::from(self.stranger) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> PeerAddr {
        PeerAddr::new(([192, 0, 2, last], 7000).into())
    }

    #[test]
    fn strangers_of_one_address_keep_nobody_else_out() {
        let doors = Arc::new(Doors::default());
        let mut open: Vec<_> = (0..limits::CLUSTER_STRANGERS_PER_ADDRESS_MAX)
            .map(|_| doors.open(from(1)).ok().unwrap())
            .collect();
        assert_eq!(doors.open(from(1)).err(), Some(Refusal::TooManyOfAddress));
        assert!(doors.open(from(2)).is_ok());
        // Who is known makes room.
        open[0].known();
        open[0].known();
        open.push(doors.open(from(1)).ok().unwrap());
        assert_eq!(doors.open(from(1)).err(), Some(Refusal::TooManyOfAddress));
        drop(open);
        assert_eq!(doors.open_now(), 0);
        assert!(doors.0.lock().1.is_empty());
    }

    #[test]
    fn there_is_a_most() {
        let doors = Arc::new(Doors::default());
        let mut open = Vec::new();
        let mut last = 0;
        let refused = loop {
            match doors.open(from(last)) {
                Ok(mut one) => {
                    one.known();
                    open.push(one);
                }
                Err(Refusal::TooManyOfAddress) => last += 1,
                Err(why) => break why,
            }
        };
        assert_eq!((refused, open.len()), (Refusal::TooMany, limits::CLUSTER_CONNECTIONS_MAX));
    }
}
