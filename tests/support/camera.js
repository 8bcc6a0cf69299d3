// A camera, a microphone and a screen for pages that publish: getUserMedia and getDisplayMedia give the marker, drawn
// at the moment it is shown, so that its frames carry their numbers and the wall clock as those of an encoder do.
// Installed before the page's own scripts run, with `options` of src/camera.rs. Devices and codecs are all that is
// changed: what the page does with them is its own.
//
// The layout is that of src/marker/code.rs and src/marker/picture.rs, the sound that of src/marker/sound.rs.
(options) => {
  // Insecure pages have no devices.
  if (!window.MediaDevices) return;

  // What draws and sounds. A worker of its own: whatever holds up the page, pictures come in time.
  const draw = (fps, grain) => {
    const CELLS_ACROSS = 40;
    const COLUMNS = 38;
    const ROWS = 2;
    const FLASH_PERIOD_S = 2;
    const FLASH_S = 0.1;
    const RATE = 48_000;
    // Samples of one piece of sound: 10 ms, as capture devices give them.
    const PIECE = 480;
    const TONE_HZ = 1_000;
    const LOUDNESS = 0.5;
    const SLOPE_S = 0.001;
    // Who is this late was frozen: what is older is not made good.
    const LATE_MAX_MS = 1_000;
    // Frames of the first time are not asked whether they were on time.
    const SETTLING_MS = 2_000;

    // Video range of BT.601.
    const BLACK = [16, 128, 128];
    const WHITE = [235, 128, 128];
    const NIGHT = [32, 140, 122];
    const FLASH_OFF = [44, 128, 128];
    const BARS = [
      [180, 128, 128], [162, 44, 142], [131, 156, 44], [112, 72, 58],
      [84, 184, 198], [65, 100, 212], [35, 212, 114], [60, 128, 128],
    ];
    const COLOURS = { primaries: "smpte170m", transfer: "smpte170m", matrix: "smpte170m", fullRange: false };

    const crc16 = (bytes) => {
      let crc = 0xffff;
      for (const byte of bytes) {
        crc ^= byte << 8;
        for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
      }
      return crc;
    };

    // The cells of a frame, row after row; true is white.
    const cells = (number, clock) => {
      const bytes = new Uint8Array(9);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, (number & 0xffffff) << 8);
      view.setUint32(3, clock % 2 ** 32);
      view.setUint16(7, crc16(bytes.subarray(0, 7)));
      const bits = [...bytes].flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (byte >> bit & 1) === 1));
      return [true, false, true, false, ...bits];
    };

    class Picture {
      constructor(width, height) {
        this.width = width;
        this.height = height;
        this.cell = width / CELLS_ACROSS;
        this.bytes = new Uint8Array(width * height * 3 / 2);
        this.rectangle(0, 0, width, height, NIGHT);
        this.rectangle(0, 0, width, (ROWS + 2) * this.cell, BLACK);
      }

      // All numbers even, as 4:2:0 wants it.
      rectangle(x, y, width, height, [luma, u, v]) {
        const fill = (from, stride, left, top, across, down, level) => {
          for (let row = top; row < top + down; row += 1) {
            const start = from + row * stride + left;
            this.bytes.fill(level, start, start + across);
          }
        };
        const area = this.width * this.height;
        fill(0, this.width, x, y, width, height, luma);
        fill(area, this.width / 2, x / 2, y / 2, width / 2, height / 2, u);
        fill(area * 5 / 4, this.width / 2, x / 2, y / 2, width / 2, height / 2, v);
      }

      flicker(x, y, width, height) {
        for (let row = y; row < y + height; row += 1) {
          const start = row * this.width + x;
          for (let at = start; at < start + width; at += 1) this.bytes[at] = NIGHT[0] + Math.random() * grain;
        }
      }

      frame(number, clock) {
        const { cell, width } = this;
        const bar = width / BARS.length;
        BARS.forEach((colour, index) => {
          const x = (index * bar + 4 * number) % width & ~1;
          const first = Math.min(bar, width - x);
          this.rectangle(x, 17 * cell, first, 5 * cell, colour);
          if (first < bar) this.rectangle(0, 17 * cell, bar - first, 5 * cell, colour);
        });
        const phase = number % (FLASH_PERIOD_S * fps) - FLASH_PERIOD_S * fps / 2;
        const flashes = phase >= 0 && phase < Math.ceil(FLASH_S * fps);
        this.rectangle(26 * cell, 5 * cell, 12 * cell, 8 * cell, flashes ? WHITE : FLASH_OFF);
        if (grain > 0) this.flicker(0, 5 * cell, 25 * cell, 11 * cell);
        cells(number, clock).forEach((white, index) => {
          const column = index % COLUMNS;
          const row = (index - column) / COLUMNS;
          this.rectangle(cell * (1 + column), cell * (1 + row), cell, cell, white ? WHITE : BLACK);
        });
        return new VideoFrame(this.bytes, {
          format: "I420",
          codedWidth: width,
          codedHeight: this.height,
          timestamp: Math.round(number * 1e6 / fps),
          colorSpace: COLOURS,
        });
      }
    }

    const level = (index) => {
      const period = FLASH_PERIOD_S * RATE;
      const seconds = (index % period - period / 2) / RATE;
      const left = FLASH_S - seconds;
      if (seconds < 0 || left <= 0) return 0;
      return LOUDNESS * Math.min(seconds / SLOPE_S, left / SLOPE_S, 1) * Math.sin(2 * Math.PI * TONE_HZ * seconds);
    };
    const sound = (first) => new AudioData({
      format: "f32-planar",
      sampleRate: RATE,
      numberOfFrames: PIECE,
      numberOfChannels: 1,
      timestamp: Math.round(first * 1e6 / RATE),
      data: Float32Array.from({ length: PIECE }, (_, index) => level(first + index)),
    });

    // Tracks that are given: what makes their frames, and where these go. One that was stopped takes no more.
    const tracks = new Set();
    const hand = (kind, make) => {
      for (const track of tracks) {
        if (track.kind === kind) track.writer.write(make(track)).catch(() => tracks.delete(track));
      }
    };

    const origin = performance.now();
    let number = 0;
    let samples = 0;
    let frames = 0;
    let lateMax = 0;
    const frameDue = () => origin + number * 1000 / fps;
    // A piece of sound is there when its last sample is.
    const soundDue = () => origin + (samples + PIECE) * 1000 / RATE;
    const turn = () => {
      const now = performance.now();
      while (frameDue() <= now) {
        const late = now - frameDue();
        if (late <= LATE_MAX_MS) {
          hand("video", ({ picture }) => {
            frames += 1;
            return picture.frame(number, Date.now());
          });
        }
        if (now - origin > SETTLING_MS) lateMax = Math.max(lateMax, late);
        number += 1;
      }
      while (soundDue() <= now) {
        if (now - soundDue() <= LATE_MAX_MS) hand("audio", () => sound(samples));
        samples += PIECE;
      }
      setTimeout(turn, Math.max(0, Math.min(frameDue(), soundDue()) - performance.now()));
    };
    turn();

    self.onmessage = ({ data: { kind, writable, width, height, asked } }) => {
      if (asked !== undefined) return self.postMessage({ asked, frames, late_max_ms: lateMax });
      const picture = kind === "video" ? new Picture(width, height) : null;
      return tracks.add({ kind, picture, writer: writable.getWriter() });
    };
  };

  let worker = null;
  let failure = null;
  const begin = () => {
    if (worker) return worker;
    const source = new Blob([`(${draw})(${options.fps}, ${options.grain})`], { type: "text/javascript" });
    worker = new Worker(URL.createObjectURL(source));
    worker.onerror = ({ message }) => { failure = message || "the page's policy allows no worker"; };
    return worker;
  };

  // Each is a device of its own, as far as the page can tell: it may stop one and ask for another.
  const open = (kind, size) => {
    const track = new MediaStreamTrackGenerator({ kind });
    const { writable } = track;
    begin().postMessage({ kind, writable, ...size }, [writable]);
    return track;
  };
  const [width, height] = options.size;
  const [screenWidth, screenHeight] = options.screen;

  MediaDevices.prototype.getUserMedia = async (constraints) => {
    const tracks = [];
    if (constraints?.audio) tracks.push(open("audio"));
    if (constraints?.video) tracks.push(open("video", { width, height }));
    if (tracks.length === 0) throw new TypeError("at least one of audio and video must be requested");
    return new MediaStream(tracks);
  };
  // A screen makes no sound.
  MediaDevices.prototype.getDisplayMedia = async () =>
    new MediaStream([open("video", { width: screenWidth, height: screenHeight })]);
  MediaDevices.prototype.enumerateDevices = async () => ["audioinput", "videoinput"].map((kind) => {
    const device = { kind, deviceId: `marker-${kind}`, groupId: "marker", label: `marker ${kind}` };
    return { ...device, toJSON: () => device };
  });

  // What a page offers of its camera's picture is cut to these codecs, in their order; none: it is left alone.
  const wanted = [...options.codecs, "rtx"].map((name) => `video/${name.toLowerCase()}`);
  const peers = new Set();
  const prefer = (peer) => {
    peers.add(peer);
    if (options.codecs.length === 0 || peer.signalingState !== "stable") return;
    const known = RTCRtpSender.getCapabilities("video").codecs;
    const codecs = wanted.flatMap((name) => known.filter(({ mimeType }) => mimeType.toLowerCase() === name));
    for (const transceiver of peer.getTransceivers()) {
      const isVideo = transceiver.receiver.track.kind === "video";
      if (isVideo && transceiver.direction.startsWith("send")) transceiver.setCodecPreferences(codecs);
    }
  };
  const { prototype } = RTCPeerConnection;
  const { createOffer, setLocalDescription } = prototype;
  prototype.createOffer = function (...given) {
    prefer(this);
    return createOffer.apply(this, given);
  };
  prototype.setLocalDescription = function (...given) {
    // A description that is made already stays as it is.
    if (!given[0]?.sdp) prefer(this);
    return setLocalDescription.apply(this, given);
  };

  window.penstockCamera = {
    // What was drawn, and what the page's senders made of it.
    async report() {
      const drawn = worker && !failure && await new Promise((resolve) => {
        const asked = performance.now();
        worker.addEventListener("message", ({ data }) => { if (data.asked === asked) resolve(data); });
        worker.postMessage({ asked });
      });
      const senders = [];
      for (const peer of peers) {
        const reports = await peer.getStats();
        for (const report of reports.values()) {
          if (report.type !== "outbound-rtp") continue;
          senders.push({ ...report, codec: reports.get(report.codecId)?.mimeType ?? null, connection: peer.connectionState });
        }
      }
      return { failure, frames: drawn?.frames ?? 0, late_max_ms: drawn?.late_max_ms ?? 0, senders };
    },
  };
}
