//! A track with the B-frames left out: what players get who are not to be transcoded for.

use base::TrackId;
use media::h264::has_b_slice;
use media::{StreamMedia, TrackInfo, Unit, WriteError};

use super::End;
use super::units::Units;

/// Copies the pictures of a track that are shown in the order they come in. Pictures that were made from a
/// B-frame (encoders with B-pyramids have such) show traces of what is missing.
pub(super) async fn drop_b_frames(media: &StreamMedia, source: &TrackInfo, id: &TrackId) -> End {
    let frames = source.track.frames();
    let Some(writer) = media.write_track(id, &source.config, Some(&source.id)) else {
        return End::failed("the stream has too many tracks");
    };
    let mut source = Units::of(source, frames.newest_key().unwrap_or(frames.head()));
    let mut shown = None;
    while let Some(units) = source.next().await {
        for unit in units {
            if has_b_slice(&unit.payload) || shown.is_some_and(|shown| unit.pts < shown) {
                continue;
            }
            shown = Some(unit.pts);
            let unit = Unit { dts: unit.pts, generation: writer.generation(), ..unit.as_ref().clone() };
            match writer.write(unit) {
                Ok(()) => {}
                Err(WriteError::Fenced) => return End::Changed,
                Err(error @ WriteError::TooLarge(_)) => return End::failed(error),
            }
        }
    }
    End::Changed
}
