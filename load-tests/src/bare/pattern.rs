//! What a node sends to one viewer of a recording.

use bytes::Bytes;

use crate::source::{FPS, Packets, Recording, SOUNDS_PER_SECOND};

/// Packets the node puts into one send.
const PACKETS_PER_SEND: usize = 16;

/// One frame of video and the sound that is due with it, as runs of payloads that go out in one call: all of one
/// size, but for a shorter last one.
#[derive(Clone, Debug)]
pub struct Frame {
    runs: Vec<Vec<Bytes>>,
}

impl Frame {
    fn of(payloads: &[Bytes]) -> Self {
        let mut runs: Vec<Vec<Bytes>> = Vec::new();
        let mut open = false;
        for payload in payloads {
            match runs.last_mut() {
                Some(run) if open && run.len() < PACKETS_PER_SEND && payload.len() <= run[0].len() => {
                    open = payload.len() == run[0].len();
                    run.push(payload.clone());
                }
                _ => {
                    open = true;
                    runs.push(vec![payload.clone()]);
                }
            }
        }
        Self { runs }
    }

    /// The runs in the order in which they go out.
    pub fn runs(&self) -> impl Iterator<Item = &[Bytes]> {
        self.runs.iter().map(Vec::as_slice)
    }

    /// How many packets they are.
    pub fn packets(&self) -> u64 {
        self.runs.iter().map(|run| run.len() as u64).sum()
    }
}

/// All frames of a recording as packets.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Frame>);

impl Pattern {
    /// The frames whose payloads are given.
    pub fn of(frames: &[Vec<Bytes>]) -> Self {
        Self(frames.iter().map(|payloads| Frame::of(payloads)).collect())
    }

    /// A recording as the node packetizes it.
    ///
    /// # Errors
    /// A frame has no packets.
    pub fn new(recording: &Recording) -> anyhow::Result<Self> {
        let Packets { pictures, sound, .. } = Packets::new(recording)?;
        let (mut frames, mut sounds) = (Vec::new(), 0);
        for picture in pictures {
            let mut frame = Frame::of(&picture.payloads);
            let due = (frames.len() as u32 + 1) * SOUNDS_PER_SECOND / FPS;
            frame.runs.extend((sounds..due).map(|_| vec![sound.clone()]));
            sounds = due;
            frames.push(frame);
        }
        Ok(Self(frames))
    }

    /// The frames.
    pub fn frames(&self) -> &[Frame] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_one_size_with_a_shorter_end() {
        let sizes = |bytes: &[usize]| {
            let payloads: Vec<Bytes> = bytes.iter().map(|&bytes| vec![0; bytes].into()).collect();
            let frame = Frame::of(&payloads);
            let sizes: Vec<Vec<usize>> =
                frame.runs().map(|run| run.iter().map(Bytes::len).collect()).collect();
            assert_eq!(frame.packets(), bytes.len() as u64);
            sizes
        };
        assert_eq!(sizes(&[30, 900, 900, 700]), [vec![30], vec![900, 900, 700]]);
        assert_eq!(sizes(&[900, 700, 700]), [vec![900, 700], vec![700]]);
        assert_eq!(sizes(&[9; 20]), [vec![9; 16], vec![9; 4]]);
    }
}
