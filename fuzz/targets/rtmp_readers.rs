//! The chunk stream, AMF0, publish URLs and the whole session.

use base::{Clock, SystemClock, WallTime};
use media::Arrival;
use rtmp::amf0::Reader;
use rtmp::chunk::{self, ChunkError, Message};
use rtmp::{Ingest, Metadata, Output, PublishRequest, Session};

/// The chunk reader, which must read the same however its input is cut.
pub fn rtmp_chunks(data: &[u8]) {
    assert_eq!(messages(data.chunks(data.len().max(1))), messages(data.chunks(1)));
}

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = chunk::Reader::new();
    reader.trust();
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
}

/// The AMF0 reader and the summary of metadata.
pub fn amf0(data: &[u8]) {
    let _ = Reader::new(data).values();
    let _ = Metadata::read(data);
}

/// The URL of a publish: `app`, `tcUrl` and name, one a line. Nothing of a token may be shown.
pub fn publish_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n').map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let (app, tc_url, name) = (line(), line(), line());
    if let Ok(request) = PublishRequest::read(&app, &tc_url, "", &name) {
        let shown = format!("{request:?}");
        let Some(token) = request.token.map(|token| token.expose().clone()) else { return };
        // What is no secret may hold the same text, and short texts stand everywhere by chance.
        let open =
            [request.app.as_str(), &request.stream, request.subscriber_id.as_deref().unwrap_or_default()];
        if token.len() > 20 && !open.iter().any(|text| text.contains(&token)) {
            assert!(!shown.contains(&token));
        }
    }
}

/// A session behind its handshake, whose gate lets everybody in, and the ingest of its media. It
/// ends with a reason, once.
pub fn rtmp_session(data: &[u8]) {
    let now = SystemClock.now();
    let arrival = Arrival { at: now, wall: WallTime(0) };
    let mut session = Session::after_handshake(|_| true, now);
    let mut ingest = Ingest::new();
    let mut closed = 0;
    session.handle(data, now);
    for ending in [false, true] {
        if ending {
            session.handle_end();
        }
        while let Some(output) = session.poll() {
            assert_eq!(closed, 0, "{output:?} came after the end");
            match output {
                Output::Publish(_) => session.accept(now),
                Output::Video { timestamp_ms, body } => ingest.video(timestamp_ms, &body, arrival),
                Output::Audio { timestamp_ms, body } => ingest.audio(timestamp_ms, &body, arrival),
                Output::Close(_) => closed += 1,
                Output::Send(_) | Output::Metadata(_) | Output::Unpublish => {}
            }
            while let Some(event) = ingest.poll() {
                if let rtmp::IngestEvent::Refused(reason) = event {
                    session.end(reason);
                }
            }
        }
    }
    assert_eq!(closed, 1);
}
