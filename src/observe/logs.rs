//! Log lines: text for people, JSON for machines, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text, in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a list of `target=level`.
    #[error(
        "`{level}` is not a log level: use error, warn, info, debug, trace or off, or a list like `info,penstock_rtmp=debug`"
    )]
    BadLevel {
        /// What was given.
        level: String,
    },
    /// The process logs already.
    #[error("logging is already set up in this process")]
    AlreadySetUp,
}

/// Crates whose lines any stranger can provoke, at several per handshake or packet, and what of them is logged,
/// whatever the level: for `rtc_sctp` a packet that makes no sense is an error.
const STRANGERS_CAN_FILL_THE_LOG: &[&str] = &[
    "rtc_dtls=error",
    "rtc_stun=error",
    "rtc_srtp=error",
    "rtc_sdp=error",
    "rtc_rtcp=error",
    "rtc_sctp=off",
    "rtc_datachannel=off",
    "rtc::peer_connection::handler=error",
    "rml_rtmp=error",
    "rustls=error",
    "h2=error",
    "hyper=error",
    "actix_http=error",
    "symphonia=error",
];

/// Starts logging: once, first thing in the process.
///
/// `level` is a level (`info`) or a list of them per target (`info,penstock_rtmp=debug`). Panics are
/// logged as errors, so that they keep the format.
///
/// # Errors
/// The level is not one, or the process logs already.
pub fn init_logs(format: LogFormat, level: &str) -> Result<(), LogError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(|_| LogError::AlreadySetUp)?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "panic", place, "{message}");
    }));
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let bad = || LogError::BadLevel { level: level.to_owned() };
    if level.trim().is_empty() {
        return Err(bad());
    }
    let mut filter = EnvFilter::new("off");
    if level.trim().eq_ignore_ascii_case("off") {
        return Ok(filter);
    }
    for part in level.split(',') {
        let directive: Directive = part.trim().parse().map_err(|_| bad())?;
        // A bare word that is no level would be taken for a target and log everything of it.
        if !part.contains('=') && part.trim().parse::<LevelFilter>().is_err() {
            return Err(bad());
        }
        filter = filter.add_directive(directive);
    }
    for directive in STRANGERS_CAN_FILL_THE_LOG {
        filter = filter.add_directive(directive.parse().map_err(|_| bad())?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(level).unwrap())
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn crates_that_strangers_can_make_talk_log_errors_only() {
        for level in ["info", "trace", "rtc_dtls=trace,debug"] {
            let text = logged(level, || {
                tracing::warn!(target: "rtc_dtls::extension", "unsupported");
                tracing::warn!(target: "rtc::peer_connection::handler", "garbage of a publisher");
                tracing::error!(target: "rtc_dtls::conn", "broken");
                tracing::error!(target: "rtc_sctp::association", "garbage");
                tracing::info!(target: "penstock_rtc", "ours");
            });
            assert!(!text.contains("unsupported") && !text.contains("garbage"), "{level}: {text}");
            assert!(text.contains("broken") && text.contains("ours"), "{level}: {text}");
        }
    }

    #[test]
    fn levels_may_differ_by_target() {
        let text = logged("warn,penstock_rtmp=debug", || {
            tracing::debug!(target: "penstock_rtmp", "chunk");
            tracing::info!(target: "penstock_rtc", "packet");
        });
        assert!(text.contains("chunk") && !text.contains("packet"), "{text}");
    }

    #[test]
    fn what_is_not_a_level_is_named() {
        for bad in ["", "loud", "info,chatty", "penstock=loud"] {
            let error = filter(bad).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{bad}` is not a log level")), "{error}");
        }
    }
}
