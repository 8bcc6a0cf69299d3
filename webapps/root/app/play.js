// The play page: reads its address, drives the player, and puts what it says on the screen.
//
// Parameters as in Ant Media Server: id (or name), token, subscriberId, subscriberCode, room (or roomId), metaData, autoplay, mute.

import { Chat } from "./chat.js";
import { credentialsOf } from "./credentials.js";
import { showFigures } from "./figures.js";
import { applicationHere, signallingAddress } from "./node.js";
import { Player } from "./player.js";
import { refusal } from "./refusals.js";

const parameters = new URLSearchParams(location.search);
const text = (name) => parameters.get(name) ?? "";
const isOff = (name) => ["false", "0"].includes(text(name).toLowerCase());
const isOn = (name) => ["true", "1"].includes(text(name).toLowerCase());

const find = (id) => document.getElementById(id);
const video = find("video");
const buttons = {
  toggle: find("toggle"),
  mute: find("mute"),
  chat: find("chat-toggle"),
  figures: find("figures-toggle"),
  full: find("full"),
};

const streamId = text("id") || text("name");
find("name").textContent = streamId || "No stream";
document.title = streamId ? `${streamId} – live` : "Penstock player";

const player = new Player({
  url: signallingAddress(applicationHere(), "edge"),
  streamId,
  credentials: credentialsOf(parameters),
  room: text("room") || text("roomId"),
  metaData: text("metaData"),
  video,
});

// -- state in words

const BUSY = ["connecting", "waiting", "retrying"];
const BRIEF = {
  stopped: "Stopped",
  connecting: "Connecting",
  waiting: "Waiting for the stream to begin",
  playing: "Live",
  stalled: "Standing still",
  ended: "Ended",
  retrying: "Trying again",
  refused: "Not playing",
};

function show({ name, text: what, advice }) {
  const hadFocus = document.activeElement === find("again");
  find("say").hidden = name === "playing";
  find("what").textContent = what;
  find("todo").textContent = advice;
  find("spinner").hidden = !BUSY.includes(name);
  find("again").hidden = name !== "refused" && name !== "stopped";
  find("again").textContent = name === "stopped" ? "Play" : "Try again";
  find("brief").textContent = BRIEF[name];
  find("brief").className = name === "playing" ? "dot" : "quiet";
  buttons.toggle.textContent = player.isRunning ? "Stop" : "Play";
  // A button that goes must not take the keyboard's place with it.
  if (hadFocus && (find("again").hidden || find("say").hidden)) buttons.toggle.focus();
  showSound();
  document.body.dataset.state = name;
}
player.addEventListener("state", ({ detail }) => show(detail));

buttons.toggle.addEventListener("click", () => (player.isRunning ? player.stop() : start()));
find("again").addEventListener("click", start);

function start() {
  if (streamId === "") {
    show({ name: "refused", ...refusal({ definition: "noStreamNameSpecified" }) });
    return;
  }
  player.start();
}

// -- sound

/** Whether the browser, not the person, took the sound away. */
let silenced = false;
video.muted = isOn("mute");

function showSound() {
  buttons.mute.textContent = video.muted ? "Unmute" : "Mute";
  find("sound").hidden = !(silenced && video.muted && player.state.name === "playing");
}
function setMuted(muted) {
  silenced = false;
  video.muted = muted;
  showSound();
}
buttons.mute.addEventListener("click", () => setMuted(!video.muted));
find("sound").addEventListener("click", () => {
  setMuted(false);
  buttons.mute.focus();
});
video.addEventListener("volumechange", showSound);

player.addEventListener("media", async () => {
  try {
    await video.play();
  } catch (error) {
    // AbortError: another track came, and its own call goes on.
    if (error.name !== "NotAllowedError") return;
    // Each track brings its own refusal: only the first finds the sound still on.
    if (!video.muted) {
      silenced = true;
      video.muted = true;
    }
    video.play().catch(({ name }) => {
      if (name !== "NotAllowedError") return;
      show({ name: "stopped", text: "The browser waits for you to begin.", advice: "" });
    });
  }
});

// -- chat, statistics and full screen

let unread = 0;
const chat = new Chat(find("chat"), {
  onOpen: () => { buttons.chat.hidden = false; },
  onMessage: () => {
    if (!find("chat").hidden) return;
    unread += 1;
    buttons.chat.textContent = `Chat (${unread})`;
  },
});
player.addEventListener("channel", ({ detail }) => chat.use(detail));
buttons.chat.addEventListener("click", () => {
  const on = find("chat").hidden;
  find("chat").hidden = !on;
  buttons.chat.setAttribute("aria-expanded", String(on));
  if (!on) return;
  unread = 0;
  buttons.chat.textContent = "Chat";
  chat.showNewest();
  find("chat-text").focus();
});

showFigures({
  button: buttons.figures,
  list: find("figures"),
  report: () => player.statistics(),
  none: "none while nothing plays",
});

buttons.full.hidden = !document.fullscreenEnabled;
buttons.full.addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else find("stage").requestFullscreen();
});

if (streamId === "" || !isOff("autoplay")) start();
else show(player.state);
