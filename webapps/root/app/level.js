// How loud the microphone is, as a bar.

const PERIOD_MS = 100;
/** What the left end of the bar stands for, in decibels below full scale. */
const FLOOR_DB = 60;

export class Level {
  #meter;
  #context;
  #analyser;
  #source;
  #samples;

  /** Shows the level in a `<meter>` from 0 to 1. */
  constructor(meter) {
    this.#meter = meter;
    // A page that nobody has touched may not open sound, not even to listen.
    for (const touch of ["pointerdown", "keydown"]) {
      document.addEventListener(touch, () => this.#context?.resume(), { passive: true });
    }
    setInterval(() => this.#show(), PERIOD_MS);
  }

  /** Listens to a track from now on, or to none. */
  follow(track) {
    this.#source?.disconnect();
    this.#source = undefined;
    if (track === undefined) return;
    this.#context ??= new AudioContext();
    this.#analyser ??= new AnalyserNode(this.#context, { fftSize: 1024 });
    this.#samples ??= new Float32Array(this.#analyser.fftSize);
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }

  #show() {
    if (document.visibilityState !== "visible") return;
    this.#meter.value = this.#source === undefined ? 0 : this.#loudness();
  }

  #loudness() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    if (power === 0) return 0;
    return Math.min(Math.max(1 + (10 * Math.log10(power)) / FLOOR_DB, 0), 1);
  }
}
