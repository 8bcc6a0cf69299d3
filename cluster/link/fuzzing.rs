//! An entry point for fuzzers: every reader that another's bytes reach. None may panic.

use prost::Message;

use crate::wire::Greeting;
use crate::{Introduction, Order, PeerName, Report, Secrets, proto};

/// The first byte says what the rest is: lines with secrets, the name in a certificate, a frame, an introduction, an
/// order or a report.
pub fn link(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    match first {
        b's' => {
            if let Ok(text) = std::str::from_utf8(rest) {
                let _ = Secrets::parse(text);
            }
        }
        b'n' => {
            if let Ok(text) = std::str::from_utf8(rest)
                && let Some(name) = PeerName::parse(text)
            {
                assert_eq!(name.to_string(), text, "a name has one form");
            }
        }
        b'f' => {
            if let Ok(frame) = proto::Frame::decode(rest)
                && let Some(proto::frame::Kind::Hello(hello)) = frame.kind
                && let Ok(greeting) = Greeting::try_from(hello)
            {
                assert_eq!(Greeting::try_from(proto::Hello::from(greeting.clone())), Ok(greeting));
            }
        }
        b'i' => again::<proto::Introduction, Introduction>(rest),
        b'o' => again::<proto::Order, Order>(rest),
        b'r' => again::<proto::Report, Report>(rest),
        _ => {}
    }
}

/// What was read is the same after it was sent again.
fn again<Sent, Said>(bytes: &[u8])
where
    Sent: Message + Default + From<Said>,
    Said: TryFrom<Sent> + Clone + PartialEq + std::fmt::Debug,
    Said::Error: std::fmt::Debug + PartialEq,
{
    if let Ok(sent) = Sent::decode(bytes)
        && let Ok(said) = Said::try_from(sent)
    {
        assert_eq!(Said::try_from(Sent::from(said.clone())), Ok(said));
    }
}
