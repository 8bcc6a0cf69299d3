//! What a viewer saw and heard, and how it is judged.

use serde::Deserialize;
use serde_json::Value;

use crate::load::LoadReport;
use crate::turn::skipped;

/// The numbers of `measure.js`, counted from 2 s after the first picture: before that a viewer who joined
/// in the middle of a group of pictures sees the past in fast motion.
#[derive(Clone, Debug, Deserialize)]
pub struct Measurement {
    /// Different frame numbers from the first to the last one shown that were decoded in time, shown or not: a
    /// screen shows two pictures as one where both fall into its moment.
    pub frames_seen: u32,
    /// Different frame numbers that were shown.
    pub frames_shown: u32,
    /// The lowest of them; `None` when no frame could be read.
    pub first_frame: Option<u32>,
    /// The highest of them.
    pub last_frame: Option<u32>,
    /// Numbers between the two that were not seen, the first 50.
    pub missing: Vec<u32>,
    /// Frames shown whose code could not be read: damaged, or not the marker.
    pub unreadable: u32,
    /// Frames the browser says it showed, whether the script came to look at them or not.
    pub presented: u32,
    /// From the first to the last frame counted, in seconds.
    pub seconds: f64,
    /// From the first picture to the first one younger than 250 ms; `None` when there was none.
    pub live_after_ms: Option<f64>,
    /// Times longer than 200 ms without a new frame; the last one may still go on.
    pub gaps: Vec<Gap>,
    /// When an older frame was shown than before, the first 50.
    pub returns: Vec<Return>,
    /// How it began.
    pub joining: Joining,
    /// Age of a frame when it is shown.
    pub glass_to_glass_ms: Spread,
    /// When a beep was heard less when its flash was shown: positive is sound late.
    pub sound_minus_picture: Offsets,
    /// The same by the receiver's own estimate from sender reports; without the loudspeaker and the screen.
    pub playout_difference: PlayoutDifference,
    /// Why sound could not be listened to.
    pub sound_problem: Option<String>,
    /// Why decoded pictures could not be counted; those shown are, then.
    pub count_problem: Option<String>,
    /// The most the page's main thread was held up: frames may have been shown without being looked at.
    pub script_stall_max_ms: f64,
    /// Width and height of the picture in pixels.
    pub video_size: (usize, usize),
    /// Mean time in the jitter buffers.
    pub jitter_buffer_ms: Value,
    /// WebRTC's counters of the video receiver; null without one.
    pub video_stats: Value,
    /// WebRTC's counters of the audio receiver; null without one.
    pub audio_stats: Value,
}

/// How a viewer's connection became a live picture. Times are counted from the moment the page is told that
/// it is connected; `None` without a connection or a picture.
#[derive(Clone, Debug, Deserialize)]
pub struct Joining {
    /// The frame that was made when the connection stood, by the clock in the frames.
    pub live_frame: Option<f64>,
    /// The first frame that was shown.
    pub first_frame: Option<u32>,
    /// When the first picture was shown, ms.
    pub first_picture_ms: Option<f64>,
    /// When a frame no older than frames are afterwards, and 60 ms, was shown, ms.
    pub live_ms: Option<f64>,
    /// As [`Measurement::gaps`], but from the first picture on.
    pub gaps: Vec<Gap>,
}

/// A time without a new frame.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Gap {
    /// When it began, in ms from the first picture.
    pub at_ms: f64,
    /// How long it was in ms.
    pub length_ms: f64,
    /// Frames the browser showed by its end; more than one: it was the script that was held up.
    pub presented: u32,
    /// The last frame seen before it.
    pub before: Option<u32>,
    /// The first frame seen after it; `None` while it goes on.
    pub after: Option<u32>,
}

/// An older frame after a newer one: a group of pictures begins anew.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Return {
    /// When the older one was shown, in ms from the first picture.
    pub at_ms: f64,
    /// The newer frame.
    pub before: u32,
    /// The older frame.
    pub after: u32,
}

/// How a quantity is spread, in ms; `None` without any value.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Spread {
    /// Half are below.
    pub median: Option<f64>,
    /// 95 of 100 are below.
    pub p95: Option<f64>,
    /// The largest.
    pub worst: Option<f64>,
}

/// Flashes and their beeps: those whose first picture was shown by itself, behind the one before it; where that are less than
/// half of all, all, give or take a picture.
#[derive(Clone, Debug, Deserialize)]
pub struct Offsets {
    /// Pairs of a flash and a beep.
    pub pairs: u32,
    /// Beeps heard, with or without a flash.
    pub beeps: u32,
    /// From where the sound is listened to until the loudspeaker, by the browser's account; part of the
    /// differences.
    pub loudspeaker_delay_ms: f64,
    /// Half of the differences are below.
    pub median_ms: Option<f64>,
    /// The one furthest from 0.
    pub worst_ms: Option<f64>,
    /// The first 50.
    pub list_ms: Vec<f64>,
}

/// Estimate from sender reports.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PlayoutDifference {
    /// How often it was asked for.
    pub samples: u32,
    /// Half are below, in ms.
    pub median_ms: Option<f64>,
}

/// A browser brings its sound and its picture together in small steps. In a run of fewer seconds some of the way may
/// be left.
pub const SYNC_SETTLES_S: f64 = 60.0;
/// The most they may be apart meanwhile, in ms: beyond, viewers see it (ITU-R BT.1359-1 finds 45 ms of sound in front
/// and 125 ms behind just detectable, 90 and 185 just acceptable).
const SYNC_OFFSET_MAX_MS: f64 = 90.0;
/// What may be beyond the browser's own account besides, in ms, while it synchronizes: a short run has a few flashes only, each
/// known to a picture of the screen (17 ms), against a loudspeaker whose delay is told in blocks of 10 ms; and the account is
/// smoothed over seconds in which the sound moves.
const SYNC_ACCOUNT_ERROR_MS: f64 = 20.0;

/// What a viewer on an unloaded machine is promised.
#[derive(Clone, Copy, Debug)]
pub struct ViewerPromise {
    /// Share of the published frames that are seen, from the first to the last shown.
    pub seen_share_min: f64,
    /// Share of them that the screen shows by themselves.
    pub shown_share_min: f64,
    /// The longest freeze in ms from second 2 on.
    pub freeze_max_ms: f64,
    /// The most a flash and its beep are apart in ms, beyond what a browser knows to be apart that is still
    /// synchronizing (in the first minute); `None`: there is no sound.
    pub sound_offset_max_ms: Option<f64>,
    /// Median age of a frame when it is shown in ms; `None`: it was made long before it is published.
    pub glass_to_glass_median_max_ms: Option<f64>,
    /// How long the viewer has to have watched, in seconds.
    pub seconds_min: f64,
}

/// A judged measurement.
#[derive(Debug)]
pub enum Verdict {
    /// Every promise held.
    Held,
    /// Promises were broken, and the machine was ours.
    Broken(Vec<String>),
    /// Promises were broken, but other programs loaded the machine: nothing is known.
    Invalid {
        /// Why the run does not count.
        excuse: String,
        /// What was broken.
        broken: Vec<String>,
    },
}

impl Measurement {
    /// Share of the published frame numbers that were seen, between the first and the last one shown.
    ///
    /// The marker publishes every number, so that the range is what was published.
    pub fn seen_share(&self) -> f64 {
        self.share(self.frames_seen)
    }

    /// Share of the published frame numbers that the screen showed.
    pub fn shown_share(&self) -> f64 {
        self.share(self.frames_shown)
    }

    fn share(&self, frames: u32) -> f64 {
        match (self.first_frame, self.last_frame) {
            (Some(first), Some(last)) if last >= first => f64::from(frames) / f64::from(last - first + 1),
            _ => 0.0,
        }
    }

    /// A counter of the video receiver; 0 when it does not exist.
    pub fn video_counter(&self, name: &str) -> u64 {
        self.video_stats.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Judges what was seen.
    pub fn judge(&self, promise: ViewerPromise, load: &LoadReport) -> Verdict {
        Verdict::new(self.broken(promise), load)
    }

    fn broken(&self, promise: ViewerPromise) -> Vec<String> {
        let mut broken = Vec::new();
        let mut hold = |held: bool, what: String| {
            if !held {
                broken.push(what);
            }
        };
        for (share, share_min, what) in [
            (self.seen_share(), promise.seen_share_min, "seen"),
            (self.shown_share(), promise.shown_share_min, "shown by themselves"),
        ] {
            hold(
                share >= share_min,
                format!(
                    "{:.2} % of the published frames were {what}, promised are {:.0} % (missing {:?} …)",
                    share * 100.0,
                    share_min * 100.0,
                    self.missing
                ),
            );
        }
        if let Some(problem) = &self.count_problem {
            hold(false, format!("the decoded pictures could not be counted: {problem}"));
        }
        hold(
            self.seconds >= promise.seconds_min,
            format!("watched for {} s only of {}", self.seconds, promise.seconds_min),
        );
        for gap in self.gaps.iter().filter(|gap| gap.length_ms > promise.freeze_max_ms) {
            hold(false, format!("{gap:?} is longer than {} ms", promise.freeze_max_ms));
        }
        if let Some(median_max) = promise.glass_to_glass_median_max_ms {
            hold(
                self.glass_to_glass_ms.median.is_some_and(|median| median <= median_max),
                format!("glass to glass {:?}, promised median is {median_max} ms", self.glass_to_glass_ms),
            );
        }
        let Some(offset_max) = promise.sound_offset_max_ms else { return broken };
        if let Some(problem) = &self.sound_problem {
            hold(false, format!("the sound could not be listened to: {problem}"));
        }
        // A flash can be timed where its first picture is shown, and the one before it.
        let timed = 0.8 * promise.shown_share_min.powi(2);
        let pairs_min = (promise.seconds_min - 2.0) / crate::FLASH_PERIOD.as_secs_f64() * timed;
        let sound = &self.sound_minus_picture;
        hold(
            f64::from(sound.pairs) >= pairs_min.max(1.0),
            format!("{} flashes with a beep in {} s, {} beeps heard", sound.pairs, self.seconds, sound.beeps),
        );
        // In a short run the browser's synchronization is still on its way; how far it is off, it says itself.
        let by_browser = self.playout_difference.median_ms.unwrap_or(0.0);
        let (in_all_max, beyond_max) = if self.seconds < SYNC_SETTLES_S {
            (offset_max.max(SYNC_OFFSET_MAX_MS), offset_max + SYNC_ACCOUNT_ERROR_MS)
        } else {
            (offset_max, offset_max)
        };
        hold(
            sound.median_ms.is_some_and(|ms| ms.abs() <= in_all_max && (ms - by_browser).abs() <= beyond_max),
            format!(
                "beep less flash: {sound:?}, {by_browser} ms of it by the browser's own account; promised are {beyond_max} ms beyond that, {in_all_max} in all"
            ),
        );
        broken
    }
}

impl Verdict {
    /// Judges by what was broken.
    pub fn new(broken: Vec<String>, load: &LoadReport) -> Self {
        if broken.is_empty() {
            return Self::Held;
        }
        match load.excuse() {
            Some(excuse) => Self::Invalid { excuse, broken },
            None => Self::Broken(broken),
        }
    }

    /// Judges by promises, each with whether it is broken; `facts` stand behind each that is.
    pub fn of<S: std::fmt::Display>(
        promises: impl IntoIterator<Item = (bool, S)>,
        facts: &str,
        load: &LoadReport,
    ) -> Self {
        let broken = promises.into_iter().filter(|(broken, _)| *broken);
        Self::new(broken.map(|(_, what)| format!("{what}{facts}")).collect(), load)
    }

    /// `Ok` when the promise held. A run that says nothing counts as skipped, and says so loudly.
    ///
    /// # Errors
    /// The promise was broken.
    pub fn into_result(self) -> anyhow::Result<()> {
        match self {
            Self::Held => Ok(()),
            Self::Broken(broken) => Err(anyhow::anyhow!("broken: {}", broken.join("; "))),
            Self::Invalid { excuse, broken } => {
                let test = std::thread::current();
                skipped(
                    test.name().unwrap_or("a measurement"),
                    &format!("{excuse}; what was measured: {}", broken.join("; ")),
                );
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROMISE: ViewerPromise = ViewerPromise {
        seen_share_min: 0.99,
        shown_share_min: 0.9,
        freeze_max_ms: 200.0,
        sound_offset_max_ms: Some(40.0),
        glass_to_glass_median_max_ms: Some(150.0),
        seconds_min: 60.0,
    };

    fn good() -> Measurement {
        serde_json::from_value(json!({
            "frames_seen": 1800, "frames_shown": 1700, "first_frame": 100, "last_frame": 1899, "missing": [], "unreadable": 0,
            "presented": 1800, "seconds": 60.1,
            "live_after_ms": 300.0, "gaps": [], "returns": [],
            "joining": { "live_frame": 99.5, "first_frame": 60, "first_picture_ms": 90.0, "live_ms": 400.0, "gaps": [] },
            "glass_to_glass_ms": { "median": 80.0, "p95": 100.0, "worst": 140.0 },
            "sound_minus_picture": { "pairs": 28, "beeps": 30, "loudspeaker_delay_ms": 30.0, "median_ms": 12.0, "worst_ms": -31.0, "list_ms": [12.0] },
            "playout_difference": { "samples": 100, "median_ms": 10.0 },
            "sound_problem": null, "count_problem": null, "script_stall_max_ms": 4.0, "video_size": [1280, 720],
            "jitter_buffer_ms": {}, "video_stats": { "framesDropped": 3 }, "audio_stats": null
        }))
        .unwrap()
    }

    fn broken(change: impl FnOnce(&mut Measurement)) -> Vec<String> {
        let mut measurement = good();
        change(&mut measurement);
        match measurement.judge(PROMISE, &LoadReport::default()) {
            Verdict::Broken(broken) => broken,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_promise_can_be_broken() {
        assert!(matches!(good().judge(PROMISE, &LoadReport::default()), Verdict::Held));
        assert!(broken(|m| m.frames_seen = 1781)[0].contains("98.94 %"));
        assert!(broken(|m| m.frames_shown = 1600)[0].contains("88.89 % of the published frames were shown"));
        assert!(broken(|m| m.count_problem = Some("no track".to_owned()))[0].contains("counted: no track"));
        assert!(broken(|m| m.first_frame = None)[0].contains("0.00 %"));
        assert!(broken(|m| m.seconds = 30.0)[0].contains("30 s"));
        assert!(
            broken(|m| m.gaps =
                vec![Gap { at_ms: 9.0, length_ms: 201.0, presented: 1, before: Some(9), after: Some(15) }])
                [0]
            .contains("201")
        );
        assert!(broken(|m| m.glass_to_glass_ms.median = Some(151.0))[0].contains("151"));
        assert!(broken(|m| m.glass_to_glass_ms.median = None)[0].contains("glass"));
        assert!(broken(|m| m.sound_minus_picture.median_ms = Some(-41.0))[0].contains("-41"));
        assert!(broken(|m| m.sound_minus_picture.pairs = 5)[0].contains("5 flashes"));
        assert!(broken(|m| m.sound_problem = Some("no track".to_owned()))[0].contains("no track"));
    }

    #[test]
    fn a_browser_that_is_still_synchronizing_is_told_from_wrong_timestamps() {
        let judge = |seconds: f64, offset: f64, by_browser: f64| {
            let mut short = good();
            short.seconds = seconds;
            short.sound_minus_picture.median_ms = Some(offset);
            short.playout_difference.median_ms = Some(by_browser);
            let promise = ViewerPromise { seconds_min: 9.0, ..PROMISE };
            matches!(short.judge(promise, &LoadReport::default()), Verdict::Held)
        };
        assert!(judge(9.0, -46.0, -57.0));
        assert!(judge(9.0, 42.4, -7.0));
        assert!(!judge(9.0, -61.0, 0.0));
        assert!(!judge(9.0, 0.0, -61.0));
        assert!(!judge(9.0, -91.0, -100.0));
        assert!(!judge(60.0, -46.0, -57.0));
        assert!(!judge(60.0, 39.0, -2.0));
    }

    #[test]
    fn a_loaded_machine_makes_a_broken_promise_invalid_and_nothing_else() {
        let load = LoadReport { foreign_mean: 0.5, ..LoadReport::default() };
        assert!(matches!(good().judge(PROMISE, &load), Verdict::Held));
        let mut bad = good();
        bad.frames_seen = 3;
        let verdict = bad.judge(PROMISE, &load);
        assert!(
            matches!(&verdict, Verdict::Invalid { excuse, broken } if excuse.starts_with("invalid") && broken.len() == 1)
        );
        verdict.into_result().unwrap();
        assert!(bad.judge(PROMISE, &LoadReport::default()).into_result().is_err());
    }
}
