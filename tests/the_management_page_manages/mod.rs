//! The management page is part of the program, and everything it is for can be done by keyboard alone: the first user is
//! made, JWT is switched on, a token is minted, somebody plays by it, it is withdrawn, and they see why it is over.

mod panel;
mod subscribers;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::Browser;

use panel::{ENTER, NAME, Panel};

const APP: &str = "LiveApp";
const STREAM: &str = "stream1";
/// Of the first user.
const EMAIL: &str = "admin@example.org";
const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(20);
/// Between the answer to a revocation and the end of what it ends.
const END_MAX: Duration = Duration::from_secs(3);
const WITHDRAWN: &str = "Your permission to watch has been withdrawn.";

async fn is(page: &Browser, state: &str) -> Result<()> {
    let script = format!("return document.body.dataset.state === '{state}'");
    Ok(page.wait_until(state, PATIENCE, &script).await?)
}

/// Whoever presses Tab as soon as a page can be seen is not called back to its heading afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_the_keyboards_place_at_once_or_not_at_all() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.shows("Register a stream").await?;
    panel.press("Settings").await?;
    panel.shows("settings are shown").await?;
    panel.press("Users").await?;
    panel.shows("A new user").await?;
    panel.press("Applications").await?;
    panel.shows("Each is a place of its own").await?;
    let came = panel.page.run("return headings.came").await?;
    ensure!(came.as_array().is_some_and(|came| came.len() >= 6), "only {came} were seen");
    let late = panel.page.run("return headings.late").await?;
    ensure!(late == json!([]), "of {came}, {late} took the keyboard's place late");
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_registered_stopped_and_deleted_by_keyboard() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.shows("Register a stream").await?;
    panel.write("Name in addresses", "lecture-2").await?;
    panel.page.press(ENTER).await?;
    panel.shows("lecture-2 was created.").await?;

    let _encoder = panel.publishes().await?;
    panel.shows("Viewers").await?;
    panel.press(&format!("Stop {STREAM}")).await?;
    panel.shows(&format!("{STREAM} was stopped.")).await?;
    panel
        .node
        .until_broadcast(APP, STREAM, END_MAX, |broadcast| broadcast["status"] != "broadcasting")
        .await?;

    panel.press("lecture-2").await?;
    panel.shows("Open the publish page").await?;
    ensure!(panel.value_of("Browser").await?.ends_with(&format!("/{APP}/publish.html?id=lecture-2")));
    ensure!(panel.value_of("OBS: stream key").await? == "lecture-2");
    panel.press("Delete lecture-2").await?;
    panel.shows("Delete lecture-2?").await?;
    // Whoever goes on pressing Enter leaves it.
    ensure!(panel.page.run(NAME).await? == "Leave it");
    panel.press("Delete it").await?;
    panel.node.until_broadcast(APP, "lecture-2", PATIENCE, Value::is_null).await?;
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_and_deleted_by_keyboard() -> Result<()> {
    let panel = Panel::enter().await?;
    let status = async || anyhow::Ok(panel.node.get("/Lectures/rest/v2/version").await?.status);
    panel.write("Name of the new application", "Lectures").await?;
    panel.page.press(ENTER).await?;
    panel.shows("Lectures can be used.").await?;
    ensure!(status().await? == 200, "it cannot be used");
    panel.press("Lectures").await?;
    panel.shows("Register a stream").await?;
    panel.press("Applications").await?;
    panel.press("Delete Lectures").await?;
    panel.shows("Delete the application Lectures?").await?;
    // Whoever goes on pressing Enter leaves it.
    ensure!(panel.page.run(NAME).await? == "Leave it");
    panel.press("Delete it").await?;
    panel.shows("Lectures is gone.").await?;
    ensure!(status().await? == 404, "it is there still");
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_jwt_ends_the_play_and_the_player_says_why() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.switches("jwt", "JWT to play").await?;
    panel.write("Secret of JWTs", "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq").await?;
    panel.save().await?;

    panel.press("Streams").await?;
    let _encoder = panel.publishes().await?;
    let viewer = Browser::start().await?;
    viewer.open(&panel.node.http_url(&format!("/{APP}/play.html?id={STREAM}"))).await?;
    is(&viewer, "refused").await?;
    let text = viewer.text().await?;
    ensure!(text.contains("Not everybody may watch this stream."), "{text}");

    let address = panel.mints("JWT to play").await?;
    viewer.open(&address).await?;
    is(&viewer, "playing").await?;

    // A JWT is as good as the secret it was signed with.
    panel.press("Replace the secret of JWTs").await?;
    panel.shows("Replace the secret of JWTs?").await?;
    panel.press("Replace it").await?;
    panel.shows("All JWTs made so far are void.").await?;
    sent_away(&viewer, WITHDRAWN).await?;
    // The same address does not open it again, and a new one does.
    viewer.open(&address).await?;
    is(&viewer, "refused").await?;
    viewer.open(&panel.mints_another_than(&address).await?).await?;
    is(&viewer, "playing").await?;
    viewer.close().await?;
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_own_play_alone() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.switches("tokens to play", "One-time tokens to play").await?;
    panel.save().await?;

    panel.press("Streams").await?;
    let _encoder = panel.publishes().await?;
    let (first, second) = (Browser::start().await?, Browser::start().await?);
    let address = panel.mints("One-time token to play").await?;
    first.open(&address).await?;
    is(&first, "playing").await?;
    second.open(&panel.mints_another_than(&address).await?).await?;
    is(&second, "playing").await?;

    panel.press("Revoke it").await?;
    panel.shows("Revoke this token?").await?;
    panel.press("Revoke it").await?;
    panel.shows("The token was revoked.").await?;
    sent_away(&second, WITHDRAWN).await?;
    is(&first, "playing").await?;
    first.close().await?;
    second.close().await?;
    panel.page.close().await?;
    Ok(())
}

/// The player is told to go, and says why.
async fn sent_away(viewer: &Browser, why: &str) -> Result<()> {
    let over = "return document.body.dataset.state === 'stopped'";
    viewer.wait_until("the end", END_MAX, over).await.with_context(|| format!("not told: {why}"))?;
    let text = viewer.text().await?;
    ensure!(text.contains(why), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_has_to_log_in_again() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press("Log out").await?;
    panel.shows("Password").await?;
    // By what the browser kept nobody is in.
    panel.page.open(&panel.node.http_url("/panel/")).await?;
    panel.shows("Password").await?;
    panel.write("E-mail", EMAIL).await?;
    panel.write("Password", "incorrect horse battery").await?;
    panel.page.press(ENTER).await?;
    panel.shows("E-mail and password do not fit together.").await?;
    panel.write("Password", PASSWORD).await?;
    panel.page.press(ENTER).await?;
    panel.shows(APP).await?;
    panel.page.close().await?;
    Ok(())
}

/// Whatever the page is made of comes from the node, and it needs no exception from the pages' policy.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere() -> Result<()> {
    let panel = Panel::enter().await?;
    let loaded =
        panel.page.run("return performance.getEntriesByType('resource').map(({ name }) => name)").await?;
    let loaded: Vec<&str> = loaded.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let own = panel.node.http_url("/");
    ensure!(!loaded.is_empty() && loaded.iter().all(|address| address.starts_with(&own)), "{loaded:?}");
    let page = panel.node.get("/panel/").await?;
    ensure!(page.status == 200, "the page was not built: {}", page.status);
    let policy = page.header("content-security-policy").unwrap_or_default();
    ensure!(policy.contains("script-src 'self'; style-src 'self'"), "{policy}");
    let inline = panel
        .page
        .run("return document.querySelectorAll('script:not([src]), style, [style]').length")
        .await?;
    ensure!(inline == 0, "{inline} scripts or styles stand in the page itself");
    Ok(())
}
