//! What time does: silent players, repeated flights, sender reports, SCTP's timers, the pace of replays.

use std::time::{Duration, Instant};

use base::{ExitReason, WallTime};

use super::{PlayerId, Shard, TrackRef};
use crate::rtcp::{self, SenderInfo};

const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const WAKE_INTERVAL_MIN: Duration = Duration::from_micros(100);
/// Seconds from 1900, NTP's epoch, to 1970.
const NTP_EPOCH_S: u64 = 2_208_988_800;

impl Shard {
    /// When [`Shard::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due. `wall` is the wall clock's time at `now`; the first one is kept.
    pub fn handle_timeout(&mut self, now: Instant, wall: WallTime) {
        self.wall.get_or_insert((now, wall));
        while let Some(id) = self.timers.pop(now) {
            self.look_at(id, now);
        }
    }

    fn look_at(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        player.wake = None;
        if player.deadline() <= now {
            self.end_and_tell(id, ExitReason::TimedOut, now);
            return;
        }
        if self.dtls.handle_timeout(&mut player.dtls, now).is_err() {
            self.counters.dtls_failed += 1;
            self.end_and_tell(id, ExitReason::TimedOut, now);
            return;
        }
        self.collect_dtls();
        self.handle_data_timeout(id, now);
        self.send_reports(id, now);
        let Some(player) = self.players.get_mut(id.0) else { return };
        for (index, track) in player.tracks.iter_mut().enumerate() {
            track.expire_stamps(now);
            if track.paced_until.is_some_and(|at| at <= now) {
                self.ready.push(track, TrackRef { player: id, track: index });
            }
        }
        // Whatever is still due has had its turn; looking again at once would not end.
        let at = player.next_wake(self.dtls.poll_timeout(&player.dtls)).max(now + WAKE_INTERVAL_MIN);
        self.timers.wake(id, &mut player.wake, at);
    }

    /// The wall clock in NTP format, once it was told.
    pub(super) fn ntp(&self, now: Instant) -> Option<u64> {
        let (at, wall) = self.wall?;
        let since_epoch = Duration::from_millis(wall.as_millis()) + now.saturating_duration_since(at);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Some((since_epoch.as_secs().wrapping_add(NTP_EPOCH_S)) << 32 | fraction)
    }

    /// What a sender report of a track would say now; `None` before anything is known of its clock.
    fn sender_info(&self, id: PlayerId, track: usize, now: Instant) -> Option<SenderInfo> {
        let player = self.players.get(id.0)?;
        let track = player.tracks.get(track).filter(|track| track.payload_type.is_some())?;
        let (media, at) = self.streams.get(player.stream)?.anchor?;
        let ticks = media.plus(now.saturating_duration_since(at)).as_ticks(track.clock_rate());
        Some(SenderInfo {
            ssrc: track.ssrc,
            ntp: self.ntp(now)?,
            timestamp: track.timestamp(ticks),
            packets: track.packets as u32,
            bytes: track.payload_bytes as u32,
        })
    }

    fn send_reports(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        if player.next_report.is_none_or(|at| at > now) {
            return;
        }
        player.next_report = Some(now + REPORT_INTERVAL);
        for track in 0..player.tracks.len() {
            if let Some(info) = self.sender_info(id, track, now) {
                self.send_compound(id, |cname| rtcp::sender_report(&info, cname));
            }
        }
    }

    /// Ends the tracks of a player towards it.
    pub(super) fn say_goodbye(&mut self, id: PlayerId, now: Instant) {
        let tracks = self.players.get(id.0).map_or(0, |player| player.tracks.len());
        for track in 0..tracks {
            if let Some(info) = self.sender_info(id, track, now) {
                self.send_compound(id, |cname| rtcp::goodbye(&info, cname));
            }
        }
    }

    fn send_compound(
        &mut self,
        id: PlayerId,
        make: impl FnOnce(&str) -> Result<bytes::BytesMut, rtc_shared::error::Error>,
    ) {
        let Some(player) = self.players.get_mut(id.0).filter(|player| player.started) else { return };
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return };
        // Neither fails with a valid name and keys.
        if let Ok(sealed) = make(&player.cname).and_then(|compound| session.srtcp.seal(&compound)) {
            self.push_control(route, sealed.to_vec());
        }
    }
}
