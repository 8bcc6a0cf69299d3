//! How data channels are opened (RFC 8832): two messages, and a stream's number that says who opened it.

use bytes::Bytes;
use rtc_datachannel::data_channel::DataChannel;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen};
use rtc_sctp::ReliabilityType;
use rtc_shared::marshal::{Marshal, Unmarshal};

const ACKNOWLEDGE: u8 = 2;
const OPEN: u8 = 3;

/// What the peer says of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// It is a channel from now on; how what we send there is to be sent.
    Open {
        /// In whatever order.
        unordered: bool,
        /// For how long it is tried.
        kind: ReliabilityType,
        /// What that means: times, or milliseconds.
        parameter: u32,
    },
    /// The channel that we opened is one.
    Acknowledge,
}

/// Reads a message; `None` when it is none. Labels and protocols name nothing here.
pub fn read(mut message: &[u8]) -> Option<Control> {
    // The crate has notes of its own under other numbers.
    if !matches!(message.first(), Some(&(ACKNOWLEDGE | OPEN))) {
        return None;
    }
    match Message::unmarshal(&mut message).ok()? {
        Message::DataChannelOpen(open) => {
            let (unordered, kind) = DataChannel::get_reliability_params(open.channel_type);
            Some(Control::Open { unordered, kind, parameter: open.reliability_parameter })
        }
        Message::DataChannelAck(_) => Some(Control::Acknowledge),
        _ => None,
    }
}

/// The message that opens a channel: in order, whatever it takes. `None` when the label is too long for it.
pub fn open(label: &str) -> Option<Bytes> {
    u16::try_from(label.len()).ok()?;
    let message = Message::DataChannelOpen(DataChannelOpen {
        channel_type: ChannelType::Reliable,
        priority: CHANNEL_PRIORITY_NORMAL,
        reliability_parameter: 0,
        label: label.as_bytes().to_vec(),
        protocol: Vec::new(),
    });
    message.marshal().ok().map(Into::into)
}

/// The message that says yes to a channel of the peer's.
pub fn acknowledge() -> Bytes {
    Message::DataChannelAck(DataChannelAck).marshal().map(Into::into).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_say_is_read() {
        // As Chromium opens a channel called `s1` that gives up after three tries, in any order.
        let open = [3, 0x81, 1, 0, 0, 0, 0, 3, 0, 2, 0, 0, b's', b'1'];
        let control = Control::Open { unordered: true, kind: ReliabilityType::Rexmit, parameter: 3 };
        assert_eq!(read(&open), Some(control));
        assert_eq!(read(&[2]), Some(Control::Acknowledge));
        for end in 0..open.len() {
            assert_eq!(read(&open[..end]), None, "cut at {end}");
        }
        for kind in (0..=255).filter(|kind| ![2, 3].contains(kind)) {
            assert_eq!(read(&[&[kind], &open[1..]].concat()), None, "{kind}");
        }
    }

    #[test]
    fn what_we_say_is_theirs() {
        let control = Control::Open { unordered: false, kind: ReliabilityType::Reliable, parameter: 0 };
        let said = open("s1").unwrap();
        assert_eq!(read(&said), Some(control));
        assert_eq!(said[..], [3, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, b's', b'1']);
        assert_eq!(acknowledge()[..], [2]);
        assert_eq!(open(&"x".repeat(70_000)), None);
    }
}
