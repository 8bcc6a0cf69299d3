// Words beside the picture: what a stream's publisher and players write to each other over its data channel.

/** Lines kept on the page. More: the oldest go. */
const LINES_MAX = 200;
/** Characters shown of one message. More: cut off. */
const CHARACTERS_MAX = 2000;
/** Bytes that may wait to be sent. More: what is written is not taken yet. */
const WAITING_BYTES_MAX = 65536;

export class Chat {
  #lines;
  #input;
  #note;
  #channel;
  #onOpen;
  #onMessage;

  /** Uses the list, the form and the note inside `panel`. `onOpen()` says that there is somebody to write to. */
  constructor(panel, { onOpen, onMessage }) {
    this.#lines = panel.querySelector("ol");
    this.#input = panel.querySelector("input");
    this.#note = panel.querySelector(".note");
    this.#onOpen = onOpen;
    this.#onMessage = onMessage;
    panel.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Goes on with this data channel; what was written stays. */
  use(channel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    const opened = () => {
      if (this.#channel !== channel) return;
      this.#note.textContent = "";
      this.#onOpen();
    };
    if (channel.readyState === "open") opened();
    else channel.addEventListener("open", opened);
    channel.addEventListener("message", ({ data }) => {
      const message = read(data);
      if (message === undefined) return;
      this.#add(message.from, message.text);
      this.#onMessage?.();
    });
  }

  /** Shows the newest line: a list that was hidden stands where it was left. */
  showNewest() {
    this.#lines.scrollTop = this.#lines.scrollHeight;
  }

  #send() {
    const text = this.#input.value.trim();
    if (text === "") return;
    const isReady = this.#channel?.readyState === "open" && this.#channel.bufferedAmount < WAITING_BYTES_MAX;
    if (!isReady) {
      this.#note.textContent = "Not sent: there is no connection just now. Try again in a moment.";
      return;
    }
    this.#channel.send(text);
    this.#note.textContent = "";
    this.#input.value = "";
    this.#add("You", text);
  }

  #add(from, text) {
    const isAtEnd = this.#lines.scrollHeight - this.#lines.scrollTop - this.#lines.clientHeight < 40;
    const line = document.createElement("li");
    if (from !== "") {
      const name = document.createElement("b");
      name.textContent = `${from}: `;
      line.append(name);
    }
    line.append(text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}…` : text);
    this.#lines.append(line);
    while (this.#lines.children.length > LINES_MAX) this.#lines.firstElementChild.remove();
    // Who reads what was said before is left there.
    if (isAtEnd) this.showNewest();
  }
}

/** { from, text } of what came, or nothing: pages of Ant Media Server send files and events the same way. */
function read(data) {
  if (typeof data !== "string") return undefined;
  const event = eventOf(data);
  if (event === undefined) return data.trim() === "" ? undefined : { from: "", text: data };
  if (event.eventType !== "CHAT_MESSAGE" && event.eventType !== "MESSAGE_RECEIVED") return undefined;
  if (typeof event.message !== "string") return undefined;
  return { from: typeof event.name === "string" ? event.name.slice(0, 60) : "", text: event.message };
}

function eventOf(text) {
  if (!text.startsWith("{")) return undefined;
  try {
    const event = JSON.parse(text);
    return typeof event.eventType === "string" ? event : undefined;
  } catch {
    return undefined;
  }
}
