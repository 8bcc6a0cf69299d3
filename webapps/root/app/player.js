// The player: one stream, from asking for it until its end, over as many connections as that takes.

import { mayBeSpent } from "./credentials.js";
import { Line } from "./line.js";
import { Peer } from "./peer.js";
import { AGAIN, LATER, LOST, NEVER, RESTART, SOON, WAIT, ending, refusal } from "./refusals.js";

/** How long an offer or a refusal may take: the server sends it when its checks are through, mostly at once. */
const ANSWER_MS = 10000;
/** A waiting player asks again now and then, in case the word that the stream began got lost. */
const WAIT_AGAIN_MS = 30000;
/** After the end of a stream it is asked for again, to be told when it begins anew. */
const AFTER_END_MS = 2000;
/** A stream that changed is asked for again at once, but after so many tries in a row not faster than any other. */
const CHANGES_AT_ONCE = 3;
/** Playing this long makes the next failure the first of a new row. */
const HEALTHY_MS = 10000;
/** No new picture for this long is worth a word. */
const STALL_MS = 3000;
const RETRY_MS = { soon: [1000, 15000], later: [10000, 60000] };
const RETRY_SPREAD = 0.25;
/** The server gives up a lost connection within this. Until then it is one of those that a subscriber may have. */
const HELD_MS = 20000;

/**
 * Plays a stream into a `<video>`. Every change is a "state" event whose `detail` is
 * `{ name, text, advice }`; `name` is one of
 * stopped, connecting, waiting, playing, stalled, ended, retrying, refused. "media" says that there is something
 * to play, and "channel" brings as `detail` the data channel on which the stream's messages go.
 */
export class Player extends EventTarget {
  #line;
  #streamId;
  #credentials;
  #room;
  #metaData;
  #video;
  #peer;
  #media;
  #watch;
  #lostConnections = 0;
  #ended = false;
  /** The server let this player in since it was started. */
  #wasIn = false;
  #running = false;
  #asked = false;
  /** When the last connection was lost. */
  #lostAt = -Infinity;
  state = { name: "stopped", text: "Stopped.", advice: "" };

  /**
   * `credentials` = `{ token, subscriberId, subscriberCode }`, each a text, empty for none; as are the `room` that the stream is
   * asked for in, and the `metaData` that webhooks are told.
   */
  constructor({ url, streamId, credentials, room = "", metaData = "", video }) {
    super();
    this.#line = new Line({
      url,
      connecting: () => this.#connecting(),
      ask: () => this.#play(),
      take: (message) => this.#take(message),
      lost: (text) => this.#retry(SOON, text, "The player is trying again."),
    });
    this.#streamId = streamId;
    this.#credentials = credentials;
    this.#room = room;
    this.#metaData = metaData;
    this.#video = video;
    video.addEventListener("playing", () => this.#pictureCame());
  }

  /** Whether there is anything to stop. */
  get isRunning() {
    return this.#running;
  }

  /** Asks for the stream. Call it from a click where the browser wants one for sound. */
  start() {
    this.#line.failures = 0;
    this.#lostConnections = 0;
    this.#ended = false;
    this.#wasIn = false;
    this.#lostAt = -Infinity;
    this.#running = true;
    this.#line.connect();
  }

  /** Leaves the stream. */
  stop() {
    this.#line.send({ command: "stop", streamId: this.#streamId });
    this.#leave();
    this.#say("stopped", "Stopped.", "");
  }

  /** The browser's statistics, or nothing while there is no connection. */
  statistics() {
    return this.#peer?.statistics();
  }

  #connecting() {
    this.#closePeer();
    this.#say("connecting", "Connecting", "");
  }

  #play() {
    this.#closePeer();
    this.#asked = true;
    const { token, subscriberId, subscriberCode } = this.#credentials;
    this.#line.send({
      command: "play",
      streamId: this.#streamId,
      token,
      room: this.#room,
      metaData: this.#metaData,
      trackList: [],
      subscriberId,
      subscriberCode,
      viewerInfo: "",
      role: "",
      userPublishId: "",
    });
    this.#line.after(ANSWER_MS, () => {
      this.#retry(SOON, "The server does not answer the request to play.", "The player is trying again.");
    });
  }

  #take(message) {
    if (message.streamId && message.streamId !== this.#streamId) return;
    switch (message.command) {
      case "takeConfiguration":
        if (message.type === "offer") this.#takeOffer(message);
        break;
      case "takeCandidate":
        if (message.candidate) this.#peer?.takeCandidate(message);
        break;
      case "notification":
        this.#takeNotification(message);
        break;
      case "error":
        this.#takeRefusal(message);
        break;
    }
  }

  #takeNotification(message) {
    switch (message.definition) {
      case "streaming_started":
        if (this.#peer === undefined && !this.#asked) this.#play();
        break;
      case "streaming_starts_soon":
        if (this.#peer === undefined) this.#say("waiting", "The stream is about to begin.", "");
        break;
      case "play_finished":
        this.#takeEnd(message.information);
        break;
      case "server_will_stop":
        this.#serverStops();
        break;
    }
  }

  // `reason` is the server's word for why it ended the play; Ant Media Server gives none.
  #takeEnd(reason) {
    const { next, text, advice } = ending(reason);
    if (next === RESTART) {
      this.#serverStops();
      return;
    }
    // Without a peer it is the answer to a "stop" of our own, or we noticed before the server did. Being
    // sent away counts all the same: the media connection may have broken just before the word of it came.
    if (this.#peer === undefined && (next !== NEVER || this.#asked)) return;
    switch (next) {
      case LOST:
        this.#closePeer();
        this.#connectionLost();
        break;
      case AGAIN:
        this.#changed();
        break;
      case NEVER:
        this.#leave();
        this.#say("stopped", text, advice);
        break;
      default:
        this.#finish();
    }
  }

  #serverStops() {
    this.#line.hangUp();
    this.#retry(SOON, "The server is restarting.", "The player is going to connect again.");
  }

  // The stream goes on, but not in what was offered: only a new offer can show it.
  #changed() {
    if (this.#line.failures >= CHANGES_AT_ONCE) {
      this.#retry(SOON, "The stream keeps changing.", "The player is asking for it again.");
      return;
    }
    this.#line.failures += 1;
    this.#say("connecting", "The stream has changed, the picture is coming again", "");
    this.#play();
  }

  #takeOffer(offer) {
    this.#line.rest();
    this.#asked = false;
    this.#wasIn = true;
    if (this.#peer === undefined) {
      this.#ended = false;
      this.#say("connecting", "Connecting", "");
      this.#media = new MediaStream();
      this.#peer = new Peer({
        send: (message) => this.#line.send({ streamId: this.#streamId, ...message }),
        onTrack: (track) => this.#takeTrack(track),
        onTrackGone: (track) => this.#media.removeTrack(track),
        onChannel: (channel) => this.dispatchEvent(new CustomEvent("channel", { detail: channel })),
        onConnected: () => {
          this.#lostConnections = 0;
          if (this.state.name === "connecting") this.#say("connecting", "Connected, the picture is coming", "");
        },
        onFailed: (kind) => this.#peerFailed(kind),
      });
    }
    this.#peer.take(offer);
  }

  #takeTrack(track) {
    this.#media.addTrack(track);
    if (this.#video.srcObject !== this.#media) this.#video.srcObject = this.#media;
    this.dispatchEvent(new Event("media"));
  }

  #takeRefusal(message) {
    let { retry, text, advice } = refusal(message, { credentials: this.#credentials, wasIn: this.#wasIn });
    // The code may be good, and the connection in its way be our own.
    if (message.definition === "unauthorized_access" && this.#mayHoldItsOwn()) {
      retry = SOON;
      text = "The server still holds your connection from before.";
      advice = "The player is going to ask again.";
    }
    const playing = this.#peer !== undefined;
    // An error about something else than the play (statistics, a late candidate) does not end it.
    if (playing && message.definition === "no_stream_exist") return;
    this.#line.rest();
    this.#asked = false;
    this.#closePeer();
    if (message.definition === "already_playing") {
      this.#line.send({ command: "stop", streamId: this.#streamId });
    }
    if (retry === WAIT) {
      this.#line.failures = 0;
      if (this.#ended) this.#sayEnded();
      else this.#say("waiting", text, advice);
      this.#line.after(WAIT_AGAIN_MS * (0.75 + Math.random() / 2), () => this.#play());
    } else if (retry === SOON || retry === LATER) {
      this.#retry(retry, text, advice);
    } else {
      this.#leave();
      this.#say("refused", text, advice);
    }
  }

  #peerFailed(kind) {
    this.#peer = undefined;
    this.#line.send({ command: "stop", streamId: this.#streamId });
    if (kind === "description") {
      this.#leave();
      this.#say(
        "refused",
        "Your browser cannot play what the server offers.",
        "Try a current Chrome, Edge, Firefox or Safari.",
      );
      return;
    }
    this.#connectionLost();
  }

  #mayHoldItsOwn() {
    return this.#wasIn && this.#credentials.subscriberCode !== "" && performance.now() - this.#lostAt < HELD_MS;
  }

  #connectionLost() {
    this.#lostConnections += 1;
    // The first time it is the network's mood; from the third on, somebody should be told where to look.
    const advice = this.#lostConnections < 3
      ? "The player is trying again."
      : "Signalling works but no media arrives: a firewall may hold back UDP between you and the server. The player keeps trying.";
    this.#retry(SOON, "No connection for picture and sound.", advice);
  }

  #finish() {
    this.#closePeer();
    this.#blank();
    this.#line.rest();
    this.#ended = true;
    if (mayBeSpent(this.#credentials)) {
      // Spending it on waiting would turn the end into a refusal.
      this.#leave();
      this.#say("ended", "The stream has ended.", "Press Play if it begins again.");
      return;
    }
    this.#sayEnded();
    this.#line.after(AFTER_END_MS, () => this.#play());
  }

  #sayEnded() {
    // Said once: asking again after the end is nothing to read out.
    if (this.state.name === "ended") return;
    this.#say("ended", "The stream has ended.", "If it begins again, it plays here by itself.");
  }

  #retry(pace, text, advice) {
    this.#asked = false;
    if (this.#peer !== undefined) this.#lostAt = performance.now();
    this.#closePeer();
    this.#line.retry(RETRY_MS[pace], RETRY_SPREAD);
    this.#say("retrying", text, advice);
  }

  #pictureCame() {
    // The end of the tracks of the connection before can set this event off as well.
    if (this.#peer === undefined || this.#video.srcObject !== this.#media) return;
    this.#say("playing", "Playing", "");
    clearInterval(this.#watch);
    let frames = -1;
    let since = performance.now();
    const began = since;
    this.#watch = setInterval(() => {
      const now = performance.now();
      if (now - began > HEALTHY_MS) this.#line.failures = 0;
      const { totalVideoFrames } = this.#video.getVideoPlaybackQuality();
      const silent = this.#media.getVideoTracks().length === 0 || document.visibilityState !== "visible";
      if (totalVideoFrames !== frames || silent) {
        frames = totalVideoFrames;
        since = now;
        if (this.state.name === "stalled") this.#say("playing", "Playing", "");
      } else if (now - since > STALL_MS && this.state.name === "playing") {
        this.#say("stalled", "The picture stands still.", "Nothing new arrives. It goes on by itself when the sender or the network does.");
      }
    }, 500);
  }

  #closePeer() {
    clearInterval(this.#watch);
    this.#peer?.close();
    this.#peer = undefined;
  }

  #leave() {
    this.#running = false;
    this.#closePeer();
    this.#line.close();
    this.#blank();
  }

  // Between tries the last picture stays; when it is over it goes.
  #blank() {
    this.#video.srcObject = null;
  }

  #say(name, text, advice) {
    this.state = { name, text, advice };
    this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }
}
