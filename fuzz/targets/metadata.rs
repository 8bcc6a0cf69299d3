//! What the metadata plane reads from disk and from other nodes.

use cluster_core::Envelope;
use cluster_model::testing::{open_sealed, read_snapshot};
use cluster_model::{Change, Command, RowKind, State, decode_request};

/// The first byte says what the rest is: a command, a message of another node, a snapshot without version and hash, a
/// remembered request, a sealed secret, or a row.
pub fn metadata(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    match first {
        b'c' => {
            if let Ok(command) = Command::decode(rest) {
                let again = command.encode().expect("what was read can be written");
                assert_eq!(Command::decode(&again).as_ref(), Ok(&command));
            }
        }
        b'e' => {
            if let Ok(envelope) = Envelope::decode(rest) {
                assert_eq!(Envelope::decode(&envelope.encode()).as_ref(), Ok(&envelope));
            }
        }
        b's' => {
            // The hash lets nothing through that a fuzzer makes, so it is left out here.
            let _ = State::restore(rest);
            if let Ok(state) = read_snapshot(rest) {
                let again = state.snapshot().expect("what was read can be written");
                assert_eq!(State::restore(&again).as_ref(), Ok(&state));
            }
        }
        b'q' => {
            let _ = decode_request(rest);
        }
        b'z' => {
            // Without the key nothing is made that opens.
            if let Ok(text) = str::from_utf8(rest) {
                assert!(!matches!(open_sealed(text), Ok(true)), "{text}");
            }
        }
        // Kind, length of the key, key, value.
        _ => {
            let Some((&key_len, rest)) = rest.split_first() else { return };
            let Some((key, value)) = rest.split_at_checked(key_len.into()) else { return };
            let (Ok(kind), Ok(key)) = (RowKind::try_from(first), str::from_utf8(key)) else { return };
            if let Ok(change) = Change::of_row(kind, key, value) {
                let row = change.row().expect("what was read can be written").expect("a row");
                let again = Change::of_row(row.kind, &row.key, &row.value.expect("a value"));
                assert_eq!(again.as_ref(), Ok(&change));
            }
        }
    }
}
