//! `make demo`: a node, a moving picture, and the address to look at it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use penstock_test_support::{Marker, MarkerOptions, request, terminate};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal;
use tokio::time::{sleep, timeout};

/// Time for the node to be ready and for its end.
const NODE_MAX: Duration = Duration::from_secs(20);
/// How often ffmpeg and the node are looked after.
const LOOK: Duration = Duration::from_millis(200);

/// Starts a node and publishes a moving picture to it.
#[derive(Parser)]
struct Arguments {
    /// The penstock program.
    #[arg(long)]
    node: PathBuf,
    /// The application to publish to.
    #[arg(long, default_value = "LiveApp")]
    app: String,
    /// The name of the stream.
    #[arg(long, default_value = "demo")]
    stream: String,
    /// The node's web port, as in its configuration.
    #[arg(long, env = "PENSTOCK_HTTP_PORT", default_value_t = 5080)]
    http_port: u16,
    /// The node's RTMP port, as in its configuration.
    #[arg(long, env = "PENSTOCK_RTMP_PORT", default_value_t = 1935)]
    rtmp_port: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for (port, what) in [(arguments.http_port, "HTTP"), (arguments.rtmp_port, "RTMP")] {
        if TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await.is_err() {
            let key = format!("PENSTOCK_{what}_PORT");
            bail!(
                "port {port} ({what}) is in use, perhaps by a node that runs already: stop it, or choose \
                 another port by {key}=<port> make demo"
            );
        }
    }
    let mut node = Command::new(&arguments.node)
        .env("PENSTOCK_HTTP_PORT", arguments.http_port.to_string())
        .env("PENSTOCK_RTMP_PORT", arguments.rtmp_port.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        // Ctrl-C reaches the whole group of the terminal: the node is told by us, after the encoder.
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} could not be started", arguments.node.display()))?;
    let mut marker = None;
    let shown = tokio::select! {
        shown = show(arguments, &mut node, &mut marker) => shown,
        stopped = interrupted() => stopped,
    };
    // The encoder says goodbye while there is still a node to say it to.
    let ended = marker.map_or(Ok(()), |marker| marker.stop().map(drop));
    if let Some(pid) = node.id() {
        terminate(pid);
    }
    if timeout(NODE_MAX, node.wait()).await.is_err() {
        node.kill().await?;
        bail!("the node did not end within {NODE_MAX:?} and was killed");
    }
    shown.and(ended.map_err(Into::into))
}

async fn interrupted() -> anyhow::Result<()> {
    let mut terminated = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        asked = signal::ctrl_c() => asked?,
        _ = terminated.recv() => {}
    }
    println!("\nEnding.");
    Ok(())
}

/// Publishes until something ends.
async fn show(arguments: &Arguments, node: &mut Child, marker: &mut Option<Marker>) -> anyhow::Result<()> {
    let http = format!("http://localhost:{}", arguments.http_port);
    let ready = async {
        loop {
            if let Some(status) = node.try_wait()? {
                bail!("the node ended with {status}");
            }
            let answer =
                request("GET", &format!("http://127.0.0.1:{}/readyz", arguments.http_port), None).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    };
    timeout(NODE_MAX, ready)
        .await
        .with_context(|| format!("the node was not ready within {NODE_MAX:?}"))??;
    let Arguments { app, stream, rtmp_port, .. } = arguments;
    let target = format!("rtmp://127.0.0.1:{rtmp_port}/{app}/{stream}");
    let marker = marker.insert(Marker::start(MarkerOptions::to_rtmp(target))?);
    println!("\n  Look at {http}/{app}/play.html?id={stream}\n  Ctrl-C ends the demo.\n");
    loop {
        if let Some(error) = marker.failure() {
            bail!("the picture ended: {error}");
        }
        if let Some(status) = node.try_wait()? {
            bail!("the node ended with {status}");
        }
        sleep(LOOK).await;
    }
}
