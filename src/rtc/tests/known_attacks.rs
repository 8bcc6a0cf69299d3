//! Attacks that other media servers fell to, replayed against a whole shard. (Those by RTMP are in
//! `penstock-rtmp`'s tests, those by any port of a running node in `tests/`.)
//!
//! | class, where it was found | tests |
//! |---|---|
//! | length trusted or too small for what it covers: CVE-2025-49140 (pion/interceptor, RTP padding), CVE-2007-6036 and CVE-2013-6934 (live555), CVE-2026-55869 (libsrt, a control packet before authentication) | [`rtcp`]: `authentic_rtcp_that_lies_…`, `rtp_of_a_player_is_never_read`; [`paths`]: `stun_that_lies_…`; also `rtcp::tests`, `demux::tests`, `readers` |
//! | loop without end on a handshake fragment: CVE-2022-29190 (pion/dtls) | [`dtls`]: `fragments_that_lie_…`; `dtls::hello::tests` |
//! | buffers without bound: GHSA-cx94-mrg9-rq4j (pion/dtls, fragments) | [`dtls`]: `ten_thousand_fragments_…`, `handshake_messages_of_who_has_the_keys_…`; `connecting::a_flood_during_the_handshake_…`; [`rtcp`]: `reports_under_ever_new_names_…`, `a_datagram_asks_for_…` |
//! | application data of epoch 0: CVE-2019-20786 (pion/dtls) | [`dtls`]: `application_data_in_the_clear_…` |
//! | certificate without CertificateVerify: GHSA-w45j-f832-hxvh (pion/dtls) | [`dtls`]: `a_certificate_without_its_proof_…`, `a_client_without_a_certificate_…`; `connecting::a_peer_with_another_certificate_…` |
//! | protection weakened or left out: CVE-2026-55868 (libsrt) | [`dtls`]: `a_second_hello_cannot_weaken_…`; [`rtcp`]: `rtcp_in_the_clear_…`; `connecting::a_client_without_a_common_profile_…` |
//! | renegotiation and changes of keys that nobody agreed on | [`dtls`]: `renegotiation_…`, `a_change_of_keys_…` |
//! | ended by who has no key | [`dtls`]: `alerts_in_the_clear_…` |
//! | ClientHello race: CVE-2023-51443 (FreeSWITCH), Asterisk, RTPEngine | [`paths`]: `a_hello_from_where_no_check_came_…`, `a_hello_sent_again_…`; `connecting::dtls_from_an_address_…` |
//! | no STUN integrity, no user name, no fingerprint: OvenMediaEngine #2086, #2107 | [`paths`]: `stun_without_proof_…`; `ice::tests`; `connecting::checks_with_a_wrong_password_…`; `addresses` |
//! | packets sent again | `recovering::a_replayed_report_is_ignored`; `addresses::a_check_sent_again_…`; `srtp::tests` |
//! | use after the end: Janus CVE-2020-10573 to 10577, SRS #4290 | [`paths`]: `what_comes_after_the_end_…` |
//!
//! Not of WebRTC play: command injection by the API, the panel's scripts, file parsers.

mod dtls;
mod paths;
mod rtcp;

use std::time::Duration;

use base::ExitReason;

use super::client::frames;
use super::world::World;
use crate::PlayerEvent;

/// The player of client 0 sees every frame, is still heard when it says goodbye, and nobody was ended before.
fn lives_undisturbed(world: &mut World) {
    world.settle();
    world.run(Duration::from_millis(300));
    let ended = |event: &(_, PlayerEvent)| matches!(event.1, PlayerEvent::Ended(_));
    assert!(!world.events.iter().any(ended), "{:?}", world.events);
    let seen = frames(&world.clients[0].video);
    assert_eq!(seen.last().unwrap().1.last(), world.written.last(), "the newest frame came");
    let now = world.now;
    world.clients[0].close(now);
    world.settle();
    assert!(
        matches!(world.events.last(), Some((_, PlayerEvent::Ended(ExitReason::PeerClosed)))),
        "DTLS is still read: {:?}",
        world.events
    );
}
