//! Programs that some tests want and that not every machine has.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An ffmpeg that speaks Enhanced RTMP with AV1, VP9, HEVC and Opus (8 or newer): the one that
/// `FFMPEG_ENHANCED` names, the one `scripts/setup` fetched, or the machine's own if it is new enough.
///
/// # Errors
/// Why there is none, in words for [`crate::skipped`].
pub fn enhanced_ffmpeg() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("FFMPEG_ENHANCED") {
        let named = PathBuf::from(named);
        return match ffmpeg_version(&named) {
            Some(version) if version >= VERSION_MIN => Ok(named),
            other => Err(format!("FFMPEG_ENHANCED is {}, of version {other:?}", named.display())),
        };
    }
    let fetched = cache().map(|cache| cache.join("tools/ffmpeg-enhanced/ffmpeg"));
    let candidates = fetched.into_iter().chain([PathBuf::from("ffmpeg")]);
    candidates
        .into_iter()
        .find(|path| ffmpeg_version(path).is_some_and(|version| version >= VERSION_MIN))
        .ok_or_else(|| format!("no ffmpeg of version {VERSION_MIN} or newer; scripts/setup fetches one"))
}

/// An [`enhanced_ffmpeg`] that also publishes by WHIP.
///
/// # Errors
/// Why there is none, in words for [`crate::skipped`].
pub fn whip_ffmpeg() -> Result<PathBuf, String> {
    let ffmpeg = enhanced_ffmpeg()?;
    let muxers = Command::new(&ffmpeg).args(["-hide_banner", "-muxers"]).stdin(Stdio::null()).output();
    let listed =
        muxers.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if listed.lines().any(|line| line.split_whitespace().nth(1) == Some("whip")) {
        return Ok(ffmpeg);
    }
    Err(format!("{} was built without a whip muxer", ffmpeg.display()))
}

/// The Python packages of aiortc that `scripts/setup` fetched, for `PYTHONPATH`.
///
/// # Errors
/// Why there are none, in words for [`crate::skipped`].
pub(crate) fn aiortc() -> Result<PathBuf, String> {
    let packages = cache().map(|cache| cache.join("tools/aiortc"));
    let packages = packages.filter(|folder| folder.is_dir());
    let packages = packages.ok_or("no aiortc; scripts/setup fetches it")?;
    let mut python = Command::new("python3");
    python.args(["-c", "import aiortc"]).env("PYTHONPATH", &packages).stdin(Stdio::null());
    let tried = python.output().map_err(|error| format!("no python3: {error}"))?;
    if tried.status.success() {
        return Ok(packages);
    }
    let said = String::from_utf8_lossy(&tried.stderr);
    Err(format!("aiortc cannot be imported: {}", said.lines().last().unwrap_or_default()))
}

/// The nginx that `scripts/setup` fetched, or the machine's own.
///
/// # Errors
/// Why there is none, in words for [`crate::skipped`].
pub fn nginx() -> Result<PathBuf, String> {
    let fetched = cache().map(|cache| cache.join("tools/nginx/usr/sbin/nginx"));
    // It is no program of everybody's path.
    let elsewhere = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"].map(PathBuf::from);
    let starts = |path: &PathBuf| {
        let mut command = Command::new(path);
        command.arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = fetched.into_iter().chain(elsewhere).find(starts);
    found.ok_or_else(|| "no nginx; scripts/setup fetches it on Debian".to_owned())
}

/// Whether a program answers to these arguments at all.
pub fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The first version whose FLV muxer writes Opus.
const VERSION_MIN: u32 = 8;

fn ffmpeg_version(path: &PathBuf) -> Option<u32> {
    let output = Command::new(path).arg("-version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.strip_prefix("ffmpeg version ")?.trim_start_matches('n');
    version.split(['.', '-']).next()?.parse().ok()
}

fn cache() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).map(|cache| cache.join("penstock"))
}
