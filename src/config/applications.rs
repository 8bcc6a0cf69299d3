//! The applications of a node: folders of `webapps/`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base::AppName;

use crate::file::read_bounded;
use crate::{ConfigError, Place, Problem};

/// The file that makes a folder an application.
const SETTINGS_FILE: &str = "WEB-INF/red5-web.properties";
/// What makes a folder an application.
const WEB_INF: &str = "WEB-INF";

/// The folder of the node's own pages.
const ROOT: &str = "root";

/// First parts of the node's own URLs, which an application of the same name would hide.
const RESERVED: &[&str] = &["rest", "metrics", "livez", "readyz"];

/// An application found in `webapps/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFolder {
    /// The folder's name, which is the application's.
    pub name: AppName,
    /// The folder, with its pages.
    pub folder: PathBuf,
    /// Its `WEB-INF/red5-web.properties`, which may be missing: the stored settings stand, or AMS's defaults.
    pub settings_file: PathBuf,
}

impl AppFolder {
    /// The content of its properties file; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or is larger than [`base::limits::SETTINGS_FILE_BYTES_MAX`].
    pub fn properties(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let hint = "let the node's user read it, or remove the application";
        match read_bounded(&self.settings_file, hint) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ConfigError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Finds the applications: the folders of `webapps` that have a `WEB-INF`, sorted by name. `root` is never one.
///
/// # Errors
/// The folder cannot be read, or an application's name is not a name.
pub fn discover_applications(webapps: &Path) -> Result<Vec<AppFolder>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: webapps.to_owned(),
        hint: "set data.webapps to the folder that holds the applications",
        source,
    };
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(webapps).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        let settings_file = folder.join(SETTINGS_FILE);
        match std::fs::metadata(folder.join(WEB_INF)) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => continue,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(source) => {
                let hint = "let the node's user read it, or remove the application";
                return Err(ConfigError::Unreadable { path: settings_file, hint, source });
            }
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == ROOT {
            continue;
        }
        match AppName::new(&name) {
            Ok(_) if RESERVED.contains(&name.as_str()) => problems.push(Problem {
                place: Place::File { path: folder, line: None },
                what: format!("{name:?} is a name of the node's own; rename the folder"),
            }),
            Ok(name) => found.push(AppFolder { name, folder, settings_file }),
            Err(why) => problems.push(Problem {
                place: Place::File { path: folder, line: None },
                what: format!("cannot be an application: {why}; rename the folder"),
            }),
        }
    }
    ConfigError::unless_empty(problems)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(webapps: &Path, folder: &str) {
        std::fs::create_dir_all(webapps.join(folder).join("WEB-INF")).unwrap();
        std::fs::write(webapps.join(folder).join(SETTINGS_FILE), "").unwrap();
    }

    #[test]
    fn folders_with_a_web_inf_are_applications_even_without_the_file() {
        let webapps = tempfile::tempdir().unwrap();
        for folder in ["b", "A", "root"] {
            make(webapps.path(), folder);
        }
        std::fs::create_dir(webapps.path().join("no settings")).unwrap();
        std::fs::create_dir_all(webapps.path().join("c").join(WEB_INF)).unwrap();
        std::fs::write(webapps.path().join("a file"), "").unwrap();
        let found = discover_applications(webapps.path()).unwrap();
        assert_eq!(found.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["A", "b", "c"]);
    }

    #[test]
    fn a_folder_that_cannot_be_an_application_is_told() {
        let webapps = tempfile::tempdir().unwrap();
        make(webapps.path(), "my app");
        make(webapps.path(), "metrics");
        let error = discover_applications(webapps.path()).unwrap_err();
        let ConfigError::Invalid(problems) = &error else { panic!("{error}") };
        assert_eq!(problems.len(), 2, "{error}");
        let error = discover_applications(&webapps.path().join("away")).unwrap_err().to_string();
        assert!(error.contains("set data.webapps"), "{error}");
    }
}
