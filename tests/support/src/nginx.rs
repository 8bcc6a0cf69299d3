//! A web server that stands in front of a node: nginx, with a configuration of the test's.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::end_tree;

/// A running nginx; dropping it kills it.
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Starts the program on a port of 127.0.0.1. `server` is what its one `server` block holds, in nginx's words.
    ///
    /// It has no port 0. But it can be handed a socket that listens already (it does so when it is upgraded), and then
    /// nobody else can have the port, and who connects before it is ready waits.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &Path, server: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("penstock-nginx-").tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let root = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {root}/{kind};\n"))
            .concat();
        // Without a file for what does not fit into its memory: its workers may not write into our folder.
        let configuration = format!(
            "daemon off;\nworker_processes 1;\npid {root}/pid;\nerror_log {root}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\nproxy_max_temp_file_size 0;\n{temporary}\
             server {{\nlisten {address};\n{server}\n}}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration)?;
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(file)
            // The socket is its standard input.
            .env("NGINX", "0;")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Self { child, address, _folder: folder })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a page; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It has a child that does the work.
        end_tree(self.child.id());
        let _ = self.child.wait();
    }
}
