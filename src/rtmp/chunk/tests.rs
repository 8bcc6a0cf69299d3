use proptest::prelude::*;

use super::*;
use crate::testing::chunks;

fn read_all(reader: &mut Reader, mut input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
        messages.push(message);
    }
    assert!(input.is_empty());
    Ok(messages)
}

fn read(input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    read_all(&mut Reader::new(), input)
}

fn summary(messages: &[Message]) -> Vec<(u32, u8, usize)> {
    messages.iter().map(|message| (message.timestamp_ms, message.type_id, message.payload.len())).collect()
}

#[test]
fn a_message_of_many_chunks_is_put_together() {
    let payload: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    for csid in [2, 63, 64, 319, 320, 65_599] {
        let messages = read(&chunks(csid, 7, 9, &payload, 128)).unwrap();
        assert_eq!(
            messages,
            [Message { timestamp_ms: 7, type_id: 9, stream_id: 1, payload: payload.clone().into() }],
            "{csid}"
        );
    }
}

#[test]
fn an_audio_chunk_inside_an_unfinished_video_message_mixes_nothing() {
    let video = chunks(4, 40, 9, &[b'v'; 300], 128);
    let audio = chunks(5, 33, 8, &[b'a'; 200], 128);
    // Headers are 12 bytes, then 1: video's first chunk, audio's first, the rest of each in turn.
    let mut bytes = video[..140].to_vec();
    bytes.extend(&audio[..140]);
    bytes.extend(&video[140..269]);
    bytes.extend(&audio[140..]);
    bytes.extend(&video[269..]);
    let messages = read(&bytes).unwrap();
    assert_eq!(summary(&messages), [(33, 8, 200), (40, 9, 300)]);
    assert!(messages[0].payload.iter().all(|&byte| byte == b'a'));
    assert!(messages[1].payload.iter().all(|&byte| byte == b'v'));
}

#[test]
fn header_types_1_to_3_repeat_what_they_leave_out() {
    let mut bytes = chunks(4, 1_000, 9, b"abc", 128);
    bytes.extend([0x44, 0, 0, 40, 0, 0, 2, 8, b'd', b'e']); // type 1: +40, 2 bytes of audio
    bytes.extend([0x84, 0, 0, 20, b'f', b'g']); // type 2: +20
    bytes.extend([0xc4, b'h', b'i']); // type 3: +20 again
    bytes.extend([0xc4, b'j', b'k']);
    let messages = read(&bytes).unwrap();
    assert_eq!(
        summary(&messages),
        [(1_000, 9, 3), (1_040, 8, 2), (1_060, 8, 2), (1_080, 8, 2), (1_100, 8, 2)]
    );
    assert!(messages.iter().all(|message| message.stream_id == 1));
}

#[test]
fn extended_timestamps_are_read_with_and_without_their_repetition() {
    let time = 0x0123_4567;
    let payload: Vec<u8> = (0..300_u32).map(|byte| (byte % 251) as u8).collect();
    let repeated = chunks(4, time, 9, &payload, 128);
    let mut bare = repeated[..16 + 128].to_vec();
    for part in payload[128..].chunks(128) {
        bare.push(0xc4);
        bare.extend(part);
    }
    for bytes in [&repeated, &bare] {
        let messages = read(bytes).unwrap();
        assert_eq!(summary(&messages), [(time, 9, 300)]);
        assert_eq!(messages[0].payload, payload);
    }
    // A delta that needs the field, a type 3 header that repeats it, and time going round.
    let mut bytes = chunks(4, u32::MAX - 10, 8, b"a", 128);
    bytes.extend([0x84, 0xff, 0xff, 0xff, 1, 0, 0, 0, b'b']);
    bytes.extend([0xc4, 1, 0, 0, 0, b'c']);
    let times: Vec<u32> = read(&bytes).unwrap().iter().map(|message| message.timestamp_ms).collect();
    assert_eq!(times, [u32::MAX - 10, 0x00ff_fff5, 0x01ff_fff5]);
}

#[test]
fn a_bare_chunk_shorter_than_the_time_it_leaves_out_is_payload_too() {
    let time = 0x0123_4567;
    for length in 129..=132 {
        let payload: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let repeated = chunks(4, time, 9, &payload, 128);
        let mut bare = repeated[..16 + 128].to_vec();
        bare.push(0xc4);
        bare.extend(&payload[128..]);
        let next = chunks(5, 7, 8, b"abc", 128);
        for mut bytes in [repeated, bare] {
            bytes.extend(&next);
            let messages = read(&bytes).unwrap();
            assert_eq!(summary(&messages), [(time, 9, payload.len()), (7, 8, 3)], "{length}");
            assert_eq!(messages[0].payload, payload);
        }
    }
    // The time itself instead of the delta of the header.
    let mut bytes = chunks(4, 0x0100_0000, 9, b"a", 128);
    bytes.extend([0x44, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0]);
    bytes.extend([1; 128]);
    bytes.extend([0xc4, 2, 0, 0, 0]);
    bytes.extend([1; 72]);
    assert_eq!(summary(&read(&bytes).unwrap()), [(0x0100_0000, 9, 1), (0x0200_0000, 9, 200)]);
}

#[test]
fn every_chunk_size_of_31_bits_is_taken() {
    let payload: Vec<u8> = (0..700_u32).map(|byte| (byte % 251) as u8).collect();
    for size in [1_u32, 2, 127, 699, 700, 65_536, 16_777_215, 16_777_216, 0x7fff_ffff] {
        let mut bytes = chunks(2, 0, 1, &size.to_be_bytes(), 128);
        bytes.extend(chunks(4, 40, 9, &payload, size as usize));
        let messages = read(&bytes).unwrap();
        assert_eq!(summary(&messages), [(40, 9, 700)], "{size}");
        assert_eq!(messages[0].payload, payload);
    }
}

#[test]
fn set_chunk_size_and_abort_are_obeyed() {
    let mut bytes = chunks(2, 0, 1, &1_000_u32.to_be_bytes(), 128);
    bytes.extend(chunks(4, 1, 9, &[1; 900], 1_000));
    // 128 bytes of a message that is then given up, and another in its place.
    bytes.extend(&chunks(4, 2, 9, &[2; 2_000], 1_000)[..1_012]);
    bytes.extend(chunks(2, 0, 2, &4_u32.to_be_bytes(), 128));
    bytes.extend(chunks(4, 3, 9, &[3; 10], 1_000));
    let mut reader = Reader::new();
    let messages = read_all(&mut reader, &bytes).unwrap();
    assert_eq!(summary(&messages), [(1, 9, 900), (3, 9, 10)]);
    assert_eq!(reader.unfinished_bytes, 0);
    for size in [0, 0x8000_0000, u32::MAX] {
        assert_eq!(read(&chunks(2, 0, 1, &size.to_be_bytes(), 128)), Err(ChunkError::BadChunkSize(size)));
    }
    assert_eq!(read(&chunks(2, 0, 1, &[0, 1], 128)), Err(ChunkError::ShortControlMessage));
}

#[test]
fn an_announced_length_reserves_nothing_and_is_held_to_its_limit() {
    let mut bytes = chunks(4, 0, 9, &[], 128);
    bytes[4..7].copy_from_slice(&[0xff, 0xff, 0xff]);
    let refused =
        ChunkError::MessageTooLarge { bytes: 16_777_215, max: limits::RTMP_MESSAGE_BYTES_BEFORE_PUBLISH_MAX };
    assert_eq!(read(&bytes), Err(refused));
    assert!(refused.is_limit());

    bytes[4..7].copy_from_slice(&[0x7f, 0xff, 0xff]);
    let mut reader = Reader::new();
    reader.trust();
    assert_eq!(read_all(&mut reader, &bytes), Ok(vec![]));
    assert_eq!(reader.unfinished_bytes, 0);
    assert_eq!(read_all(&mut reader, &[1]), Ok(vec![]));
    assert_eq!(reader.unfinished_bytes, FIRST_RESERVE_BYTES);
    // Being let in does not make room for a huge command.
    bytes[7] = 20;
    bytes[0] = 6;
    let mut reader = Reader::new();
    reader.trust();
    assert!(matches!(read_all(&mut reader, &bytes), Err(ChunkError::MessageTooLarge { .. })));
}

#[test]
fn a_flood_of_chunk_streams_ends_at_their_limit() {
    let mut reader = Reader::new();
    for csid in 2..66 {
        assert_eq!(read_all(&mut reader, &chunks(csid, 0, 8, b"x", 128)).unwrap().len(), 1);
    }
    assert_eq!(read_all(&mut reader, &chunks(66, 0, 8, b"x", 128)), Err(ChunkError::TooManyChunkStreams));
}

#[test]
fn unfinished_messages_share_one_budget() {
    let unfinished = |csid| chunks(csid, 0, 9, &[0; 60_000], 60_000)[..50_000].to_vec();
    let mut reader = Reader::new();
    read_all(&mut reader, &chunks(2, 0, 1, &60_000_u32.to_be_bytes(), 128)).unwrap();
    read_all(&mut reader, &unfinished(4)).unwrap_or_default();
    let mut result = Ok(vec![]);
    for csid in 10..20 {
        result = result.and_then(|_| {
            let bytes = chunks(csid, 0, 9, &[0; 60_000], 30_000);
            read_all(&mut reader, &bytes[..30_012])
        });
        // Only a chunk that is whole lets the next chunk stream begin.
        reader.current = None;
    }
    let max = limits::RTMP_BYTES_BEFORE_CONNECT_MAX;
    assert_eq!(result, Err(ChunkError::TooMuchUnfinished { max }));
    assert!(reader.unfinished_bytes <= max);
}

#[test]
fn headers_that_repeat_nothing_or_interrupt_a_message_are_refused() {
    assert_eq!(read(&[0xc4]), Err(ChunkError::NothingToRepeat { csid: 4, format: 3 }));
    assert_eq!(read(&[0x84, 0, 0, 0]), Err(ChunkError::NothingToRepeat { csid: 4, format: 2 }));
    let mut bytes = chunks(4, 0, 9, &[0; 200], 128)[..140].to_vec();
    bytes.extend(chunks(4, 0, 9, &[0; 200], 128));
    assert_eq!(read(&bytes), Err(ChunkError::MessageInsideMessage { csid: 4 }));
}

#[test]
fn a_stream_cut_anywhere_waits_for_the_rest() {
    let mut bytes = chunks(4, 0x0100_0000, 9, &[9; 300], 128);
    bytes.extend(chunks(320, 5, 8, &[8; 20], 128));
    let whole = read(&bytes).unwrap();
    for cut in 0..=bytes.len() {
        let mut reader = Reader::new();
        let mut messages = read_all(&mut reader, &bytes[..cut]).unwrap();
        messages.extend(read_all(&mut reader, &bytes[cut..]).unwrap());
        assert_eq!(messages, whole, "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn bytes_one_at_a_time_read_as_in_one_piece(
        messages in prop::collection::vec((2_u32..400, any::<u32>(), any::<bool>(), 0_usize..400), 1..8),
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = Vec::new();
        for (csid, timestamp, video, length) in messages {
            bytes.extend(chunks(csid, timestamp, if video { 9 } else { 8 }, &vec![7; length], 128));
        }
        bytes.extend(garbage);
        let collect = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut reader = Reader::new();
            let mut messages = Vec::new();
            for mut piece in pieces {
                loop {
                    match reader.read(&mut piece) {
                        Ok(Some(message)) => messages.push(message),
                        Ok(None) => break,
                        Err(error) => return (messages, Some(error)),
                    }
                }
            }
            (messages, None)
        };
        prop_assert_eq!(collect(&mut bytes.chunks(1)), collect(&mut std::iter::once(&bytes[..])));
    }
}
