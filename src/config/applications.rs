//! The applications of a node: folders of `webapps/`.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base::{AppName, WallTime};

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

/// First parts of the node's own pages, which lie in no folder of `root` or need not.
const OWN_PAGES: &[&str] = &["panel", "app"];

/// What pages of other origins may do with an application that is made by the node: as with those that come with it.
const WEB_XML: &str = include_str!("../../webapps/LiveApp/WEB-INF/web.xml");

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

/// What is where an application's folder is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// An application's folder.
    Application,
    /// Something else.
    Other,
}

impl AppFolder {
    /// That of the application `name` in `webapps`, whether it is there or not.
    pub fn of(webapps: &Path, name: AppName) -> Self {
        let folder = webapps.join(name.as_str());
        let settings_file = folder.join(SETTINGS_FILE);
        Self { name, folder, settings_file }
    }

    /// What is there.
    ///
    /// # Errors
    /// It cannot be said.
    pub fn look(&self) -> io::Result<Found> {
        match std::fs::symlink_metadata(&self.folder) {
            Ok(_) if self.folder.join(WEB_INF).is_dir() => Ok(Found::Application),
            Ok(_) => Ok(Found::Other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Makes it, with the filter for pages of other origins that applications begin with, and without settings. It is there whole
    /// or not at all.
    ///
    /// # Errors
    /// It could not be made; nothing is left of it.
    pub fn make(&self) -> io::Result<()> {
        let new = self.folder.with_file_name(format!(".new-{}", self.name));
        match std::fs::remove_dir_all(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let made = std::fs::create_dir_all(new.join(WEB_INF))
            .and_then(|()| std::fs::write(new.join(WEB_INF).join("web.xml"), WEB_XML))
            .and_then(|()| std::fs::rename(&new, &self.folder));
        made.inspect_err(|_| {
            // What is left of it is no application, and in the way of nobody but the next try, which removes it.
            let _ = std::fs::remove_dir_all(&new);
        })
    }

    /// Takes back what [`AppFolder::make`] made, and the file of settings. What somebody else put there stays.
    pub fn take_back(&self) {
        let web_inf = self.folder.join(WEB_INF);
        for file in [self.settings_file.clone(), web_inf.join("web.xml")] {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_dir(web_inf);
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// Moves it out of the way, where it is no application any more; nothing in it is changed. Where it is then; `None`: it was
    /// not there.
    ///
    /// # Errors
    /// It could not be moved.
    pub fn set_aside(&self, now: WallTime) -> io::Result<Option<PathBuf>> {
        let aside = self.folder.with_file_name(format!(".deleted-{}-{}", self.name, now.as_millis()));
        match std::fs::rename(&self.folder, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether its `WEB-INF` was made or changed after a time.
    pub fn is_younger_than(&self, time: WallTime) -> bool {
        let made = std::fs::metadata(self.folder.join(WEB_INF)).and_then(|metadata| metadata.modified());
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(time.as_millis()));
        made.is_ok_and(|made| time.is_some_and(|time| made > time))
    }

    /// The content of its properties file; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or is larger than [`base::limits::SETTINGS_FILE_BYTES_MAX`].
    pub fn properties(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let hint = "let the node's user read it, or remove the application";
        match read_bounded(&self.settings_file, hint) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ConfigError::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether an application of this name may be made in `webapps`: no name of the node's own is hidden by it.
pub fn may_be_made(webapps: &Path, name: &AppName) -> bool {
    let name = name.as_str();
    let is_own = name == ROOT || RESERVED.contains(&name) || OWN_PAGES.contains(&name);
    !is_own && !name.starts_with('.') && !webapps.join(ROOT).join(name).exists()
}

/// Finds the applications: the folders of `webapps` that have a `WEB-INF`, sorted by name. `root` is never one, nor is one whose
/// name begins with a dot: those that were deleted are called so.
///
/// # Errors
/// The folder cannot be read, or an application's name is not a name.
pub fn discover_applications(webapps: &Path) -> Result<Vec<AppFolder>, ConfigError> {
    let unreadable = |why| ConfigError::Unreadable {
        path: webapps.to_owned(),
        hint: "set data.webapps to the folder that holds the applications",
        why,
    };
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(webapps).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        let settings_file = folder.join(SETTINGS_FILE);
        match std::fs::metadata(folder.join(WEB_INF)) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => continue,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(why) => {
                let hint = "let the node's user read it, or remove the application";
                return Err(ConfigError::Unreadable { path: settings_file, hint, why });
            }
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == ROOT || name.starts_with('.') {
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
    fn a_made_folder_is_found_and_one_set_aside_is_not() {
        let webapps = tempfile::tempdir().unwrap();
        let name = AppName::new("made").unwrap();
        let folder = AppFolder::of(webapps.path(), name.clone());
        assert_eq!(folder.look().unwrap(), Found::Nothing);
        folder.make().unwrap();
        assert_eq!(folder.look().unwrap(), Found::Application);
        assert_eq!(discover_applications(webapps.path()).unwrap(), std::slice::from_ref(&folder));
        assert!(crate::CorsFilter::load(&folder.folder).unwrap().is_some());
        assert!(
            folder.is_younger_than(WallTime(0)) && !folder.is_younger_than(WallTime(u64::MAX / 2_000_000))
        );
        std::fs::write(folder.folder.join("play.html"), "mine").unwrap();
        let aside = folder.set_aside(WallTime(7)).unwrap().unwrap();
        assert!(aside.ends_with(".deleted-made-7"), "{}", aside.display());
        assert_eq!(std::fs::read_to_string(aside.join("play.html")).unwrap(), "mine");
        assert_eq!(folder.set_aside(WallTime(8)).unwrap(), None);
        assert_eq!(discover_applications(webapps.path()).unwrap(), []);
        folder.make().unwrap();
        folder.take_back();
        assert_eq!(folder.look().unwrap(), Found::Nothing);
        std::fs::create_dir(&folder.folder).unwrap();
        assert_eq!(folder.look().unwrap(), Found::Other);
    }

    #[test]
    fn no_name_of_the_nodes_own_may_be_taken() {
        let webapps = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(webapps.path().join("root/pages")).unwrap();
        let may = |name: &str| may_be_made(webapps.path(), &AppName::new(name).unwrap());
        assert!(["New", "Root", "a-b_1"].into_iter().all(may));
        assert!(!["root", "rest", "livez", "panel", "app", "pages", ".x"].into_iter().any(may));
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
