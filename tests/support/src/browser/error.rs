//! Why a browser did not do what it was told.

/// Why the browser did not do what it was told.
#[derive(Debug)]
pub enum BrowserError {
    /// A process or file could not be handled.
    Io(std::io::Error),
    /// chromedriver or Chromium did not start.
    Start(String),
    /// A command failed.
    Command(String),
    /// The page did not show what was waited for.
    TimedOut {
        /// What was waited for.
        what: String,
        /// The page's visible text.
        page: String,
    },
}

impl std::fmt::Display for BrowserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the browser's process could not be handled: {error}"),
            Self::Start(why) => write!(f, "the browser did not start: {why}"),
            Self::Command(why) => write!(f, "the browser refused: {why}"),
            Self::TimedOut { what, page } => write!(f, "waited in vain for {what}; the page says: {page}"),
        }
    }
}

impl std::error::Error for BrowserError {}

impl From<std::io::Error> for BrowserError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<fantoccini::error::CmdError> for BrowserError {
    fn from(error: fantoccini::error::CmdError) -> Self {
        Self::Command(error.to_string())
    }
}
