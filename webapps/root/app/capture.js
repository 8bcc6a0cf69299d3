// The camera, the microphone and the screen of the person who publishes.

/** What is asked of cameras; one that cannot do it gives what it has. */
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
/** Larger screens are made smaller: what the rate of a publisher cannot carry would only blur. */
const SCREEN = { width: { max: 1920 }, height: { max: 1080 }, frameRate: { ideal: 30, max: 30 } };
const DEVICES = { video: "videoinput", audio: "audioinput" };
/** The choice of no device. */
export const NONE = "none";

/**
 * Tracks to publish. "change" says with the kind as `detail` that another track, or none, is to be sent;
 * "lost" that a device went away by itself; "devices" that there are others to choose from.
 */
export class Capture extends EventTarget {
  /** Tracks of devices by kind. */
  #tracks = {};
  #screen;
  /** What was chosen, by kind: a device, NONE, or nothing for whichever the browser takes. */
  #chosen = {};
  #off = { video: false, audio: false };

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  /** What is to be sent: `{ video, audio }`, each a track or undefined. */
  get tracks() {
    return { video: this.#screen ?? this.#tracks.video, audio: this.#tracks.audio };
  }

  get isScreenShared() {
    return this.#screen !== undefined;
  }

  /** The device in use of a kind, or NONE. */
  device(kind) {
    return this.#tracks[kind]?.getSettings().deviceId ?? NONE;
  }

  /**
   * Asks for the camera and the microphone, but for those that were given up. When only one can be had, takes it and
   * returns `{ kind: error }` of the other. Throws when there is none.
   */
  async open() {
    const wanted = ["video", "audio"].filter((kind) => this.#chosen[kind] !== NONE);
    if (wanted.length === 0) return {};
    try {
      this.#take(await ask(Object.fromEntries(wanted.map((kind) => [kind, this.#chosen[kind]]))));
      return {};
    } catch (error) {
      // Who said no is not asked once more.
      if (error.name === "NotAllowedError" || error.name === "SecurityError" || wanted.length === 1) throw error;
      return this.#openEach(wanted);
    }
  }

  async #openEach(wanted) {
    const missing = {};
    for (const kind of wanted) {
      try {
        this.#take(await ask({ [kind]: this.#chosen[kind] }));
      } catch (error) {
        missing[kind] = error;
      }
    }
    if (Object.keys(missing).length === wanted.length) throw missing.video;
    return missing;
  }

  /** Takes another device, or NONE. When it cannot be had, throws and goes on with the one before. */
  async choose(kind, deviceId) {
    const before = this.#tracks[kind];
    // Many phones open one camera at a time.
    this.#tracks[kind] = undefined;
    before?.stop();
    if (deviceId === NONE) {
      this.#chosen[kind] = NONE;
      this.#changed(kind);
      return;
    }
    try {
      this.#take(await ask({ [kind]: deviceId }));
      this.#chosen[kind] = deviceId;
    } catch (error) {
      const again = before && (await ask({ [kind]: before.getSettings().deviceId }).catch(() => undefined));
      if (again !== undefined) this.#take(again);
      else this.#changed(kind);
      throw error;
    }
  }

  /** Sends the screen instead of the camera. Throws when nothing was chosen. */
  async shareScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: false });
    [this.#screen] = stream.getVideoTracks();
    // Text is to stay sharp, rather than motion smooth.
    this.#screen.contentHint = "detail";
    this.#screen.addEventListener("ended", () => this.endScreen());
    this.#changed("video");
  }

  /** Goes back to the camera. */
  endScreen() {
    this.#screen?.stop();
    this.#screen = undefined;
    this.#changed("video");
  }

  /** Sends silence, or black, instead of what the devices give. */
  setOff(kind, off) {
    this.#off[kind] = off;
    this.#applyOff(kind);
  }

  /** The devices of a kind: `[{ deviceId, label }]`. Browsers give names only once they may be used. */
  async devices(kind) {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const name = kind === "video" ? "Camera" : "Microphone";
    return all
      .filter((device) => device.kind === DEVICES[kind] && device.deviceId !== "")
      .map(({ deviceId, label }, index) => ({ deviceId, label: label || `${name} ${index + 1}` }));
  }

  #take(stream) {
    for (const track of stream.getTracks()) {
      const { kind } = track;
      this.#tracks[kind]?.stop();
      this.#tracks[kind] = track;
      track.addEventListener("ended", () => {
        // Only what ends by itself says so: it was unplugged, or its permission withdrawn.
        if (this.#tracks[kind] !== track) return;
        this.#tracks[kind] = undefined;
        this.dispatchEvent(new CustomEvent("lost", { detail: kind }));
        this.#changed(kind);
      });
      this.#changed(kind);
    }
    this.dispatchEvent(new Event("devices"));
  }

  #changed(kind) {
    this.#applyOff(kind);
    this.dispatchEvent(new CustomEvent("change", { detail: kind }));
  }

  #applyOff(kind) {
    for (const track of [this.tracks[kind], this.#tracks[kind]]) {
      if (track !== undefined) track.enabled = !this.#off[kind];
    }
  }
}

/** `wanted` = device by kind, undefined for whichever the browser takes. */
function ask(wanted) {
  const constraints = {};
  for (const [kind, deviceId] of Object.entries(wanted)) {
    const device = deviceId === undefined ? {} : { deviceId: { exact: deviceId } };
    constraints[kind] = kind === "video" ? { ...PICTURE, ...device } : device;
  }
  return navigator.mediaDevices.getUserMedia(constraints);
}
