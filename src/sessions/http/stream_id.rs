//! Which stream a file below `/{App}/streams/` belongs to, by AMS's rules for the names of its files.
//!
//! The rules are AMS's (`TokenFilterManager`), case by case, its hazards included: a stream whose id looks like a file of
//! another one is taken for the other. So a token for `cam` opens `cam_1.mp4`, and `cam_1` has to be asked for by a name
//! that says it. What is known of streams and recordings by their records is better known; this is for all others.

use base::limits;

/// What a path begins to count behind.
const FOLDER: &str = "streams";
/// Behind the stream's id: the playlist of renditions.
const ADAPTIVE: &str = "_adaptive.m3u8";
/// Recordings.
const RECORDINGS: [&str; 3] = [".mp4", ".webm", ".mp3"];
/// Segments of HLS.
const SEGMENTS: [&str; 2] = [".ts", ".fmp4"];

/// The stream's id that a decoded path means, `None`: no stream's file is named so. `suffix_format` is the application's
/// `hlsSegmentFileSuffixFormat`, by which segments may be named besides. What comes out is part of the path, and
/// not checked to be a [`base::StreamId`].
pub fn stream_id_of_path<'a>(path: &'a str, suffix_format: &str) -> Option<&'a str> {
    if path.len() > limits::MEDIA_PATH_BYTES_MAX {
        return None;
    }
    let path = path.split_once(FOLDER).map_or(path, |(_, behind)| behind);
    let path = path.strip_prefix('/').unwrap_or(path);
    in_folder(path)
        .or_else(|| of_name(path.rsplit_once('/').map_or(path, |(_, name)| name), suffix_format))
        .filter(|id| !id.is_empty())
}

/// Where the folder says it.
fn in_folder(path: &str) -> Option<&str> {
    if let Some(rest) = path.strip_prefix("drm/") {
        return rest.split_once('/').map(|(id, _)| id);
    }
    if path.contains("m4s") || path.contains("mpd") {
        return path.rsplit_once('/').map(|(folder, _)| folder);
    }
    let chunked =
        path.strip_prefix("chunked/").or_else(|| path.split_once("/chunked/").map(|(_, rest)| rest));
    chunked.and_then(|rest| rest.split_once('/')).map(|(id, _)| id)
}

/// Where the file's name says it: the first rule that fits.
fn of_name<'a>(name: &'a str, suffix_format: &str) -> Option<&'a str> {
    if let Some(id) = name.strip_suffix(ADAPTIVE) {
        return Some(id);
    }
    if let Some((id, behind)) = name.split_once("__") {
        // The id ends in `_` itself when a rendition's name follows.
        let own = usize::from(behind.contains("kbps"));
        return name.get(..id.len() + own);
    }
    if let Some(stem) = name.strip_suffix(".m3u8") {
        return Some(without_rendition(stem).unwrap_or(stem));
    }
    if let Some((stem, is_ts)) =
        SEGMENTS.iter().find_map(|end| Some((name.strip_suffix(end)?, *end == ".ts")))
    {
        return of_segment(stem, is_ts, suffix_format);
    }
    RECORDINGS.iter().find_map(|end| name.strip_suffix(end)).map(of_recording)
}

/// A segment: the id, perhaps a rendition, and what counts the segments.
fn of_segment<'a>(stem: &'a str, is_ts: bool, suffix_format: &str) -> Option<&'a str> {
    // Older versions counted with four digits.
    let id = without_format(stem, suffix_format)
        .or_else(|| without_digits(stem, 9))
        .or_else(|| without_digits(stem, 4).filter(|_| is_ts))?;
    Some(without_rendition(id).unwrap_or(id))
}

/// A recording: with its date, its rendition, its number, in this order, each of which may be missing.
fn of_recording(stem: &str) -> &str {
    if let Some(id) = without_date(stem) {
        return id;
    }
    if let Some(id) = without_rendition(stem) {
        return id;
    }
    let Some((id, number)) = stem.rsplit_once('_') else { return stem };
    if is_digits(number) {
        return without_rendition(id).unwrap_or(id);
    }
    // AMS cuts whatever is last once a number stands anywhere behind a `_`.
    let has_number = stem.split('_').skip(1).any(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    if has_number { id } else { stem }
}

/// `{id}_{H}p`, `{id}_{K}kbps` or `{id}_{H}p{K}kbps` without what follows the id.
fn without_rendition(stem: &str) -> Option<&str> {
    let (id, rendition) = stem.rsplit_once('_')?;
    is_rendition(rendition).then_some(id)
}

fn is_rendition(text: &str) -> bool {
    let rate = |text: &str| text.strip_suffix("kbps").is_some_and(is_digits);
    match text.split_once('p') {
        Some((height, "")) => is_digits(height),
        Some((height, rest)) if is_digits(height) => rate(rest),
        _ => rate(text),
    }
}

/// `{id}-YYYY-MM-DD_HH-MM-SS.mmm`, perhaps with a rendition behind it.
fn without_date(stem: &str) -> Option<&str> {
    const DATE: &str = "-dddd-dd-dd_dd-dd-dd.ddd";
    let stem = without_rendition(stem).unwrap_or(stem);
    let (id, date) = stem.split_at_checked(stem.len().checked_sub(DATE.len())?)?;
    let fits = date.bytes().zip(DATE.bytes()).all(|(found, wanted)| match wanted {
        b'd' => found.is_ascii_digit(),
        sign => found == sign,
    });
    fits.then_some(id)
}

/// What stands before a segment's number, where the setting says how that is written: `%09d` and the like, or parts of
/// `strftime`.
fn without_format<'a>(stem: &'a str, format: &str) -> Option<&'a str> {
    if format.is_empty() || format.len() > limits::MEDIA_SUFFIX_FORMAT_BYTES_MAX {
        return None;
    }
    // From its end, for the id has any length.
    let (mut rest, mut format) = (stem, format);
    while let Some(last) = format.chars().next_back() {
        let (digits, before) = part_behind(format);
        match digits {
            Some(digits) => rest = without_digits(rest, digits)?,
            None => rest = rest.strip_suffix(last)?,
        }
        format = before;
    }
    Some(rest)
}

/// How many digits the last part of a format stands for, and what stands before it. `None`: that part is a character
/// of its own.
fn part_behind(format: &str) -> (Option<usize>, &str) {
    for (part, digits) in
        [("%Y", 4), ("%y", 2), ("%m", 2), ("%d", 2), ("%H", 2), ("%M", 2), ("%S", 2), ("%s", 10)]
    {
        if let Some(before) = format.strip_suffix(part) {
            return (Some(digits), before);
        }
    }
    if let Some((before, width)) = format.strip_suffix('d').and_then(|before| before.rsplit_once('%'))
        && is_digits(width)
        && let Ok(digits) = width.parse()
    {
        return (Some(digits), before);
    }
    let cut = format.char_indices().next_back().map_or(0, |(at, _)| at);
    (None, format.get(..cut).unwrap_or_default())
}

/// A text without so many digits at its end.
fn without_digits(text: &str, digits: usize) -> Option<&str> {
    let (id, number) = text.split_at_checked(text.len().checked_sub(digits)?)?;
    is_digits(number).then_some(id)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// For the fuzzer: a path and, behind a NUL, a suffix format.
///
/// # Panics
/// What comes out is not part of the path.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, format) = text.split_once('\0').unwrap_or((&text, "%09d"));
    if let Some(id) = stream_id_of_path(path, format) {
        assert!(!id.is_empty() && path.contains(id));
    }
    let _ = stream_id_of_path(&format!("/app/streams/{path}"), format);
}

#[cfg(test)]
mod tests;
