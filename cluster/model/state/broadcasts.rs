//! Broadcasts: registered, live, over.

use std::sync::Arc;

use base::{AppName, StreamId, limits};

use super::{Changes, State, json_len};
use crate::broadcast::millis;
use crate::{Broadcast, BroadcastPatch, Change, Epoch, Heartbeat, Outcome, PublishFacts, Refusal, Status};

impl State {
    /// One broadcast.
    pub fn broadcast(&self, app: &AppName, stream: &StreamId) -> Option<&Arc<Broadcast>> {
        self.broadcasts.get(app, stream)
    }

    /// The broadcasts of an application in byte order of their ids, which is AMS's order.
    pub fn broadcasts(&self, app: &AppName) -> impl Iterator<Item = &Arc<Broadcast>> {
        self.broadcasts.of(app).map(|(_, broadcast)| broadcast)
    }

    /// The number of broadcasts of an application.
    pub fn broadcasts_len(&self, app: &AppName) -> usize {
        self.broadcasts.len_of(app)
    }

    pub(super) fn create(
        &mut self,
        app: AppName,
        stream: StreamId,
        broadcast: Broadcast,
        changes: Changes<'_>,
    ) -> Outcome {
        if self.broadcast(&app, &stream).is_some() {
            return Outcome::Exists;
        }
        if let Err(refusal) = self.room_for_broadcast(&app) {
            return Outcome::Refused(refusal);
        }
        let broadcast = Broadcast { stream_id: Some(stream.as_str().to_owned()), ..broadcast };
        self.change_if_small(app, stream, broadcast, changes, Outcome::Done)
    }

    pub(super) fn patch(
        &mut self,
        app: AppName,
        stream: StreamId,
        patch: &BroadcastPatch,
        changes: Changes<'_>,
    ) -> Outcome {
        let Some(before) = self.broadcast(&app, &stream) else {
            return Outcome::Absent;
        };
        match patch.applied_to(before) {
            Ok(after) => self.change_if_small(app, stream, after, changes, Outcome::Done),
            Err(_) => Outcome::Refused(Refusal::Malformed),
        }
    }

    pub(super) fn started(
        &mut self,
        app: AppName,
        stream: StreamId,
        facts: PublishFacts,
        epoch: Option<Epoch>,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Err(superseded) = self.check_epoch(&app, &stream, epoch) {
            return Outcome::Refused(superseded);
        }
        let now_ms = millis(self.now);
        let known = self.broadcast(&app, &stream).map(|broadcast| Broadcast::clone(broadcast));
        let created = known.is_none();
        if created && let Err(refusal) = self.room_for_broadcast(&app) {
            return Outcome::Refused(refusal);
        }
        let before = known.unwrap_or_else(|| Broadcast {
            stream_id: Some(stream.as_str().to_owned()),
            kind: Some("liveStream".to_owned()),
            zombi: true,
            date: now_ms,
            rtmp_url: Some(facts.rtmp_url),
            // Of a stream that is stored already no publisher says which room it is in.
            main_track_stream_id: facts.main_track.map(|room| room.as_str().to_owned()),
            ..Broadcast::default()
        });
        let goes_on = facts.goes_on && before.status == Status::Broadcasting;
        let before = Broadcast {
            status: Status::Broadcasting,
            publish_type: Some(facts.publish_type),
            origin_adress: Some(facts.origin),
            remote_ip: facts.remote_ip,
            user_agent: facts.user_agent.or_else(|| Broadcast::default().user_agent),
            name: facts.name.or_else(|| before.name.clone()),
            meta_data: facts.meta_data.or_else(|| before.meta_data.clone()),
            update_time: now_ms,
            ..before
        };
        let after = if goes_on {
            before
        } else {
            Broadcast {
                start_time: now_ms,
                width: 0,
                height: 0,
                duration: 0,
                received_bytes: 0,
                bitrate: 0,
                speed: crate::Ratio::default(),
                hls_viewer_count: 0,
                dash_viewer_count: 0,
                web_rtc_viewer_count: 0,
                rtmp_viewer_count: 0,
                ..before
            }
        };
        self.change_if_small(app, stream, after, changes, Outcome::Started { created })
    }

    pub(super) fn ended(
        &mut self,
        app: AppName,
        stream: StreamId,
        epoch: Option<Epoch>,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Err(superseded) = self.check_epoch(&app, &stream, epoch) {
            return Outcome::Refused(superseded);
        }
        match self.end_broadcast(app, stream, changes) {
            Some(removed) => Outcome::Ended { removed },
            None => Outcome::Absent,
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        app: AppName,
        stream: StreamId,
        heartbeat: &Heartbeat,
        epoch: Option<Epoch>,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Err(superseded) = self.check_epoch(&app, &stream, epoch) {
            return Outcome::Refused(superseded);
        }
        let before = self.broadcast(&app, &stream);
        let Some(after) = before.and_then(|before| before.reported(heartbeat, self.now)) else {
            return Outcome::Absent;
        };
        self.change_broadcast(app, stream, Some(after), changes);
        Outcome::Done
    }

    pub(super) fn reset(&mut self, changes: Changes<'_>) -> Outcome {
        let now_ms = millis(self.now);
        let mut left = self.broadcasts.all().filter(|(_, _, broadcast)| needs_reset(broadcast)).map(
            |(app, stream, broadcast)| {
                let after = (!broadcast.zombi).then(|| over(broadcast, now_ms));
                (app.clone(), stream.clone(), after)
            },
        );
        let rows: Vec<_> = left.by_ref().take(limits::META_SWEEP_ROWS_MAX).collect();
        let more = left.next().is_some();
        drop(left);
        for (app, stream, after) in rows {
            self.change_broadcast(app, stream, after, changes);
        }
        Outcome::Swept { more }
    }

    pub(super) fn delete(&mut self, app: AppName, stream: StreamId, changes: Changes<'_>) -> Outcome {
        if self.broadcast(&app, &stream).is_none() {
            return Outcome::Absent;
        }
        self.change(Change::Broadcast { app, stream, now: None }, changes);
        Outcome::Done
    }

    /// Its publisher is gone. Says whether the broadcast went with it; `None`: there was none.
    pub(super) fn end_broadcast(
        &mut self,
        app: AppName,
        stream: StreamId,
        changes: Changes<'_>,
    ) -> Option<bool> {
        let before = self.broadcast(&app, &stream)?;
        let removed = before.zombi;
        let after = (!removed).then(|| over(before, millis(self.now)));
        self.change_broadcast(app, stream, after, changes);
        Some(removed)
    }

    fn room_for_broadcast(&self, app: &AppName) -> Result<(), Refusal> {
        self.broadcasts.room(app, limits::BROADCASTS_PER_APPLICATION_MAX, Refusal::TooManyBroadcasts)
    }

    fn change_if_small(
        &mut self,
        app: AppName,
        stream: StreamId,
        after: Broadcast,
        changes: Changes<'_>,
        outcome: Outcome,
    ) -> Outcome {
        if json_len(&after).is_none_or(|len| len > limits::BROADCAST_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        self.change_broadcast(app, stream, Some(after), changes);
        outcome
    }

    fn change_broadcast(
        &mut self,
        app: AppName,
        stream: StreamId,
        after: Option<Broadcast>,
        changes: Changes<'_>,
    ) {
        self.change(Change::Broadcast { app, stream, now: after.map(Arc::new) }, changes);
    }
}

/// A broadcast whose publisher is gone. Figures of the ingest stay, viewers do not (AMS, observed).
fn over(before: &Broadcast, now_ms: i64) -> Broadcast {
    let was_live = before.status.is_live();
    Broadcast {
        status: if was_live { Status::Finished } else { before.status.clone() },
        update_time: if was_live { now_ms } else { before.update_time },
        hls_viewer_count: 0,
        dash_viewer_count: 0,
        web_rtc_viewer_count: 0,
        rtmp_viewer_count: 0,
        ..before.clone()
    }
}

fn needs_reset(broadcast: &Broadcast) -> bool {
    let counts = [
        broadcast.hls_viewer_count,
        broadcast.dash_viewer_count,
        broadcast.web_rtc_viewer_count,
        broadcast.rtmp_viewer_count,
    ];
    broadcast.zombi || broadcast.status.is_live() || counts.into_iter().any(|count| count != 0)
}
