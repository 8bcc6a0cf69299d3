// One signalling WebSocket: JSON in and out, a ping every three seconds, and one goodbye.

const PING_MS = 3000;
/** A socket on which nothing came for this long is dead, whatever the browser believes. */
const SILENCE_MS = 10000;

export class Signalling {
  #socket;
  #timer;
  #heard = performance.now();
  #ticked = performance.now();
  #opened = false;
  #over = false;
  #onClose;

  /** Opens `url`. `onOpen()`, `onMessage(object)` and, once, `onClose(wasOpen)` tell what happens. */
  constructor(url, { onOpen, onMessage, onClose }) {
    this.#onClose = onClose;
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("open", () => {
      if (this.#over) return;
      this.#opened = true;
      onOpen();
    });
    this.#socket.addEventListener("message", ({ data }) => {
      if (this.#over) return;
      this.#heard = performance.now();
      let message;
      try {
        message = JSON.parse(data);
      } catch {
        console.warn("a signalling message is not JSON");
        return;
      }
      if (message.command !== "pong") onMessage(message);
    });
    this.#socket.addEventListener("close", () => this.#lost());
    this.#timer = setInterval(() => this.#ping(), PING_MS);
  }

  get isOpen() {
    return !this.#over && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Sends an object; false when there is no open socket to send it on. */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Closes for good; nothing is reported after this. */
  close() {
    this.#over = true;
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #ping() {
    const now = performance.now();
    const late = now - this.#ticked > 2 * PING_MS;
    this.#ticked = now;
    // A hidden page's timers run once a minute: what was not asked for meanwhile could not be answered.
    if (late) this.#heard = now;
    if (now - this.#heard > SILENCE_MS) {
      this.#socket.close();
      this.#lost();
    } else {
      this.send({ command: "ping" });
    }
  }

  #lost() {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    this.#onClose(this.#opened);
  }
}
