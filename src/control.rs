//! What REST does with live streams.

use std::sync::Arc;

use api::{Live, Spoken, StreamControl};
use base::{AppName, Clock, ExitReason, StreamId};
use media::{DataMessage, MessageSource};
use observe::metric;
use sessions::rtc::{ClientFigures, Received, Receptions, SentFigures, Shards};
use streams::{Applications, LiveStatistics};

/// Ends and shows streams for REST, and speaks to them.
pub struct Control {
    /// Where streams are found.
    pub applications: Applications,
    /// What live ones do.
    pub statistics: LiveStatistics,
    /// Who serves WebRTC players.
    pub shards: Shards,
    /// What WebRTC publishers send.
    pub receptions: Receptions,
    /// When something was said.
    pub clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl StreamControl for Control {
    async fn stop(&self, app: &AppName, id: &StreamId) -> bool {
        self.applications.stop(app, id, ExitReason::Kicked).await
    }

    fn live(&self, app: &AppName, id: &StreamId) -> Option<Live> {
        self.statistics.of(app, id).map(|figures| Live {
            heartbeat: figures.heartbeat,
            video_codec: figures.video_codec.map(media::Codec::label),
            video_bitrate_bps: figures.video_bitrate_bps,
            audio_bitrate_bps: figures.audio_bitrate_bps,
        })
    }

    fn webrtc_clients(&self, app: &AppName, id: &StreamId, offset: usize, size: usize) -> Vec<ClientFigures> {
        self.shards.clients().of(app, id, offset, size)
    }

    fn webrtc_sent(&self, app: &AppName) -> SentFigures {
        self.shards.clients().sent(app)
    }

    fn webrtc_received(&self, app: &AppName) -> Received {
        self.receptions.of(app)
    }

    async fn send_message(&self, app: &AppName, id: &StreamId, text: String) -> Spoken {
        let Some(stream) = self.applications.find(app, id).await else {
            return self.applications.elsewhere(app, id).await.map_or(Spoken::NotLive, Spoken::Elsewhere);
        };
        let message = DataMessage {
            text: true,
            payload: text.into(),
            from: MessageSource::Rest,
            to_players: true,
            to_publisher: true,
            came: self.clock.now(),
        };
        if message.payload.is_empty() || stream.media.send_message(message).is_err() {
            return Spoken::Refused;
        }
        metric::data_messages("REST").increment(1);
        Spoken::Sent
    }
}
