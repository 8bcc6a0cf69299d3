// One WebRTC connection to the server: a player answers the server's offers, a publisher makes one itself.

/**
 * How long connecting may take. The server gives up a peer that does not connect within the application's
 * `webRTCClientStartTimeoutMs`, ten seconds by default, and says so; this is for when its word does not
 * come, and for an application that would wait longer.
 */
const CONNECT_MS = 12000;
/** How long a connection may be interrupted before it counts as lost. */
const INTERRUPTED_MS = 4000;

export class Peer {
  #connection = new RTCPeerConnection();
  #work = Promise.resolve();
  #early = [];
  #timer;
  #over = false;
  #send;
  #onFailed;
  #onTrackGone;

  /**
   * `send(message)` takes our half of the signalling. `onConnected()` comes when packets can flow,
   * `onFailed(kind)` once, with "description" (the two sides have nothing in common) or "connection" (no way to
   * the server, or it got lost). Players have `onTrack(track)` per track, `onTrackGone(track)` when a later
   * offer does not send it any more, and `onChannel(channel)` for a data channel of the server's.
   */
  constructor({ send, onConnected, onFailed, onTrack, onTrackGone, onChannel }) {
    this.#send = send;
    this.#onFailed = onFailed;
    this.#onTrackGone = onTrackGone;
    const connection = this.#connection;
    connection.addEventListener("track", ({ track, receiver }) => {
      playAtOnce(receiver);
      onTrack?.(track);
    });
    connection.addEventListener("datachannel", ({ channel }) => onChannel?.(channel));
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate === null) return;
      send({
        command: "takeCandidate",
        label: candidate.sdpMLineIndex,
        id: candidate.sdpMid,
        candidate: candidate.candidate,
      });
    });
    connection.addEventListener("connectionstatechange", () => {
      if (this.#over) return;
      clearTimeout(this.#timer);
      switch (connection.connectionState) {
        case "connected":
          onConnected();
          break;
        case "failed":
          this.#fail("connection");
          break;
        case "disconnected":
          this.#timer = setTimeout(() => this.#fail("connection"), INTERRUPTED_MS);
          break;
        default:
          this.#startTimer();
      }
    });
    this.#startTimer();
  }

  /** Sends an offer of what `prepare(connection)` puts into the connection. */
  offer(prepare) {
    this.#enqueue(async () => {
      prepare(this.#connection);
      await this.#connection.setLocalDescription();
      this.#send({ command: "takeConfiguration", type: "offer", sdp: this.#connection.localDescription.sdp });
    });
  }

  /** Takes the server's description: its answer to our offer, or an offer, the first or a later one, to answer. */
  take({ type, sdp }) {
    this.#enqueue(async () => {
      await this.#connection.setRemoteDescription({ type, sdp });
      for (const candidate of this.#early.splice(0)) await this.#connection.addIceCandidate(candidate);
      if (type === "offer") await this.#answer();
    });
  }

  /** Takes a candidate of the server, before or after its description. */
  takeCandidate({ candidate, label, id }) {
    const init = { candidate, sdpMLineIndex: label, sdpMid: id };
    this.#enqueue(async () => {
      if (this.#connection.remoteDescription === null) this.#early.push(init);
      else await this.#connection.addIceCandidate(init);
    });
  }

  /** The browser's statistics of this connection. */
  statistics() {
    return this.#connection.getStats();
  }

  /** Ends the connection; nothing is reported after this. */
  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#connection.close();
  }

  async #answer() {
    const answer = await this.#connection.createAnswer();
    // Browsers take Opus as mono unless the answer asks for stereo.
    answer.sdp = answer.sdp.replace(/useinbandfec=1(?!.*stereo=1)/g, "useinbandfec=1;stereo=1");
    await this.#connection.setLocalDescription(answer);
    this.#send({ command: "takeConfiguration", type: "answer", sdp: answer.sdp });
    for (const { currentDirection, receiver } of this.#connection.getTransceivers()) {
      if (currentDirection === "inactive") this.#onTrackGone?.(receiver.track);
    }
  }

  #startTimer() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail("connection"), CONNECT_MS);
  }

  // One after the other: a candidate must not overtake its description.
  #enqueue(step) {
    this.#work = this.#work.then(() => (this.#over ? undefined : step())).catch((error) => {
      console.warn("the two sides cannot agree:", error);
      this.#fail("description");
    });
  }

  #fail(kind) {
    if (this.#over) return;
    this.close();
    this.#onFailed(kind);
  }
}

/** Asks for the least delay the browser can do; it still buffers what the network makes necessary. */
function playAtOnce(receiver) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
  if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
}
