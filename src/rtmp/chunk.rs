//! The inbound half of the chunk stream (Adobe's RTMP specification 1.0, section 5.3).

mod error;

pub use error::ChunkError;

use base::limits;
use bytes::Bytes;

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds, wrapping at 2^32.
    pub timestamp_ms: u32,
    /// The message type of section 5.4 and 7.1: 8 audio, 9 video, 20 an AMF0 command ...
    pub type_id: u8,
    /// The message stream it belongs to; 0 is the connection itself.
    pub stream_id: u32,
    /// The message's body.
    pub payload: Bytes,
}

/// What a peer may send, by how far it is trusted.
#[derive(Clone, Copy, Debug)]
struct Budget {
    media_message_bytes: usize,
    unfinished_bytes: usize,
}

const STRANGER: Budget = Budget {
    media_message_bytes: limits::RTMP_MESSAGE_BYTES_BEFORE_PUBLISH_MAX,
    unfinished_bytes: limits::RTMP_BYTES_BEFORE_CONNECT_MAX,
};
const PUBLISHER: Budget = Budget {
    media_message_bytes: limits::RTMP_MESSAGE_BYTES_MAX,
    unfinished_bytes: limits::RTMP_REASSEMBLY_BYTES_MAX,
};

/// What the next chunk of a chunk stream may leave out, and the message it is putting together.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    timestamp: u32,
    /// The last timestamp field: a delta, or the absolute time of a type 0 header, which a type 3
    /// header repeats as a delta (5.3.1.2.4).
    delta: u32,
    /// The last header carried the extended field, so type 3 headers do too (5.3.1.3).
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// The message so far; `None` between messages.
    partial: Option<Vec<u8>>,
}

impl ChunkStream {
    /// Bytes that the unfinished message still misses; 0 between messages.
    fn left_of_message(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| self.length.saturating_sub(partial.len()))
    }
}

/// A chunk header is at most this long: 3 bytes of chunk stream id, 11 of message, 4 of time.
const HEADER_BYTES_MAX: usize = 18;
const EXTENDED: u32 = 0x00ff_ffff;
const FIRST_CHUNK_SIZE: usize = 128;
/// What a message gets before its bytes come; then its memory doubles, never beyond its length.
const FIRST_RESERVE_BYTES: usize = 4_096;

/// What a header says, read but not yet applied.
struct Header {
    format: u8,
    csid: u32,
    field: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// The length of the header itself.
    bytes: usize,
}

/// Puts messages together from chunks: any number of interleaved chunk streams, each with its own
/// buffer, within a memory budget. Set Chunk Size and Abort are obeyed here and not handed on.
///
/// Memory follows the bytes that came, not the length that was announced, and each payload byte is
/// copied at most three times whatever the chunk size.
#[derive(Debug)]
pub struct Reader {
    streams: Vec<ChunkStream>,
    /// An unfinished header.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    /// The stream (by index) whose chunk is being read, and the payload bytes the chunk still has.
    current: Option<(usize, usize)>,
    chunk_size: usize,
    unfinished_bytes: usize,
    budget: Budget,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader for a peer that has not been let in yet: chunks of 128 bytes, small messages.
    pub fn new() -> Self {
        Self {
            streams: Vec::new(),
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            current: None,
            chunk_size: FIRST_CHUNK_SIZE,
            unfinished_bytes: 0,
            budget: STRANGER,
        }
    }

    /// Lets audio and video messages be as large as a publisher's.
    pub fn trust(&mut self) {
        self.budget = PUBLISHER;
    }

    /// Takes [`Reader::trust`] back.
    pub fn distrust(&mut self) {
        self.budget = STRANGER;
    }

    /// Memory of the messages that are not whole yet, in bytes.
    pub const fn unfinished_bytes(&self) -> usize {
        self.unfinished_bytes
    }

    /// Reads up to the end of the next message and moves `input` behind what was read.
    ///
    /// `None`: the input is used up; what of it was unfinished is kept. After an error the stream
    /// cannot be followed any more and the connection is to be closed.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        loop {
            if self.current.is_none() && !self.read_header(input)? {
                return Ok(None);
            }
            match self.read_payload(input)? {
                Some(message) if !self.obey(&message)? => return Ok(Some(message)),
                Some(_) => {}
                None if self.current.is_some() => return Ok(None),
                None => {}
            }
        }
    }

    /// Collects a header byte by byte; `false` when the input ran out.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, ChunkError> {
        loop {
            let held = self.header.get(..self.header_bytes).unwrap_or_default();
            if let Some(header) = self.parse_header(held) {
                self.begin_chunk(&header)?;
                return Ok(true);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
            *input = rest;
            if let Some(slot) = self.header.get_mut(self.header_bytes) {
                *slot = byte;
            }
            self.header_bytes += 1;
        }
    }

    /// Reads a header from `held`, if it is whole.
    fn parse_header(&self, held: &[u8]) -> Option<Header> {
        let (&first, rest) = held.split_first()?;
        let format = first >> 6;
        let (csid, rest) = match first & 0x3f {
            0 => {
                let (&low, rest) = rest.split_first()?;
                (64 + u32::from(low), rest)
            }
            1 => {
                let (&[low, high], rest) = rest.split_first_chunk()?;
                (64 + u32::from(low) + 256 * u32::from(high), rest)
            }
            csid => (u32::from(csid), rest),
        };
        let held_stream = self.streams.iter().find(|stream| stream.csid == csid);
        let mut header = Header {
            format,
            csid,
            field: held_stream.map_or(0, |stream| stream.delta),
            extended: held_stream.is_some_and(|stream| stream.extended),
            length: held_stream.map_or(0, |stream| stream.length),
            type_id: held_stream.map_or(0, |stream| stream.type_id),
            stream_id: held_stream.map_or(0, |stream| stream.stream_id),
            bytes: 0,
        };
        let mut rest = rest;
        if format <= 2 {
            let (&[a, b, c], behind) = rest.split_first_chunk()?;
            header.field = u32::from_be_bytes([0, a, b, c]);
            header.extended = header.field == EXTENDED;
            rest = behind;
        }
        if format <= 1 {
            let (&[a, b, c, type_id], behind) = rest.split_first_chunk()?;
            header.length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            header.type_id = type_id;
            rest = behind;
        }
        if format == 0 {
            let (&stream_id, behind) = rest.split_first_chunk()?;
            header.stream_id = u32::from_le_bytes(stream_id);
            rest = behind;
        }
        if header.extended {
            let (&field, behind) = rest.split_first_chunk()?;
            rest = behind;
            let repeated = header.field;
            header.field = u32::from_be_bytes(field);
            // Some encoders leave the field out of the chunks that continue a message. What stands
            // there then is payload (and, behind a short one, the next header), and gives itself away
            // by repeating neither the field nor the time.
            let continues = held_stream.filter(|stream| format == 3 && stream.left_of_message() > 0);
            if continues.is_some_and(|stream| ![repeated, stream.timestamp].contains(&header.field)) {
                header.field = repeated;
                header.bytes = held.len() - rest.len() - field.len();
                return Some(header);
            }
        }
        header.bytes = held.len() - rest.len();
        Some(header)
    }

    fn begin_chunk(&mut self, header: &Header) -> Result<(), ChunkError> {
        let &Header { format, csid, .. } = header;
        let index = match self.streams.iter().position(|stream| stream.csid == csid) {
            Some(index) => index,
            // Type 1 without a type 0 before it is sent by librtmp for its ping answers.
            None if format > 1 => return Err(ChunkError::NothingToRepeat { csid, format }),
            None if self.streams.len() >= limits::RTMP_CHUNK_STREAMS_MAX => {
                return Err(ChunkError::TooManyChunkStreams);
            }
            None => {
                self.streams.push(ChunkStream {
                    csid,
                    timestamp: 0,
                    delta: 0,
                    extended: false,
                    length: 0,
                    type_id: 0,
                    stream_id: 0,
                    partial: None,
                });
                self.streams.len() - 1
            }
        };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        if stream.partial.is_none() {
            check_length(header, self.budget)?;
            stream.timestamp = match format {
                0 => header.field,
                _ => stream.timestamp.wrapping_add(header.field),
            };
            stream.delta = header.field;
            stream.extended = header.extended;
            stream.length = header.length;
            stream.type_id = header.type_id;
            stream.stream_id = header.stream_id;
            stream.partial = Some(Vec::new());
        } else if format != 3 {
            return Err(ChunkError::MessageInsideMessage { csid });
        }
        let left = stream.left_of_message().min(self.chunk_size);
        self.current = Some((index, left));
        // What was read behind the header (see the extended field above) is payload.
        let read = self.header_bytes;
        self.header_bytes = 0;
        if header.bytes < read {
            let behind: Vec<u8> = self.header.get(header.bytes..read).unwrap_or_default().to_vec();
            let mut rest = behind.as_slice();
            self.append(&mut rest)?;
            // The front of the next header, where the message had less than these bytes left.
            self.header_bytes = rest.len();
            for (slot, byte) in self.header.iter_mut().zip(rest) {
                *slot = *byte;
            }
        }
        Ok(())
    }

    /// Appends to the chunk being read; `Some` when its message is whole.
    fn read_payload(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        self.append(input)?;
        let Some((index, left)) = self.current else { return Ok(None) };
        if left > 0 {
            return Ok(None);
        }
        self.current = None;
        let Some(stream) = self.streams.get_mut(index) else { return Ok(None) };
        if stream.left_of_message() > 0 {
            return Ok(None);
        }
        let payload = stream.partial.take().unwrap_or_default();
        self.unfinished_bytes = self.unfinished_bytes.saturating_sub(payload.capacity());
        Ok(Some(Message {
            timestamp_ms: stream.timestamp,
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            payload: Bytes::from(payload),
        }))
    }

    fn append(&mut self, input: &mut &[u8]) -> Result<(), ChunkError> {
        let Some((index, left)) = self.current else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(index) else { return Ok(()) };
        let (taken, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        if taken.is_empty() {
            return Ok(());
        }
        let partial = stream.partial.get_or_insert_default();
        let needed = partial.len() + taken.len();
        if needed > partial.capacity() {
            let before = partial.capacity();
            let wanted = needed.max(before * 2).max(FIRST_RESERVE_BYTES).min(stream.length.max(needed));
            if self.unfinished_bytes - before + wanted > self.budget.unfinished_bytes {
                return Err(ChunkError::TooMuchUnfinished { max: self.budget.unfinished_bytes });
            }
            partial.reserve_exact(wanted - partial.len());
            self.unfinished_bytes = self.unfinished_bytes - before + partial.capacity();
        }
        partial.extend_from_slice(taken);
        self.current = Some((index, left - taken.len()));
        Ok(())
    }

    /// Carries out the two messages that are about chunks themselves (5.4.1, 5.4.2).
    fn obey(&mut self, message: &Message) -> Result<bool, ChunkError> {
        const SET_CHUNK_SIZE: u8 = 1;
        const ABORT: u8 = 2;
        if message.type_id != SET_CHUNK_SIZE && message.type_id != ABORT {
            return Ok(false);
        }
        let value = message.payload.first_chunk().ok_or(ChunkError::ShortControlMessage)?;
        let value = u32::from_be_bytes(*value);
        if message.type_id == SET_CHUNK_SIZE {
            // The first bit has to be zero. All sizes above the limit are the same, for no message is
            // longer, and some encoders send the largest number there is (5.4.1).
            if value == 0 || value > i32::MAX.unsigned_abs() {
                return Err(ChunkError::BadChunkSize(value));
            }
            self.chunk_size = value.min(limits::RTMP_CHUNK_SIZE_MAX) as usize;
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == value) {
            let dropped = stream.partial.take().unwrap_or_default();
            self.unfinished_bytes = self.unfinished_bytes.saturating_sub(dropped.capacity());
        }
        Ok(true)
    }
}

fn check_length(header: &Header, budget: Budget) -> Result<(), ChunkError> {
    const AUDIO: u8 = 8;
    const VIDEO: u8 = 9;
    const AGGREGATE: u8 = 22;
    let max = match header.type_id {
        AUDIO | VIDEO | AGGREGATE => budget.media_message_bytes,
        _ => limits::RTMP_CONTROL_MESSAGE_BYTES_MAX,
    };
    if header.length > max {
        return Err(ChunkError::MessageTooLarge { bytes: header.length, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
