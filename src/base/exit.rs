//! Why a session ended: one list for log, audit, webhook, metric label and page.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $label:literal;)+) => {
        /// Why a publisher, player or stream ended. The number is stable, the label is what people see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ExitReason {
            $($(#[$doc])* $name = $number,)+
        }

        impl ExitReason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The reason in words, as shown in log, metric label and page.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// Reads the number back; `None` for 0 and for numbers nobody has given out.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }

            /// The stable number of this reason, never 0.
            pub const fn number(self) -> u8 {
                self as u8
            }
        }
    };
}

reasons! {
    /// The peer said it was done, or the stream it played came to a clean end.
    Finished = 1, "finished";
    /// An operator stopped it.
    Kicked = 2, "kicked";
    /// Its token or signature was revoked.
    Revoked = 3, "revoked";
    /// Its subscriber was blocked.
    Blocked = 4, "blocked";
    /// Its permit ran out.
    Expired = 5, "expired";
    /// The peer closed the connection without a goodbye.
    PeerClosed = 6, "peer closed";
    /// The peer did not read as fast as it must.
    TooSlow = 7, "too slow";
    /// The peer sent nothing for too long.
    TimedOut = 8, "timed out";
    /// The peer broke its protocol.
    ProtocolError = 9, "protocol error";
    /// The peer went beyond a named limit.
    LimitExceeded = 10, "limit exceeded";
    /// The gate said no.
    Denied = 11, "denied";
    /// The stream it belonged to died.
    StreamEnded = 12, "stream ended";
    /// Another publisher took the stream over.
    Replaced = 13, "replaced";
    /// The stream changed to a codec this player cannot follow.
    CodecChanged = 14, "codec changed";
    /// The node is shutting down.
    Draining = 15, "draining";
    /// Something of ours broke.
    Failed = 16, "failed";
    /// Another node publishes the stream.
    Superseded = 17, "superseded";
    /// The metadata plane was away for too long to vouch for it.
    AuthorityLost = 18, "authority lost";
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_labels_are_unique_and_read_back() {
        let mut labels = std::collections::HashSet::new();
        for &reason in ExitReason::ALL {
            assert_eq!(ExitReason::from_number(reason.number()), Some(reason));
            assert!(labels.insert(reason.label()));
        }
        assert_eq!(ExitReason::from_number(0), None);
    }
}
