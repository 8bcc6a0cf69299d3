//! An ffmpeg of one track: FLV on its standard input, FLV on its standard output.
//!
//! It runs as a process of its own, so that outsiders' media which crashes it or makes it spin ends nothing else. It
//! is the same user's process: whoever wants a wall around it names a wrapper that builds one in `transcode.ffmpeg`.
//! When the node goes, its input ends, and so does it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base::limits;
use bytes::Bytes;
use container::flv::{FILE_HEADER_BYTES, TAG_HEADER_BYTES, TAG_TRAILER_BYTES, TagHeader, check_file_header};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

/// How much is kept of what it complains about.
const COMPLAINT_BYTES_MAX: usize = 400;
/// How long it may take to be gone after it was killed.
const REAP_MAX: Duration = Duration::from_secs(1);

/// Why a child is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    #[error("the program {program} cannot be started ({error}); transcode.ffmpeg in penstock.toml names it")]
    Start { program: String, error: std::io::Error },
    #[error("it ended: {0}")]
    Ended(String),
    #[error("it takes nothing any more")]
    InputStalled,
    #[error("nothing comes from it any more")]
    OutputStalled,
    #[error("what comes from it is not what was asked for: {0}")]
    Output(String),
}

/// A running ffmpeg; dropped, it is killed.
pub(crate) struct Child {
    process: tokio::process::Child,
    complaint: Complaint,
}

/// The end of what it said on standard error.
#[derive(Clone, Default)]
struct Complaint(Arc<Mutex<Vec<u8>>>);

/// Where it is given what it transcodes.
pub(crate) struct Input(ChildStdin);

/// Where what it made comes from.
pub(crate) struct Output(BufReader<ChildStdout>);

/// A tag that came from it.
pub(crate) struct Tag {
    pub(crate) header: TagHeader,
    pub(crate) body: Bytes,
}

impl Child {
    /// Starts `program` with what stands between its input and its output.
    pub(crate) fn start(program: &Path, args: &[String]) -> Result<(Self, Input, Output), ChildError> {
        let start = |error| ChildError::Start { program: program.display().to_string(), error };
        let mut command = Command::new(program);
        // What this node is told in secret is nothing to it.
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let mut process = command
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-copyts"])
            // What there is has to be decoded to be known, and is: without this it waits for 5 s of it.
            .args(["-probesize", "32", "-analyzeduration", "0"])
            .args(["-threads", "1", "-protocol_whitelist", "pipe", "-f", "flv", "-i", "pipe:0"])
            .args(args)
            .args(["-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let (Some(input), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(start(std::io::ErrorKind::BrokenPipe.into()));
        };
        let complaint = Complaint::default();
        // Ends with the process.
        tokio::spawn(complaint.clone().listen(errors));
        Ok((Self { process, complaint }, Input(input), Output(BufReader::new(output))))
    }

    /// Ends it, if it has not ended, and puts what it complained about into what its end looked like.
    pub(crate) async fn explain(mut self, error: ChildError) -> ChildError {
        // An error means that it is gone already.
        let _ = self.process.start_kill();
        let status = tokio::time::timeout(REAP_MAX, self.process.wait()).await;
        match error {
            ChildError::Ended(_) => {
                let complaint = String::from_utf8_lossy(&self.complaint.0.lock()).trim().to_owned();
                ChildError::Ended(match (complaint.is_empty(), status) {
                    (false, _) => complaint,
                    (true, Ok(Ok(status))) => status.to_string(),
                    (true, _) => "without a word".to_owned(),
                })
            }
            error => error,
        }
    }
}

impl Complaint {
    async fn listen(self, mut errors: ChildStderr) {
        let mut read = [0; COMPLAINT_BYTES_MAX];
        while let Ok(count @ 1..) = errors.read(&mut read).await {
            let mut said = self.0.lock();
            said.extend_from_slice(&read[..count]);
            let more = said.len().saturating_sub(COMPLAINT_BYTES_MAX);
            said.drain(..more);
        }
    }
}

impl Input {
    /// Hands it bytes of FLV.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ChildError> {
        match tokio::time::timeout(limits::CHILD_STALL_MAX, self.0.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ChildError::Ended(error.to_string())),
            Err(_) => Err(ChildError::InputStalled),
        }
    }
}

impl Output {
    /// Reads the file's header.
    pub(crate) async fn begin(&mut self) -> Result<(), ChildError> {
        let mut header = [0; FILE_HEADER_BYTES];
        self.fill(&mut header).await?;
        check_file_header(&header).map_err(|why| ChildError::Output(why.to_string()))
    }

    /// Reads the next tag. Not cancel-safe.
    pub(crate) async fn tag(&mut self) -> Result<Tag, ChildError> {
        let mut header = [0; TAG_HEADER_BYTES];
        self.fill(&mut header).await?;
        let header = TagHeader::read(&header);
        let bytes = header.bytes as usize;
        if bytes > limits::UNIT_BYTES_MAX {
            return Err(ChildError::Output(format!("a tag of {bytes} bytes")));
        }
        let mut body = vec![0; bytes];
        self.fill(&mut body).await?;
        let mut trailer = [0; TAG_TRAILER_BYTES];
        self.fill(&mut trailer).await?;
        Ok(Tag { header, body: body.into() })
    }

    async fn fill(&mut self, into: &mut [u8]) -> Result<(), ChildError> {
        match self.0.read_exact(into).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ChildError::Ended(error.to_string())),
        }
    }
}
