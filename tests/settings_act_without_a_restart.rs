//! Settings that are changed over REST, by the command line or by hand in their file act while the node runs; what was changed
//! over REST stands in the file, and no file undoes what was stored.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use test_support::{Node, NodeOptions, RtmpClient};
use tokio::time::sleep;

const PATH: &str = "/rest/v2/applications/settings/LiveApp";
/// A changed file is taken within two seconds; a loaded machine may be late.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
const LATE_MAX: Duration = Duration::from_secs(3);

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

async fn undefined_is_refused(node: &Node) -> Result<bool> {
    let publisher = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "undefined").await?;
    Ok(publisher.await_end().await.refused("NetStream.Publish.BadName"))
}

async fn setting(node: &Node, key: &str) -> Result<Value> {
    Ok(node.get(PATH).await?.json()[key].clone())
}

/// Waits until a setting has a value; how long that took.
async fn until(node: &Node, key: &str, value: &Value) -> Result<Duration> {
    let began = SystemClock.now();
    loop {
        let now = setting(node, key).await?;
        let took = SystemClock.now() - began;
        if now == *value {
            return Ok(took);
        }
        ensure!(took < TAKEN_WITHIN + LATE_MAX, "{key} is {now} and should be {value}");
        // The file is what is waited for, and nothing tells when it was taken.
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_over_rest_acts_at_once_and_stands_in_the_file() -> Result<()> {
    let mut node = Node::start(options()).await?;
    let file = node.properties("LiveApp");
    let before = std::fs::read_to_string(&file)?;
    let answer = node.send("PATCH", PATH, &json!({ "acceptOnlyStreamsInDataStore": true })).await?;
    ensure!(answer.status == 200 && answer.json()["success"] == true, "{}", answer.text());
    ensure!(undefined_is_refused(&node).await?, "it does not act");
    let after = std::fs::read_to_string(&file)?;
    let expected = before
        .replace("settings.acceptOnlyStreamsInDataStore=false", "settings.acceptOnlyStreamsInDataStore=true");
    ensure!(after == expected && after != before, "{after}");

    // What no file can hold is refused.
    let answer = node.send("PATCH", PATH, &json!({ "tokenHashSecret": "${a}" })).await?;
    ensure!(
        answer.status == 400 && answer.text().contains("tokenHashSecret has ${ in it"),
        "{}",
        answer.text()
    );
    // A file that could not be written does not undo what is stored: it is written when it can be.
    let in_the_way = file.with_file_name("red5-web.properties.new");
    std::fs::create_dir(&in_the_way)?;
    node.send("PATCH", PATH, &json!({ "tokenHashSecret": "hunter2", "webRTCViewerLimit": 9 })).await?;
    ensure!(std::fs::read_to_string(&file)? == after, "it was written");
    node.kill9().await?;
    std::fs::remove_dir(&in_the_way)?;
    node.restart().await?;
    ensure!(setting(&node, "webRTCViewerLimit").await? == 9, "the old file won");
    ensure!(undefined_is_refused(&node).await?, "the setting was lost");
    let rewritten = std::fs::read_to_string(&file)?;
    ensure!(rewritten.contains("webRTCViewerLimit=9") && rewritten.contains("hunter2"), "{rewritten}");

    // All is replaced as in AMS, but what must not be lost.
    let answer = node.send("POST", PATH, &json!({})).await?;
    ensure!(answer.json()["success"] == true, "{}", answer.text());
    let settings = node.get(PATH).await?.json();
    ensure!(
        settings["acceptOnlyStreamsInDataStore"] == false && settings["tokenHashSecret"] == "hunter2",
        "{settings}"
    );
    Ok(())
}

/// The files of a new installation say what every new one's do, and would switch off what the backup has switched on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_brings_back_is_not_undone_by_the_files_that_are_there() -> Result<()> {
    let protected = json!({ "playTokenControlEnabled": true, "tokenHashSecret": "hunter2" });
    let old = Node::start(options()).await?;
    let answer = old.send("PATCH", PATH, &protected).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let room = tempfile::tempdir()?;
    let copy = room.path().join("copy");
    penstock(&old, &["backup"], &copy).await?;
    let secret = std::fs::read(old.data_folder().join("sealing.secret"))?;

    let mut new = Node::start(options()).await?;
    new.kill9().await?;
    std::fs::remove_dir_all(new.data_folder())?;
    penstock(&new, &["restore"], &copy).await?;
    std::fs::write(new.data_folder().join("sealing.secret"), secret)?;
    new.restart().await?;
    for (key, value) in protected.as_object().context("an object")? {
        ensure!(setting(&new, key).await? == *value, "{key} is not what it was");
    }
    let file = std::fs::read_to_string(new.properties("LiveApp"))?;
    ensure!(file.contains("hunter2"), "the file does not say it: {file}");
    Ok(())
}

/// Runs a command with the folders of `node` on a file.
async fn penstock(node: &Node, command: &[&str], file: &std::path::Path) -> Result<()> {
    let webapps = node.properties("LiveApp").ancestors().nth(3).context("a folder")?.to_owned();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(command)
        .arg(file)
        .env("PENSTOCK_DATA_FOLDER", node.data_folder())
        .env("PENSTOCK_DATA_WEBAPPS", webapps)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_changed_by_hand_acts_while_the_node_runs() -> Result<()> {
    let node = Node::start(options()).await?;
    let file = node.properties("LiveApp");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{text}\nsettings.webRTCViewerLimit=7\n"))?;
    let took = until(&node, "webRTCViewerLimit", &json!(7)).await?;
    ensure!(took < TAKEN_WITHIN + LATE_MAX, "it took {took:?}");

    // What REST and a hand change at the same time both counts.
    node.send("PATCH", PATH, &json!({ "ingestingStreamLimit": 4 })).await?;
    let written = std::fs::read_to_string(&file)?;
    ensure!(written.contains("ingestingStreamLimit=4"), "{written}");
    std::fs::write(&file, written.replace("webRTCViewerLimit=7", "webRTCViewerLimit=8"))?;
    until(&node, "webRTCViewerLimit", &json!(8)).await?;
    ensure!(setting(&node, "ingestingStreamLimit").await? == 4);

    // A file with a mistake changes nothing, and is told without its secrets.
    for (mistake, complaint) in [
        ("settings.jwtStreamSecretKey=hunter2hunter2", "jwtStreamSecretKey has 14 bytes"),
        ("settings.hashControlPlayEnabled=maybe", "hashControlPlayEnabled is "),
        ("settings.customSettings=hunter2", "customSettings is ***"),
    ] {
        let good = std::fs::read_to_string(&file)?;
        std::fs::write(&file, format!("{good}\nwebRTCViewerLimit=1\n{mistake}\n"))?;
        let told = node.wait_for_log(TAKEN_WITHIN + LATE_MAX, |line| line.contains(complaint)).await;
        ensure!(told.is_some(), "nothing is said of {mistake}");
        ensure!(setting(&node, "webRTCViewerLimit").await? == 8, "{mistake}");
        std::fs::write(&file, good)?;
    }
    std::fs::write(&file, "")?;
    let told = node.wait_for_log(TAKEN_WITHIN + LATE_MAX, |line| line.contains("the file is empty")).await;
    ensure!(told.is_some() && setting(&node, "webRTCViewerLimit").await? == 8);
    ensure!(!node.log_lines().iter().any(|line| line.contains("hunter2")), "the log holds a secret");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_changes_settings() -> Result<()> {
    let node = Node::start(options()).await?;
    let penstock = async |arguments: &[&str]| -> Result<(bool, String)> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
        let command = command.env("PENSTOCK_DATA_FOLDER", node.data_folder()).arg("settings").args(arguments);
        let done = command.output().await.context("it cannot be run")?;
        let said = if done.status.success() { done.stdout } else { done.stderr };
        Ok((done.status.success(), String::from_utf8(said)?))
    };
    let secret = node.data_folder().join("secret");
    std::fs::write(&secret, "hunter2\n")?;
    let secret = format!("tokenHashSecret=@{}", secret.display());
    let (done, said) =
        penstock(&["set", "LiveApp", "hashControlPlayEnabled=true", &secret, "--if-version", "1"]).await?;
    ensure!(done && said.contains("hashControlPlayEnabled: false -> true"), "{said}");
    ensure!(said.contains("tokenHashSecret: *** -> ***") && said.contains("at version 2 now"), "{said}");
    ensure!(setting(&node, "tokenHashSecret").await? == "hunter2");
    let (done, said) = penstock(&["set", "LiveApp", "hlsTime=4", "--if-version", "1"]).await?;
    ensure!(!done && said.contains("they are at version 2 now"), "{said}");
    let (done, said) = penstock(&["diff", "LiveApp", "jwtStreamSecretKey=short"]).await?;
    ensure!(!done && said.contains("jwtStreamSecretKey has 5 bytes"), "{said}");
    let (done, said) = penstock(&["diff", "LiveApp"]).await?;
    ensure!(done && said == "hashControlPlayEnabled: false -> true\ntokenHashSecret: *** -> ***\n", "{said}");
    let (done, said) = penstock(&["get", "LiveApp", "hlsTime", "tokenHashSecret"]).await?;
    ensure!(done && said == "hlsTime=2\ntokenHashSecret=hunter2\n", "{said}");
    let (done, said) = penstock(&["get", "LiveApp"]).await?;
    ensure!(done && said.contains("h264Enabled=true\n") && !said.contains("hunter2"), "{said}");
    let (done, said) = penstock(&["get", "NoApp"]).await?;
    ensure!(!done && said.contains("there is no such application"), "{said}");
    Ok(())
}
