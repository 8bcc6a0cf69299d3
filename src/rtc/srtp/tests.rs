use rtc_crypto::{RTCCryptoProvider, SecretVec};
use rtc_srtp::context::Context;
use rtc_srtp::option::srtp_replay_protection;
use std::sync::Arc;

use super::*;

fn provider() -> Arc<dyn RTCCryptoProvider> {
    rtc_crypto::default_provider().unwrap()
}

fn keys(profile: Profile) -> SrtpKeys {
    let material = (0..profile.material_bytes()).map(|i| (i * 7 + 3) as u8).collect();
    SrtpKeys::new(profile, SecretVec::new(material)).unwrap()
}

fn header(index: u64) -> RtpHeader {
    RtpHeader {
        index,
        timestamp: 90_000,
        ssrc: 0xdead_beef,
        payload_type: 96,
        marker: true,
        playout_delay: None,
    }
}

/// What the peer does with our packets.
fn peer(keys: &SrtpKeys) -> Context {
    Context::new(
        keys.local_key(),
        keys.local_salt(),
        keys.profile().context_profile(),
        Some(srtp_replay_protection(64)),
        None,
        provider().crypto(),
    )
    .unwrap()
}

#[test]
fn derivation_gives_the_vectors_of_rfc_3711_b_3() {
    let key =
        [0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39];
    let salt = [0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6];
    let provider = provider();
    let cipher: [u8; 16] = derive(&key, &salt, Label::Encryption, provider.crypto()).unwrap();
    assert_eq!(
        cipher,
        [0xC6, 0x1E, 0x7A, 0x93, 0x74, 0x4F, 0x39, 0xEE, 0x10, 0x73, 0x4A, 0xFE, 0x3F, 0xF7, 0xA0, 0x87]
    );
    let salting: [u8; 14] = derive(&key, &salt, Label::Salt, provider.crypto()).unwrap();
    assert_eq!(salting, [0x30, 0xCB, 0xBC, 0x08, 0x86, 0x3D, 0x8C, 0x85, 0xD4, 0x9D, 0xB3, 0x4A, 0x9A, 0xE1]);
    let auth: [u8; 20] = derive(&key, &salt, Label::Authentication, provider.crypto()).unwrap();
    assert_eq!(auth[..8], [0xCE, 0xBE, 0x32, 0x1F, 0x6F, 0xF7, 0x71, 0x6B]);
    assert_eq!(auth[16..], [0x6D, 0x38, 0xBA, 0xA4]);
}

#[test]
fn another_implementation_opens_what_is_sealed_also_over_a_sequence_wrap() {
    for profile in [Profile::Gcm, Profile::Cm] {
        let keys = keys(profile);
        let mut sealer = RtpSealer::new(&keys, provider().crypto()).unwrap();
        let mut peer = peer(&keys);
        for index in 0xffe0..0x1_0020_u64 {
            let mut out = vec![1, 2, 3];
            let payload = vec![index as u8; 100];
            sealer.seal(&header(index), &payload, &mut out).unwrap();
            assert_eq!(out.len(), 3 + RTP_HEADER_BYTES + payload.len() + sealer.tag_bytes());
            let opened = peer.decrypt_rtp(&out[3..]).unwrap();
            assert_eq!(opened[RTP_HEADER_BYTES..], payload[..], "{profile:?} {index:#x}");
            assert_eq!(opened[1], 0x80 | 96);
            assert_eq!(opened[2..4], (index as u16).to_be_bytes());
        }
    }
}

#[test]
fn a_header_extension_is_authentic_and_in_the_clear() {
    for profile in [Profile::Gcm, Profile::Cm] {
        let keys = keys(profile);
        let mut sealer = RtpSealer::new(&keys, provider().crypto()).unwrap();
        let header =
            RtpHeader { playout_delay: Some(PlayoutDelay { id: 1, least: 8, most: 1_000 }), ..header(7) };
        let mut out = Vec::new();
        sealer.seal(&header, &[9; 50], &mut out).unwrap();
        assert_eq!(out.len(), header.bytes() + 50 + sealer.tag_bytes());
        // RFC 8285 4.2: profile, one word, element 1 of three bytes: 8 and 1000 in 12 bits each.
        assert_eq!(out[12..20], [0xbe, 0xde, 0, 1, 0x12, 0x00, 0x83, 0xe8]);
        let opened = peer(&keys).decrypt_rtp(&out).unwrap();
        assert_eq!((opened[0], &opened[20..]), (0x90, &[9; 50][..]), "{profile:?}");
        out[19] ^= 1;
        assert!(peer(&keys).decrypt_rtp(&out).is_err(), "{profile:?}");
    }
}

#[test]
fn a_packet_sealed_again_is_the_same() {
    for profile in [Profile::Gcm, Profile::Cm] {
        let mut sealer = RtpSealer::new(&keys(profile), provider().crypto()).unwrap();
        let mut first = Vec::new();
        sealer.seal(&header(70_000), b"payload", &mut first).unwrap();
        sealer.seal(&header(70_001), b"another", &mut Vec::new()).unwrap();
        let mut again = Vec::new();
        sealer.seal(&header(70_000), b"payload", &mut again).unwrap();
        assert_eq!(first, again, "{profile:?}");
    }
}

#[test]
fn srtcp_is_opened_once_and_never_when_forged() {
    for profile in [Profile::Gcm, Profile::Cm] {
        let crypto = provider();
        let ours = keys(profile);
        let mut peer = Context::new(
            ours.remote_key(),
            ours.remote_salt(),
            profile.context_profile(),
            None,
            None,
            crypto.crypto(),
        )
        .unwrap();
        let mut srtcp = Srtcp::new(keys(profile), crypto.crypto()).unwrap();
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let sealed = peer.encrypt_rtcp(&report).unwrap();
        for byte in 0..sealed.len() {
            let mut forged = sealed.to_vec();
            forged[byte] ^= 1;
            assert!(srtcp.open(&forged, crypto.crypto()).is_err(), "{profile:?} byte {byte}");
        }
        assert_eq!(srtcp.open(&sealed, crypto.crypto()).unwrap()[..], report);
        assert!(srtcp.open(&sealed, crypto.crypto()).is_err(), "a repeat");
        let next = peer.encrypt_rtcp(&report).unwrap();
        assert!(srtcp.open(&next, crypto.crypto()).is_ok());
    }
}

#[test]
fn forged_ssrcs_leave_no_state() {
    let crypto = provider();
    let mut srtcp = Srtcp::new(keys(Profile::Gcm), crypto.crypto()).unwrap();
    for ssrc in 0..10_000_u32 {
        let mut packet = vec![0x80, 201, 0, 1];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.resize(40, 0);
        assert!(srtcp.open(&packet, crypto.crypto()).is_err());
    }
    assert!(srtcp.senders.is_empty());
}
