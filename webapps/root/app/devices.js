// The choice of a camera or a microphone.

import { NONE } from "./capture.js";

const NO = { video: "No camera", audio: "No microphone" };

export class DeviceChoice {
  #capture;
  #kind;
  #select;

  /** Keeps `select` up to date with the devices there are; `choose(kind, deviceId)` is called for another choice. */
  constructor(capture, kind, select, choose) {
    this.#capture = capture;
    this.#kind = kind;
    this.#select = select;
    for (const event of ["devices", "change"]) capture.addEventListener(event, () => this.#refresh());
    select.addEventListener("change", async () => {
      await choose(kind, select.value);
      this.#refresh();
    });
    this.#refresh();
  }

  async #refresh() {
    const devices = await this.#capture.devices(this.#kind);
    const none = { deviceId: NONE, label: NO[this.#kind] };
    this.#select.replaceChildren(...[...devices, none].map(({ deviceId, label }) => new Option(label, deviceId)));
    this.#select.value = this.#capture.device(this.#kind);
    this.#select.disabled = devices.length === 0;
  }
}
