//! What a reader of settings has to tell although nothing is wrong enough to stop.

use std::fmt;

use super::AppSettings;

/// The settings of an application as read from its properties file, and what is to be said about them.
#[derive(Debug)]
pub struct LoadedSettings {
    /// The settings.
    pub settings: AppSettings,
    /// To be logged, each as one line.
    pub notices: Vec<Notice>,
}

/// Something in a properties file that its owner should know. Names keys only, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A key nobody knows; it has no effect, as in AMS.
    UnknownKey {
        /// As it stands in the file.
        key: String,
        /// Its line, counted from 1.
        line: usize,
        /// The known key it resembles most.
        nearest: Option<String>,
    },
    /// A setting stands under two names.
    TwoNames {
        /// The name that counts.
        used: String,
        /// The name that does not.
        ignored: String,
    },
    /// A key stands twice; the last one counts, as in Java.
    Repeated {
        /// As it stands in the file.
        key: String,
        /// The line that counts, counted from 1.
        line: usize,
    },
    /// The file names the application otherwise than its folder; the folder counts.
    OtherAppName {
        /// The name in the file.
        named: String,
    },
    /// Settings that differ from the default and have no effect yet; they are kept.
    NoEffectYet {
        /// Their JSON keys.
        keys: Vec<&'static str>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, line, nearest: None } => {
                write!(f, "line {line}: the setting {key} is unknown and has no effect")
            }
            Self::UnknownKey { key, line, nearest: Some(nearest) } => write!(
                f,
                "line {line}: the setting {key} is unknown and has no effect; did you mean {nearest}?"
            ),
            Self::TwoNames { used, ignored } => {
                write!(f, "{used} and {ignored} are the same setting; {used} counts, remove the other")
            }
            Self::Repeated { key, line } => write!(f, "{key} stands more than once; line {line} counts"),
            Self::OtherAppName { named } => {
                write!(f, "appName says {named:?}; an application has its folder's name, remove it")
            }
            Self::NoEffectYet { keys } => {
                write!(f, "kept, but without effect in this version: {}", keys.join(", "))
            }
        }
    }
}
