//! Subscribers by keyboard: an authenticator app reads the secret off the page, its codes let somebody in, who is kicked,
//! blocked and unblocked.

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use security::credential::totp;
use test_support::Browser;

use super::panel::{ENTER, NAME, Panel};
use super::{APP, STREAM, is, sent_away};

const SUBSCRIBER: &str = "anna";
/// Seconds, as the application has it.
const PERIOD_S: u32 = 60;
/// Dots of a picture for each module of a QR code.
const DOTS: usize = 8;

/// The secret that an authenticator app has when a camera was held in front of the page.
async fn scanned(panel: &Panel) -> Result<String> {
    let script = "const code = document.querySelector('svg.qr');
        return [code.viewBox.baseVal.width, code.querySelector('path').getAttribute('d')]";
    let drawn = panel.page.run(script).await?;
    let size = drawn[0].as_u64().and_then(|size| usize::try_from(size).ok()).context("no size")?;
    let path = drawn[1].as_str().context("no path")?;
    let mut dark = vec![false; size * size];
    for module in path.split('M').skip(1) {
        let place = module.split('h').next().and_then(|place| place.split_once(' ')).context("no place")?;
        dark[place.1.parse::<usize>()? * size + place.0.parse::<usize>()?] = true;
    }
    let shade = |x: usize, y: usize| if dark[y / DOTS * size + x / DOTS] { 0 } else { 255 };
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(size * DOTS, size * DOTS, shade);
    let [found] = picture.detect_grids().try_into().ok().context("not one code is seen")?;
    let (_, address) = found.decode()?;
    let expected = format!("otpauth://totp/Penstock%20{APP}:{SUBSCRIBER}%20{STREAM}?secret=");
    let secret = address.strip_prefix(&expected).with_context(|| address.clone())?;
    let (secret, others) = secret.split_once('&').context("a secret alone")?;
    ensure!(
        others == format!("issuer=Penstock%20{APP}&algorithm=SHA1&digits=6&period={PERIOD_S}"),
        "{others}"
    );
    Ok(secret.to_owned())
}

/// The player's page with the code that an authenticator app shows now.
fn address(panel: &Panel, secret: &str) -> Result<String> {
    let key = totp::key_of_base32(secret).context("no secret")?;
    let code = totp::code(&key, PERIOD_S, SystemClock.wall());
    let path = format!("/{APP}/play.html?id={STREAM}&subscriberId={SUBSCRIBER}&subscriberCode={code}");
    Ok(panel.node.http_url(&path))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_is_made_let_in_kicked_and_blocked() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.switches("codes to play", "TOTP codes to play").await?;
    panel.save().await?;
    panel.press("Streams").await?;
    let _encoder = panel.publishes().await?;
    panel.press(STREAM).await?;
    panel.press("Subscribers").await?;
    panel.shows("Make a subscriber").await?;
    panel.write("Name", SUBSCRIBER).await?;
    panel.page.press(ENTER).await?;
    panel.shows("The secret of anna").await?;
    let secret = scanned(&panel).await?;
    ensure!(panel.value_of("Secret (Base32)").await? == secret, "the code says another secret");
    panel.press("Code of anna").await?;
    panel.shows("a new one in").await?;
    let shown = panel.value_of("Browser").await?;
    ensure!(shown.contains("&subscriberId=anna&subscriberCode="), "{shown}");

    let viewer = Browser::start().await?;
    viewer.open(&address(&panel, &secret)?).await?;
    is(&viewer, "playing").await?;
    panel.press("Live sessions").await?;
    panel.shows("Player anna").await?;
    panel.press("Kick player anna").await?;
    panel.shows("Send this player away?").await?;
    panel.press("Kick").await?;
    sent_away(&viewer, "Whoever runs the stream has stopped it for you.").await?;

    // That is no block: the next code is good.
    viewer.open(&address(&panel, &secret)?).await?;
    is(&viewer, "playing").await?;
    panel.press("Subscribers").await?;
    panel.shows("Make a subscriber").await?;
    panel.press("Block anna").await?;
    panel.press("Block now").await?;
    panel.shows("anna is blocked.").await?;
    // Whoever plays by WebRTC is paused, and not let in anew.
    panel.press("Live sessions").await?;
    panel.shows("suspended").await?;
    viewer.open(&address(&panel, &secret)?).await?;
    is(&viewer, "refused").await?;
    let text = viewer.text().await?;
    ensure!(text.contains("You are blocked from this stream."), "{text}");

    panel.press("Subscribers").await?;
    panel.shows("Make a subscriber").await?;
    panel.press("Unblock anna").await?;
    panel.shows("anna is unblocked.").await?;
    viewer.open(&address(&panel, &secret)?).await?;
    is(&viewer, "playing").await?;
    panel.press("Connection events").await?;
    panel.shows("kicked").await?;
    viewer.close().await?;

    panel.press("Test a credential").await?;
    panel.write("Subscriber", SUBSCRIBER).await?;
    panel.write("Subscriber's code", "12345").await?;
    panel.press("Test it").await?;
    panel.shows("They may not play.").await?;
    ensure!(panel.page.run(NAME).await? == "They may not play.", "the answer is not read out");
    panel.page.close().await?;
    Ok(())
}
