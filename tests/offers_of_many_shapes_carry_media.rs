//! What is answered of an offer carries media: a browser publishes by offers of other shapes than its own, and what was
//! agreed on comes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::http_session::{begin_in, teach};
use test_support::{Browser, Camera, Node, NodeOptions, Turn, note};

const PATIENCE: Duration = Duration::from_secs(20);
/// Frames and packets of sound: a second of them.
const UNITS: f64 = 30.0;

/// A shape in words, how the page makes it, the codec of the pictures that are taken, and whether there is sound.
type Row = (&'static str, &'static str, &'static str, bool);

/// Constrained baseline, as it is.
const BASELINE: &str =
    "prefer: (codecs) => codecs.filter(({ sdpFmtpLine }) => /mode=1.*42e01f/.test(sdpFmtpLine ?? ''))";

fn rows() -> Vec<Row> {
    vec![
        ("42e01f only", "BASELINE", "h264", true),
        (
            "640c1f only",
            "BASELINE, change: (sdp) => sdp.replaceAll('42e01f', '640c1f'), \
             back: (sdp) => sdp.replaceAll('640c1f', '42e01f')",
            "h264",
            true,
        ),
        (
            "VP8 only",
            "prefer: (codecs) => codecs.filter(({ mimeType }) => mimeType === 'video/VP8')",
            "vp8",
            true,
        ),
        ("no audio", "kinds: ['video']", "h264", false),
        (
            "five codecs in odd order",
            "prefer: (codecs) => ['AV1', 'VP9', 'rtx', 'VP8', 'H264', 'red', 'ulpfec']\
               .flatMap((name) => codecs.filter(({ mimeType }) => mimeType === `video/${name}`))",
            "h264",
            true,
        ),
        (
            "plan b",
            "change: (sdp) => sdp.replace('BUNDLE 0 1', 'BUNDLE audio video').replace('a=mid:0', 'a=mid:audio')\
               .replace('a=mid:1', 'a=mid:video').replace(/a=msid:.*\\r\\n/g, '').replace(/a=extmap:.*sdes:mid\\r\\n/g, ''), \
             back: (sdp) => sdp.replace('BUNDLE audio video', 'BUNDLE 0 1').replace('a=mid:audio', 'a=mid:0')\
               .replace('a=mid:video', 'a=mid:1')",
            "h264",
            true,
        ),
    ]
}

async fn units(node: &Node, kind: &str) -> Result<f64> {
    Ok(node.metric("penstock_units_total", &[kind]).await?)
}

async fn carries(node: &Node, page: &Browser, stream: &str, row: &Row) -> Result<()> {
    let (_, shape, codec, has_sound) = row;
    let shape = shape.replace("BASELINE", BASELINE);
    let before = (units(node, "kind=\"video\"").await?, units(node, "kind=\"audio\"").await?);
    let url = node.http_url(&format!("/LiveApp/whip/{stream}"));
    begin_in(page, &format!("window.publish('{url}', {{ {shape} }})")).await?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |now| now > before.0 + UNITS)
        .await
        .context("no pictures came")?;
    if *has_sound {
        node.until_metric("penstock_units_total", &["kind=\"audio\""], PATIENCE, |now| {
            now > before.1 + UNITS
        })
        .await
        .context("no sound came")?;
    }
    let path = format!("/LiveApp/rest/v2/broadcasts/{stream}/stream-info");
    let shown = async || {
        let shown = node.get(&path).await.ok()?.json();
        (shown[0]["videoCodec"] == **codec).then_some(())
    };
    Node::eventually(PATIENCE, shown).await.with_context(|| format!("its pictures are not {codec}"))?;
    if !has_sound {
        ensure!(units(node, "kind=\"audio\"").await? == before.1, "there is sound that nobody offered");
    }
    page.run("window.leave()").await?;
    node.until_broadcast("LiveApp", stream, PATIENCE, Value::is_null).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_them() -> Result<()> {
    let _turn = Turn::take().await?;
    let options =
        NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).setting("LiveApp", "settings.vp8Enabled", "true");
    let node = Node::start(options).await?;
    for (index, row) in rows().iter().enumerate() {
        let page = Browser::start_with(Camera::of(&[]).options()).await?;
        page.open(&node.http_url("/livez")).await?;
        teach(&page).await?;
        carries(&node, &page, &format!("shape{index}"), row).await.with_context(|| row.0.to_owned())?;
        note(&format!("{}: it came", row.0));
        page.close().await?;
    }
    Ok(())
}
