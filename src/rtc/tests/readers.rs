//! The fuzz entry points over random and broken input: no input may panic.

use base::{Randomness, SeededRandomness};

use crate::fuzzing;

fn each(data: &[u8]) {
    fuzzing::stun(data);
    fuzzing::sdp_answer(data);
    fuzzing::client_hello(data);
    fuzzing::rtcp(data);
}

#[test]
fn random_bytes_are_survived() {
    let random = SeededRandomness::new(7);
    for round in 0..20_000_usize {
        let mut data = vec![0; round % 300];
        random.fill(&mut data);
        match round % 4 {
            0 => data.splice(..0, [0x16, 0xfe, 0xfd, 0, 0]).for_each(drop),
            1 => data.splice(..0, [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42]).for_each(drop),
            2 => data.splice(..0, *b"v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=").for_each(drop),
            _ => data.splice(..0, [0x81, 201, 0, 7]).for_each(drop),
        }
        each(&data);
    }
}
