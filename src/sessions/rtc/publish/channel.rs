//! What a publisher says to those who watch, and what they and REST say to it: data channels, as AMS has them.
//!
//! The SDK opens one, and calls it as the stream. What comes over any of a publisher's goes into the stream's ring of
//! messages; what is for the publisher goes out on the first one that opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, limits};
use bytes::BytesMut;
use media::{Bell, Cursor, DataMessage, MessageSource, StreamMedia};
use observe::metric;
use streams::Ending;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// Between two looks at whether a publisher has taken what it was sent.
const LOOK: Duration = Duration::from_millis(50);

/// Hands messages on until the channel or the publisher ends. `first`: it is the one that messages go out on.
pub(super) async fn converse(
    channel: Arc<dyn DataChannel>,
    media: Arc<StreamMedia>,
    clock: Arc<dyn Clock>,
    ending: Ending,
    first: bool,
) {
    let mut heard = Heard { allowance: Allowance::new(clock.now()), media: Arc::clone(&media), clock };
    let bell = Bell::new();
    let mut said = Said { cursor: Cursor(media.messages().head()), media: Arc::clone(&media) };
    if first {
        media.hang(&bell);
    }
    let mut waits = false;
    loop {
        tokio::select! {
            _ = ending.ended() => return,
            event = channel.poll() => match event {
                Some(DataChannelEvent::OnMessage(message)) => heard.take(message.is_string, &message.data),
                Some(DataChannelEvent::OnClose) | None => return,
                Some(_) => {}
            },
            () = bell.rung(), if first => waits = !said.send(&*channel).await,
            () = tokio::time::sleep(LOOK), if waits => waits = !said.send(&*channel).await,
        }
    }
}

/// What a publisher says.
struct Heard {
    allowance: Allowance,
    media: Arc<StreamMedia>,
    clock: Arc<dyn Clock>,
}

impl Heard {
    fn take(&mut self, text: bool, payload: &[u8]) {
        let now = self.clock.now();
        if !self.allowance.spend(payload.len(), now) {
            metric::data_messages_dropped("publisher's rate").increment(1);
            return;
        }
        metric::data_messages("publisher").increment(1);
        let message = DataMessage {
            text,
            payload: payload.to_vec().into(),
            from: MessageSource::Publisher,
            to_players: true,
            to_publisher: false,
            came: now,
        };
        if let Err(error) = self.media.send_message(message) {
            tracing::debug!(%error, "a publisher's message was not handed on");
            metric::data_messages_dropped("refused").increment(1);
        }
    }
}

/// What is said to a publisher.
struct Said {
    cursor: Cursor,
    media: Arc<StreamMedia>,
}

impl Said {
    /// Sends what is new; `false`: the publisher has yet to take what it was sent before.
    async fn send(&mut self, channel: &dyn DataChannel) -> bool {
        loop {
            let unsent = channel.outstanding_bytes().await.unwrap_or_default();
            if unsent > limits::DATA_UNACKNOWLEDGED_BYTES_MAX {
                return false;
            }
            let read = self.media.messages().read(&mut self.cursor, 1);
            if read.skipped > 0 {
                metric::data_messages_dropped("publisher fell behind").increment(read.skipped);
            }
            let Some(message) = read.entries.first() else { return true };
            if !message.is_for_publisher() {
                continue;
            }
            let sent = match std::str::from_utf8(&message.payload) {
                Ok(text) if message.text => channel.send_text(text).await,
                _ => channel.send(BytesMut::from(&message.payload[..])).await,
            };
            match sent {
                Ok(()) => metric::data_messages_sent().increment(1),
                // It is closing; its end is told otherwise.
                Err(error) => tracing::debug!(%error, "a message for a publisher was not sent"),
            }
        }
    }
}

/// How much a publisher may say: some at once, and so much a second.
struct Allowance {
    bytes: u64,
    filled: Instant,
}

impl Allowance {
    const fn new(now: Instant) -> Self {
        Self { bytes: limits::DATA_PUBLISHER_BURST_BYTES_MAX, filled: now }
    }

    fn spend(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_millis();
        let more = u64::try_from(passed)
            .unwrap_or(u64::MAX)
            .saturating_mul(limits::DATA_PUBLISHER_BYTES_PER_SECOND_MAX)
            / 1_000;
        if more > 0 {
            self.bytes = self.bytes.saturating_add(more).min(limits::DATA_PUBLISHER_BURST_BYTES_MAX);
            self.filled = now;
        }
        // An empty message costs something, too.
        let cost = bytes as u64 + limits::DATA_MESSAGE_COST_BYTES;
        let affords = self.bytes >= cost;
        if affords {
            self.bytes -= cost;
        }
        affords
    }
}

#[cfg(test)]
mod tests {
    use base::SystemClock;

    use super::*;

    #[test]
    fn who_says_too_much_is_not_handed_on_until_time_has_passed() {
        let start = SystemClock.now();
        let mut allowance = Allowance::new(start);
        let megabyte = 1024 * 1024;
        let afforded = (0..100).filter(|_| allowance.spend(megabyte, start)).count() as u64;
        assert_eq!(afforded, limits::DATA_PUBLISHER_BURST_BYTES_MAX / (megabyte as u64 + 1));
        assert!(!allowance.spend(megabyte, start));
        assert!(allowance.spend(megabyte, start + Duration::from_secs(2)));
        while allowance.spend(0, start + Duration::from_secs(2)) {}
        assert!(!allowance.spend(0, start + Duration::from_secs(2)), "empty ones are not free");
    }
}
