//! The certificate of HTTPS and WSS: the user's own, or one this node makes; reloaded without a drop.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not usable: {reason}", path = path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The self-made certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Making(String),
}

/// Where the certificate and its key are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// The self-made certificate of a node: made in `folder` at the first start and kept.
    pub fn self_made(folder: &Path, names: Vec<String>) -> Result<Self, TlsError> {
        let files = Self { certificate: folder.join("self-made.crt"), key: folder.join("self-made.key") };
        if files.certificate.exists() && files.key.exists() {
            return Ok(files);
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| TlsError::File { path, error }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        let made =
            rcgen::generate_simple_self_signed(names).map_err(|error| TlsError::Making(error.to_string()))?;
        write_whole(&files.key, made.signing_key.serialize_pem().as_bytes(), 0o600)
            .map_err(at(&files.key))?;
        // Last: a start that finds it finds the key as well.
        write_whole(&files.certificate, made.cert.pem().as_bytes(), 0o644).map_err(at(&files.certificate))?;
        Ok(files)
    }

    fn changed(&self) -> Option<(SystemTime, SystemTime)> {
        let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        Some((time(&self.certificate)?, time(&self.key)?))
    }

    fn load(&self) -> Result<CertifiedKey, TlsError> {
        let content = |path: &Path, reason: String| TlsError::Content { path: path.to_owned(), reason };
        let read =
            |path: &Path| fs::read(path).map_err(|error| TlsError::File { path: path.to_owned(), error });
        let chain = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| content(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(content(&self.certificate, "it holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| content(&self.key, error.to_string()))?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| content(&self.key, error.to_string()))?;
        Ok(certified)
    }
}

/// Writes all of a file or nothing: half of one, from a disk that was full, would be read at the next start.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path);
    // What a start that was cut short left may be open to others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Gives connections the certificate of the moment.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS for the web listener, and the task that follows its files: new connections get the new
/// certificate, old ones go on. Files that cannot be used are told and the old certificate stays.
pub fn server_config(
    files: CertificateFiles,
) -> Result<(ServerConfig, impl Future<Output = ()> + use<>), TlsError> {
    let current = Arc::new(Current(ArcSwap::from_pointee(files.load()?)));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Making(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
    Ok((config, follow(files, current)))
}

async fn follow(files: CertificateFiles, current: Arc<Current>) {
    let mut seen = files.changed();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = files.changed();
        if now.is_none() || now == seen {
            continue;
        }
        seen = now;
        match files.load() {
            Ok(certified) => {
                current.0.store(Arc::new(certified));
                tracing::info!(file = %files.certificate.display(), "the certificate was reloaded");
            }
            Err(error) => {
                tracing::error!(%error, "the changed certificate is not used, the old one stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn make(folder: &Path) -> CertificateFiles {
        CertificateFiles::self_made(folder, vec!["localhost".to_owned()]).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn shown(current: &Current) -> Vec<u8> {
        current.0.load().cert[0].to_vec()
    }

    /// Moves the modification time on, as a later write would.
    fn replace(path: &Path, content: &[u8], seconds: u64) {
        fs::write(path, content).unwrap();
        let later = fs::metadata(path).unwrap().modified().unwrap() + Duration::from_secs(seconds);
        fs::File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
    }

    #[test]
    fn a_self_made_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = make(folder.path()).load().unwrap();
        assert_eq!(make(folder.path()).load().unwrap().cert, first.cert);
        assert_eq!(mode(&folder.path().join("self-made.key")), 0o600);
    }

    #[test]
    fn a_key_is_private_whatever_a_start_that_was_cut_short_left() {
        let folder = tempfile::tempdir().unwrap();
        let left = beside(&folder.path().join("self-made.key"));
        fs::write(&left, "half a key").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        // Somebody who opened it reads nothing of the key.
        let mut opened = fs::File::open(&left).unwrap();
        let files = make(folder.path());
        files.load().unwrap();
        assert_eq!(mode(&files.key), 0o600);
        assert_eq!(io::read_to_string(&mut opened).unwrap(), "half a key");
        assert!(!left.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (files, new) = (make(folder.path()), make(other.path()));
        let current = Arc::new(Current(ArcSwap::from_pointee(files.load().unwrap())));
        let old = shown(&current);
        let following = tokio::spawn(follow(files.clone(), Arc::clone(&current)));
        tokio::time::sleep(LOOK * 2).await;
        assert_eq!(shown(&current), old);

        replace(&files.key, &fs::read(&new.key).unwrap(), 10);
        replace(&files.certificate, &fs::read(&new.certificate).unwrap(), 10);
        tokio::time::sleep(LOOK * 2).await;
        let taken = shown(&current);
        assert_eq!(taken, new.load().unwrap().cert[0].to_vec());

        replace(&files.certificate, b"junk", 20);
        tokio::time::sleep(LOOK * 2).await;
        assert_eq!(shown(&current), taken);
        following.abort();
    }
}
