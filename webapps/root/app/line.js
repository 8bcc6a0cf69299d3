// The line to the server on which a stream is asked for: one socket after the other, and one timer, which asks again
// later and later.

import { Signalling } from "./signalling.js";

export class Line {
  #url;
  #connecting;
  #ask;
  #take;
  #lost;
  #signalling;
  #timer;
  /** Tries that failed, in a row. */
  failures = 0;

  /**
   * `connecting()` is told that a new socket is on its way; `ask()` asks for the stream, on a socket that has just opened or still stands; `take(message)` is given what
   * comes; `lost(text)` is told in words that there is no socket any more.
   */
  constructor({ url, connecting, ask, take, lost }) {
    this.#url = url;
    this.#connecting = connecting;
    this.#ask = ask;
    this.#take = take;
    this.#lost = lost;
  }

  /** Opens a new socket, and asks on it. */
  connect() {
    this.close();
    this.#connecting();
    this.#signalling = new Signalling(this.#url, {
      onOpen: this.#ask,
      onMessage: this.#take,
      onClose: (wasOpen) => {
        this.#lost(wasOpen ? "The connection to the server was lost." : "The server does not answer.");
      },
    });
  }

  /** Sends an object, if there is an open socket to send it on. */
  send(message) {
    this.#signalling?.send(message);
  }

  /** Does that in so many milliseconds, and no longer what was to be done before. */
  after(ms, action) {
    this.rest();
    this.#timer = setTimeout(action, ms);
  }

  /** Nothing is to be done any more. */
  rest() {
    clearTimeout(this.#timer);
  }

  /**
   * Asks again: after `first` milliseconds, then twice as long each time, up to `most`; earlier or later by a share
   * of at most `spread`. On the same socket if it still stands: a one-time token is good again only there. Tells
   * after how long.
   */
  retry([first, most], spread) {
    const wait = Math.min(first * 2 ** this.failures, most) * (1 - spread + 2 * spread * Math.random());
    this.failures += 1;
    this.after(wait, () => (this.#signalling.isOpen ? this.#ask() : this.connect()));
    return wait;
  }

  /** Closes the socket; what is to be done later is done all the same. */
  hangUp() {
    this.#signalling?.close();
  }

  /** Closes the socket, and nothing is to be done any more. */
  close() {
    this.rest();
    this.hangUp();
  }
}
