// The live streams of one application, asked from REST and kept up to date.

const PERIOD_MS = 5000;
const SHOWN_MAX = 50;

export class LiveStreams {
  #place;
  #application;
  #shown = "";

  /** Shows the list inside `place`. */
  constructor(place, application) {
    this.#place = place;
    this.#application = application;
  }

  /** Asks now and every five seconds while the page can be seen. */
  async watch() {
    if (document.visibilityState === "visible") await this.#refresh();
    setTimeout(() => this.watch(), PERIOD_MS);
  }

  async #refresh() {
    try {
      // "broadcasting" is the first status in order, so one page of the list holds the live ones.
      const query = `list/0/${SHOWN_MAX}?sort_by=status&order_by=asc`;
      const [all, count] = await Promise.all([this.#ask(query), this.#ask("active-live-stream-count")]);
      const live = all.filter((broadcast) => broadcast.status === "broadcasting");
      this.#show(live, Math.max(count.number, live.length));
    } catch (error) {
      this.#say(`The list of live streams is not to be had now (${error.message}).`, "trouble");
    }
  }

  async #ask(path) {
    const response = await fetch(`/${this.#application}/rest/v2/broadcasts/${path}`);
    if (!response.ok) throw new Error(`answer ${response.status}`);
    return response.json();
  }

  #show(live, count) {
    if (live.length === 0) return this.#say("No stream is live.", "quiet");
    const shown = JSON.stringify([live.map((b) => [b.streamId, b.name, b.width, b.height]), count]);
    // Left alone when nothing changed: a rebuilt list would take the keyboard focus away.
    if (shown === this.#shown) return;
    this.#shown = shown;
    const list = document.createElement("ul");
    list.className = "streams";
    list.append(...live.map((broadcast) => this.#item(broadcast)));
    if (count > live.length) {
      const more = document.createElement("li");
      more.className = "quiet";
      more.textContent = `and ${count - live.length} more`;
      list.append(more);
    }
    this.#place.replaceChildren(list);
  }

  #item(broadcast) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.className = "dot";
    link.href = `/${this.#application}/play.html?id=${encodeURIComponent(broadcast.streamId)}`;
    link.textContent = broadcast.name || broadcast.streamId;
    link.setAttribute("aria-label", `Play ${link.textContent}, live`);
    item.append(link);
    if (broadcast.width > 0 && broadcast.height > 0) {
      const size = document.createElement("span");
      size.className = "quiet";
      size.textContent = `${broadcast.width} × ${broadcast.height}`;
      item.append(size);
    }
    return item;
  }

  #say(text, className) {
    if (text === this.#shown) return;
    this.#shown = text;
    const line = document.createElement("p");
    line.className = className;
    line.textContent = text;
    this.#place.replaceChildren(line);
  }
}
