// The publisher: one stream, from the wish to send it until its end, over as many connections as that takes.

import { Line } from "./line.js";
import { Peer } from "./peer.js";
import { ending, refusal } from "./publish-refusals.js";
import { LOST, NEVER, RESTART, SOON } from "./refusals.js";
import { Sending, withFirstRate } from "./sending.js";

/** How long the server may take to let the publisher in or to refuse it: mostly it does so at once. */
const ANSWER_MS = 10000;
/**
 * After a loss the server keeps a stream's viewers for some seconds, so the first new try comes soon; sooner
 * than three seconds nothing has healed, and Ant Media Server's clients wait as long.
 */
const RETRY_MS = { soon: [3000, 15000], later: [10000, 60000] };
const RETRY_SPREAD = 0.1;
/** For so long after a loss the name may still be held by our own connection from before. */
const HELD_MS = 20000;
/** Being live this long makes the next failure the first of a new row. */
const HEALTHY_MS = 10000;

/**
 * Publishes a stream. Every change is a "state" event whose `detail` is `{ name, text, advice, since, until }`;
 * `name` is one of stopped, connecting, live, retrying, refused. Live it has `since`, and retrying `until`, the
 * `performance.now()` of the beginning and of the next try. "channel" brings as `detail` the data channel on which
 * the stream's messages go.
 */
export class Publisher extends EventTarget {
  #line;
  #request;
  #tracks;
  #streamId = "";
  #peer;
  #sending;
  #healthy;
  #running = false;
  /** The server let this publisher in since it was started. */
  #wasIn = false;
  #lostConnections = 0;
  #since;
  #lostAt = -Infinity;
  state = { name: "stopped", text: "", advice: "" };

  /** `request` = fields of the request to publish besides the stream's; `tracks()` tells `{ video, audio }` of now. */
  constructor({ url, request, tracks }) {
    super();
    this.#line = new Line({
      url,
      connecting: () => this.#connecting(),
      ask: () => this.#publish(),
      take: (message) => this.#take(message),
      lost: (text) => this.#retry(SOON, text, "The page is going to connect again."),
    });
    this.#request = request;
    this.#tracks = tracks;
  }

  /** Whether there is anything to stop. */
  get isRunning() {
    return this.#running;
  }

  /** Publishes what there is of tracks under that name. */
  start(streamId) {
    this.#streamId = streamId;
    this.#line.failures = 0;
    this.#lostConnections = 0;
    this.#since = undefined;
    this.#lostAt = -Infinity;
    this.#wasIn = false;
    this.#running = true;
    this.#line.connect();
  }

  /** Ends the stream; `text` says why it is over. */
  stop(text = "You have ended the stream.", advice = "Press Start to begin again.") {
    this.#line.send({ command: "stop", streamId: this.#streamId });
    this.#leave("stopped", text, advice);
  }

  /** Sends the track of that kind which `tracks()` tells now; viewers notice nothing but another picture or sound. */
  replace(kind) {
    if (this.#sending === undefined || this.#sending.replace(kind, this.#tracks()[kind])) return;
    // A connection has what it was offered with: with more or less than that, a new one goes on with the stream.
    this.#lostAt = performance.now();
    this.#line.connect();
  }

  /** The browser's statistics, or nothing while there is no connection. */
  statistics() {
    return this.#peer?.statistics();
  }

  #connecting() {
    this.#closePeer();
    this.#say("connecting", "Connecting", "");
  }

  #publish() {
    this.#closePeer();
    const { video, audio } = this.#tracks();
    this.#line.send({
      command: "publish",
      streamId: this.#streamId,
      ...this.#request,
      video: video !== undefined,
      audio: audio !== undefined,
    });
    this.#line.after(ANSWER_MS, () => {
      this.#retry(SOON, "The server does not answer the request to publish.", "The page is going to ask again.");
    });
  }

  #take(message) {
    if (message.streamId && message.streamId !== this.#streamId) return;
    switch (message.command) {
      case "start":
        this.#offer();
        break;
      case "takeConfiguration":
        if (message.type === "answer") this.#peer?.take({ type: "answer", sdp: withFirstRate(message.sdp) });
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

  #offer() {
    this.#line.rest();
    this.#closePeer();
    this.#wasIn = true;
    this.#peer = new Peer({
      send: (message) => this.#line.send({ streamId: this.#streamId, ...message }),
      onConnected: () => this.#say("connecting", "Connected, the first picture is on its way", ""),
      onFailed: (kind) => this.#peerFailed(kind),
    });
    this.#peer.offer((connection) => {
      this.#sending = new Sending(connection, this.#tracks());
      // Ant Media Server knows the channel of a stream's messages by this name.
      const channel = connection.createDataChannel(this.#streamId, { ordered: true });
      this.dispatchEvent(new CustomEvent("channel", { detail: channel }));
    });
  }

  #takeNotification({ definition, information }) {
    switch (definition) {
      case "publish_started":
      case "session_restored":
        if (this.#peer !== undefined) this.#begun();
        break;
      case "publish_finished":
        // Without a peer we noticed before the server did, or it was said as a refusal just before.
        if (this.#peer !== undefined) this.#takeEnd(information);
        break;
      case "server_will_stop":
        this.#serverStops();
        break;
    }
  }

  #begun() {
    this.#lostConnections = 0;
    this.#since ??= performance.now();
    clearTimeout(this.#healthy);
    this.#healthy = setTimeout(() => { this.#line.failures = 0; }, HEALTHY_MS);
    if (this.state.name !== "live") this.#say("live", "Live", "", { since: this.#since });
  }

  // `reason` is the server's word for why it ended the publish; Ant Media Server gives none.
  #takeEnd(reason) {
    const { next, text, advice } = ending(reason);
    if (next === LOST) {
      this.#connectionLost();
    } else if (next === RESTART) {
      this.#serverStops();
    } else {
      this.#leave("stopped", text, advice);
    }
  }

  #serverStops() {
    this.#line.hangUp();
    this.#retry(SOON, "The server is restarting.", "The page is going to connect again.");
  }

  #takeRefusal(message) {
    if (message.definition === "publishTimeoutError") {
      this.#connectionLost();
      return;
    }
    let { retry, text, advice } = refusal(message, { credentials: this.#request, wasIn: this.#wasIn });
    if (message.definition === "already_publishing") {
      this.#line.send({ command: "stop", streamId: this.#streamId });
    }
    // After a loss, the one who holds the name is most likely ourselves.
    const mayHoldItsOwn = message.definition === "streamIdInUse"
      || message.definition === "unauthorized_access" && this.#wasIn && this.#request.subscriberCode !== "";
    if (mayHoldItsOwn && performance.now() - this.#lostAt < HELD_MS) {
      retry = SOON;
      text = "The server still holds your connection from before.";
      advice = "The page is going to ask again.";
    }
    if (retry === NEVER) this.#leave("refused", text, advice);
    else this.#retry(retry, text, advice);
  }

  #peerFailed(kind) {
    if (kind === "description") {
      this.#leave("refused", "Your browser and the server have no format in common.", "Try a current Chrome, Edge, Firefox or Safari.");
      return;
    }
    this.#connectionLost();
  }

  #connectionLost() {
    this.#lostConnections += 1;
    // A "stop" would end the stream for its viewers; a socket that closes is a loss, which they are kept through. A token that is
    // good once lets no publisher in again on either: somebody with another one may.
    this.#line.hangUp();
    // The first time it is the network's mood; from the third on, somebody should be told where to look.
    const advice = this.#lostConnections < 3
      ? "The page is going to connect again."
      : "Signalling works but no media gets through: a firewall may hold back UDP between you and the server. The page keeps trying.";
    this.#retry(SOON, "Picture and sound do not reach the server.", advice);
  }

  #retry(pace, text, advice) {
    if (this.#peer !== undefined) this.#lostAt = performance.now();
    this.#closePeer();
    const wait = this.#line.retry(RETRY_MS[pace], RETRY_SPREAD);
    this.#say("retrying", text, advice, { until: performance.now() + wait });
  }

  #closePeer() {
    clearTimeout(this.#healthy);
    this.#peer?.close();
    this.#peer = undefined;
    this.#sending = undefined;
  }

  #leave(name, text, advice) {
    this.#running = false;
    this.#closePeer();
    this.#line.close();
    this.#say(name, text, advice);
  }

  #say(name, text, advice, times = {}) {
    this.state = { name, text, advice, ...times };
    this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }
}
