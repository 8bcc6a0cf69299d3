//! What the players of a swarm saw, taken together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::SOUND_RATE;
use super::player::Player;
use super::spread::{Percentiles, Spread};
use crate::receiver::{Counts, Feedback};

/// The least share of its frames that a player at full rate has.
const FULL_RATE: f64 = 0.97;

/// What all players saw between the opening and the closing of the window, and how they joined.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Players that were asked to join.
    pub players: usize,
    /// Players that had media.
    pub joined: usize,
    /// Players that got at least 97 % of the frames due in the window.
    pub at_full_rate: usize,
    /// Why players ended, and how many for each reason.
    pub ended: BTreeMap<String, usize>,
    /// Length of the window, seconds.
    pub seconds: f64,
    /// Frames due to one player in the window.
    pub frames_due: f64,
    /// Whole frames of all players against frames due to all players asked to join; of what is replayed in fast
    /// motion only the time it fills counts.
    pub frames_share: f64,
    /// The same of the worst player; absent without players.
    pub frames_share_worst: Option<f64>,
    /// Counts of video, summed over players.
    pub video: Counts,
    /// Counts of sound, summed over players.
    pub audio: Counts,
    /// Packets that were missing when a later one came, against packets due.
    pub loss_share: f64,
    /// Packets that never came, against packets due.
    pub lost_share: f64,
    /// From `play` to the keys, milliseconds.
    pub connect_ms: Option<Percentiles>,
    /// From the first answered check to the first RTP packet, milliseconds.
    pub handshake_ms: Option<Percentiles>,
    /// From `play` to the first RTP packet, milliseconds.
    pub join_ms: Option<Percentiles>,
    /// How much later than it was sent a frame came whole to the players that open media, milliseconds.
    pub lag_ms: Option<Percentiles>,
    /// How much later than to the first player a frame came, milliseconds.
    pub fanout_ms: Option<Percentiles>,
    /// How much later sound came than the least late packet of the window, milliseconds.
    pub sound_delay_ms: Option<Percentiles>,
    /// The longest time without a whole frame, of each player, milliseconds.
    pub gap_ms: Option<Percentiles>,
    /// From the keys to the first whole frame, milliseconds.
    pub first_frame_ms: Option<Percentiles>,
    /// From the keys to the first frame that was sent less than 100 ms before, of the players that open media,
    /// milliseconds.
    pub live_ms: Option<Percentiles>,
    /// Players that had such a frame.
    pub live_players: usize,
    /// Feedback since the players began.
    pub feedback: Feedback,
    /// Messages that came by data channels, over all players.
    pub messages: u64,
    /// How much later than it was said a message came, milliseconds.
    pub message_ms: Option<Percentiles>,
    /// Packets that were decrypted and found authentic, by the players that do so.
    pub opened: u64,
    /// Frames in the window that were put together and known again.
    pub frames_known: u64,
    /// Frames in the window that were put together and never sent like that.
    pub frames_unknown: u64,
}

impl Summary {
    /// Frames that did not come, of those sent to players that were there: broken or left out.
    pub const fn frames_lost(&self) -> u64 {
        self.video.broken_frames + self.video.skipped_frames
    }
}

/// The sum, as long as it is being drawn.
#[derive(Default)]
pub(super) struct Sum {
    joined: usize,
    at_full_rate: usize,
    ended: BTreeMap<String, usize>,
    worst: Option<f64>,
    video: Counts,
    audio: Counts,
    connects: Spread,
    handshakes: Spread,
    joins: Spread,
    lags: Spread,
    fanouts: Spread,
    sounds: Vec<i32>,
    gaps: Spread,
    messages: u64,
    message_times: Spread,
    first_frames: Spread,
    lives: Spread,
    live_players: usize,
    feedback: Feedback,
    opened: u64,
    frames_known: u64,
    frames_unknown: u64,
}

impl Sum {
    pub(super) fn add(&mut self, player: &mut Player, now: Instant, due: f64) {
        let seen = player.close_window(now);
        let share = if due > 0.0 { seen.video.frames_filled() / due } else { 0.0 };
        self.worst = Some(self.worst.map_or(share, |worst| worst.min(share)));
        self.at_full_rate += usize::from(share >= FULL_RATE);
        self.video.add(&seen.video);
        self.audio.add(&seen.audio);
        self.lags.merge(&seen.lags);
        self.fanouts.merge(&seen.fanouts);
        self.sounds.extend(seen.sounds);
        self.messages += seen.messages;
        self.message_times.merge(&seen.message_times);
        self.frames_known += seen.known;
        self.frames_unknown += seen.unknown;
        if let Some(gap) = seen.gap {
            self.gaps.add(gap);
        }
        self.connects.extend(player.connect_time());
        self.handshakes.extend(player.handshake_time());
        self.first_frames.extend(player.first_frame_time());
        self.lives.extend(player.live_time());
        self.live_players += usize::from(player.live_time().is_some());
        let join = player.join_time();
        self.joined += usize::from(join.is_some());
        self.joins.extend(join);
        if let Some(reason) = player.ended() {
            *self.ended.entry(reason).or_default() += 1;
        }
        if let Some(receiver) = player.receiver() {
            let feedback = receiver.feedback();
            self.feedback.reports += feedback.reports;
            self.feedback.nacks += feedback.nacks;
            self.feedback.key_frames += feedback.key_frames;
            self.feedback.sender_reports += feedback.sender_reports;
            self.opened += receiver.opened();
        }
    }

    pub(super) fn summary(self, players: usize, seconds: f64, due: f64) -> Summary {
        let packets_due =
            (self.video.packets + self.audio.packets + self.video.lost + self.audio.lost) as f64;
        let of_packets = |count: u64| if packets_due > 0.0 { count as f64 / packets_due } else { 0.0 };
        let all_due = due * players as f64;
        Summary {
            players,
            joined: self.joined,
            at_full_rate: self.at_full_rate,
            ended: self.ended,
            seconds,
            frames_due: due,
            frames_share: if all_due > 0.0 { self.video.frames_filled() / all_due } else { 0.0 },
            frames_share_worst: self.worst,
            loss_share: of_packets(self.video.missed + self.audio.missed),
            lost_share: of_packets(self.video.lost + self.audio.lost),
            video: self.video,
            audio: self.audio,
            connect_ms: self.connects.percentiles_ms(),
            handshake_ms: self.handshakes.percentiles_ms(),
            join_ms: self.joins.percentiles_ms(),
            lag_ms: self.lags.percentiles_ms(),
            fanout_ms: self.fanouts.percentiles_ms(),
            sound_delay_ms: sound_delays(&self.sounds).percentiles_ms(),
            first_frame_ms: self.first_frames.percentiles_ms(),
            live_ms: self.lives.percentiles_ms(),
            live_players: self.live_players,
            gap_ms: self.gaps.percentiles_ms(),
            feedback: self.feedback,
            messages: self.messages,
            message_ms: self.message_times.percentiles_ms(),
            opened: self.opened,
            frames_known: self.frames_known,
            frames_unknown: self.frames_unknown,
        }
    }
}

/// How much later than the least late packet each one came; ticks of the sound's clock.
fn sound_delays(ticks: &[i32]) -> Spread {
    let least = ticks.iter().min().copied().unwrap_or_default();
    let mut spread = Spread::default();
    spread
        .extend(ticks.iter().map(|ticks| Duration::from_secs(u64::from(ticks.abs_diff(least))) / SOUND_RATE));
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_late_behind_the_least_late_packet() {
        let delays = sound_delays(&[-480, 0, 480, -480]);
        assert_eq!(delays.percentiles_ms().unwrap().max, 20.0);
        assert_eq!(sound_delays(&[]).percentiles_ms(), None);
    }
}
