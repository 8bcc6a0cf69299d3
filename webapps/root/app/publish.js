// The publish page: reads its address, drives camera and publisher, and puts what they say on the screen.
//
// Parameters as in Ant Media Server: id (or name), token, subscriberId, subscriberCode, streamName, mainTrack, metaData.

import { Capture } from "./capture.js";
import { Chat } from "./chat.js";
import { credentialsOf } from "./credentials.js";
import { DeviceChoice } from "./devices.js";
import { showFigures } from "./figures.js";
import { Level } from "./level.js";
import { addressField, applicationHere, node, playAddress, secureAddress, signallingAddress } from "./node.js";
import { Publisher } from "./publisher.js";
import { UNABLE, deviceTrouble, insecureTrouble, lostTrouble, screenTrouble } from "./troubles.js";
import { keepAwake } from "./wake.js";

const DEFAULT_NAME = "stream1";
const CLOCK_MS = 250;

const parameters = new URLSearchParams(location.search);
const text = (name) => parameters.get(name) ?? "";
const find = (id) => document.getElementById(id);
const buttons = { toggle: find("toggle"), mute: find("mute"), blank: find("blank"), screen: find("screen") };

const application = applicationHere();
find("application").textContent = application;
find("id").value = text("id") || text("name") || DEFAULT_NAME;

const capture = new Capture();
const level = new Level(find("level"));
const publisher = new Publisher({
  url: signallingAddress(application, "origin"),
  request: {
    ...credentialsOf(parameters),
    ...Object.fromEntries(["streamName", "mainTrack", "metaData"].map((name) => [name, text(name)])),
  },
  tracks: () => capture.tracks,
});

// -- state in words

const BUSY = ["asking", "connecting", "retrying"];
const READY = { name: "ready", text: "Ready", advice: "Nobody else sees this before you press Start." };
let shown = { name: "loading" };

function show(state) {
  shown = state;
  const { name, text: what, advice } = state;
  find("what").textContent = what;
  find("what").className = name === "live" ? "what dot" : "what";
  find("todo").textContent = name === "live" ? whatViewersGet() : advice;
  find("spinner").hidden = !BUSY.includes(name);
  buttons.toggle.textContent = publisher.isRunning ? "Stop" : name === "trouble" ? "Try again" : "Start";
  buttons.toggle.disabled = name === "asking" || name === "insecure";
  find("id").readOnly = publisher.isRunning;
  document.body.dataset.state = name;
  showClock();
}

function whatViewersGet() {
  const { video, audio } = capture.tracks;
  if (video?.enabled && audio?.enabled) return "Whoever opens the address of the player sees and hears this.";
  if (video?.enabled) return "Viewers see this, but they hear nothing.";
  if (audio?.enabled) return "Viewers hear you, but they see nothing.";
  return "Viewers neither see nor hear anything.";
}

/** Beside what is read out: a clock that runs is nothing to hear every second. */
function showClock() {
  const { since, until } = shown;
  find("clock").hidden = since === undefined && until === undefined;
  if (since !== undefined) find("clock").textContent = `for ${duration(performance.now() - since)}`;
  if (until !== undefined) {
    find("clock").textContent = `Next try in ${Math.max(Math.ceil((until - performance.now()) / 1000), 0)} s`;
  }
}
setInterval(showClock, CLOCK_MS);

function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${two(minutes)}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

publisher.addEventListener("state", ({ detail }) => {
  show(detail);
  keepAwake(publisher.isRunning);
});

// -- the name and where it is seen

function showLink() {
  const address = playAddress(application, find("id").value);
  find("link").replaceChildren(addressField("Address of the player", address));
  find("play").href = address;
  find("host").textContent = location.hostname;
  find("local").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  document.title = `${find("id").value} – publish`;
}
find("id").addEventListener("input", showLink);
find("naming").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!publisher.isRunning) buttons.toggle.click();
});
showLink();

// -- camera, microphone and screen

const choices = [
  new DeviceChoice(capture, "video", find("camera"), choose),
  new DeviceChoice(capture, "audio", find("microphone"), choose),
];

async function choose(kind, deviceId) {
  note();
  try {
    await capture.choose(kind, deviceId);
  } catch (error) {
    note(deviceTrouble(error, [kind]));
  }
  if (!publisher.isRunning) show(hasTracks() ? READY : { name: "trouble", ...NOTHING });
}

const NOTHING = { text: "There is nothing to send.", advice: "Choose a camera or a microphone, or share the screen." };
const hasTracks = () => Object.values(capture.tracks).some((track) => track !== undefined);

function note(trouble) {
  find("note").textContent = trouble === undefined ? "" : `${trouble.text} ${trouble.advice}`;
}

/** Asks for camera and microphone; whether there is something to send. */
async function open() {
  show({ name: "asking", text: "Asking for your camera and microphone", advice: "The browser may want to know whether it may. Choose Allow." });
  note();
  try {
    for (const [kind, error] of Object.entries(await capture.open())) note(deviceTrouble(error, [kind]));
  } catch (error) {
    show({ name: "trouble", ...deviceTrouble(error, ["video", "audio"]) });
    return false;
  }
  show(hasTracks() ? READY : { name: "trouble", ...NOTHING });
  return hasTracks();
}

capture.addEventListener("change", ({ detail: kind }) => {
  const { video, audio } = capture.tracks;
  if (kind === "audio") level.follow(audio);
  if (kind === "video") {
    find("video").srcObject = video === undefined ? null : new MediaStream([video]);
    find("video").play().catch(() => {});
  }
  buttons.screen.setAttribute("aria-pressed", String(capture.isScreenShared));
  showWhatIsOff();
  buttons.blank.textContent = capture.isScreenShared ? "Screen off" : "Camera off";
  buttons.blank.disabled = video === undefined;
  buttons.mute.disabled = audio === undefined;
  if (!publisher.isRunning) return;
  if (hasTracks()) publisher.replace(kind);
  else publisher.stop(NOTHING.text, NOTHING.advice);
});
capture.addEventListener("lost", ({ detail: kind }) => note(lostTrouble(kind)));

for (const [button, kind] of [[buttons.mute, "audio"], [buttons.blank, "video"]]) {
  button.addEventListener("click", () => {
    const off = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(off));
    capture.setOff(kind, off);
    showWhatIsOff();
  });
}

function showWhatIsOff() {
  const { video } = capture.tracks;
  find("nothing").hidden = video?.enabled === true;
  find("nothing").textContent = video === undefined ? "No picture" : "The picture is off";
  if (shown.name === "live") show(shown);
}

buttons.screen.addEventListener("click", async () => {
  if (capture.isScreenShared) return capture.endScreen();
  note();
  try {
    await capture.shareScreen();
    if (!publisher.isRunning) show(READY);
  } catch (error) {
    note(screenTrouble(error));
  }
});

// -- start and stop

buttons.toggle.addEventListener("click", async () => {
  if (publisher.isRunning) return publisher.stop();
  const wasTrouble = shown.name === "trouble";
  if (!find("naming").reportValidity()) return;
  if (!hasTracks() && !(await open())) return;
  // "Try again" was about the camera: that nobody sees it yet still holds.
  if (wasTrouble) return;
  publisher.start(find("id").value);
});

addEventListener("beforeunload", (event) => {
  if (publisher.isRunning) event.preventDefault();
});

// -- chat and statistics

const chat = new Chat(find("chat"), { onOpen: () => { find("chat").hidden = false; } });
publisher.addEventListener("channel", ({ detail }) => chat.use(detail));
showFigures({
  button: find("figures-toggle"),
  list: find("figures"),
  report: () => publisher.statistics(),
  none: "none while nothing is sent",
});

// -- the beginning

/** Browsers give cameras to secure pages only. */
async function explainInsecure() {
  // Without the node's word there is no address to give.
  const facts = await node().catch(() => undefined);
  const isFramed = location.protocol === "https:";
  const address = isFramed ? location.href : facts && secureAddress(facts);
  const warns = facts?.httpsWarns ?? true;
  // Straight there, but not into a warning that nobody has explained.
  if (address !== undefined && !isFramed && !warns) return location.replace(address);
  if (address !== undefined) {
    find("secure").href = address;
    find("secure").hidden = false;
    buttons.toggle.hidden = true;
  }
  show({ name: "insecure", ...insecureTrouble({ address, isFramed }) });
}

if (!window.isSecureContext) {
  await explainInsecure();
} else if (navigator.mediaDevices === undefined) {
  show({ name: "insecure", ...UNABLE });
} else {
  buttons.screen.hidden = !("getDisplayMedia" in navigator.mediaDevices);
  await open();
}
