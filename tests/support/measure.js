// What a viewer sees and hears, measured inside the page: which marker frames are shown and when, how old
// they are, and how far each flash is from its beep. Installed before the page's own scripts run; it
// changes nothing the page can notice except that it remembers the peer connections it makes.
//
// The layout of the code is that of src/marker/code.rs. All times are milliseconds of performance.now()
// unless a name says otherwise.
(() => {
  const CELLS_ACROSS = 40;
  const COLUMNS = 38;
  const ROWS = 2;
  const REFERENCE_CELLS = 4;
  // Canvas pixels per cell.
  const SAMPLE = 4;
  const CONTRAST_MIN = 60;
  const FLASH_LEVEL = 140;
  // Of full scale; a beep is half of it.
  const BEEP_LEVEL = 0.1;
  const QUIET_BEFORE_BEEP_MS = 500;
  // A flash and a beep further apart than this belong to different pairs.
  const PAIR_MAX_MS = 900;
  // Time from the first picture until promises hold.
  const SETTLING_MS = 2000;
  const FREEZE_MS = 200;
  // Pictures no further apart are shown in one period of the screen and the next: one between them shared its moment.
  const SCREEN_MS = 20;
  // A frame younger than this is not a replay.
  const LIVE_MS = 250;
  // A frame this much older than the median is no later than others.
  const LIVE_SPREAD_MS = 60;
  const STATS_INTERVAL_MS = 500;
  const LIST_MAX = 50;
  // Pictures that wait while this script is held up.
  const PICTURES_WAITING_MAX = 15;

  const peers = [];
  // When the newest connection stood.
  let connectedAt = null;
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Original {
    constructor(...options) {
      super(...options);
      peers.push(this);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") connectedAt = performance.now();
      });
    }
  };

  const crc16 = (bytes) => {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  };

  const codeCanvas = new OffscreenCanvas(COLUMNS * SAMPLE, ROWS * SAMPLE);
  const code = codeCanvas.getContext("2d", { willReadFrequently: true });
  const flashCanvas = new OffscreenCanvas(4, 4);
  const flash = flashCanvas.getContext("2d", { willReadFrequently: true });

  // The code in a picture, by how bright each of its cells is; null: none that is whole.
  const decode = (level) => {
    const white = (level(0) + level(2)) / 2;
    const black = (level(1) + level(3)) / 2;
    if (white - black < CONTRAST_MIN) return null;
    const bytes = new Uint8Array(9);
    for (let bit = 0; bit < 72; bit += 1) {
      if (level(REFERENCE_CELLS + bit) > (white + black) / 2) bytes[bit >> 3] |= 0x80 >> (bit & 7);
    }
    if (crc16(bytes.subarray(0, 7)) !== (bytes[7] << 8 | bytes[8])) return null;
    return {
      frame: bytes[0] << 16 | bytes[1] << 8 | bytes[2],
      clock: (bytes[3] << 24 | bytes[4] << 16 | bytes[5] << 8 | bytes[6]) >>> 0,
    };
  };

  // The mean of the four samples from (x, y) on.
  const four = (samples, x, y, stride, step) =>
    (samples[y * stride + x * step] + samples[y * stride + (x + 1) * step]
      + samples[(y + 1) * stride + x * step] + samples[(y + 1) * stride + (x + 1) * step]) / 4;

  const readCode = (video) => {
    const cell = video.videoWidth / CELLS_ACROSS;
    code.drawImage(video, cell, cell, COLUMNS * cell, ROWS * cell, 0, 0, codeCanvas.width, codeCanvas.height);
    // Green stands for brightness: the code has no colour.
    const greens = code.getImageData(0, 0, codeCanvas.width, codeCanvas.height).data.subarray(1);
    return decode((index) => {
      const x = (index % COLUMNS) * SAMPLE + 1;
      const y = Math.floor(index / COLUMNS) * SAMPLE + 1;
      return four(greens, x, y, 4 * codeCanvas.width, 4);
    });
  };

  // The number of a picture as it leaves the decoder, before a screen that is not in step with it takes part.
  const readNumber = async (picture) => {
    if (!["I420", "I420A", "I422", "I444", "NV12"].includes(picture.format)) return null;
    const { x: left, y: top, width } = picture.visibleRect;
    const cell = width / CELLS_ACROSS;
    const even = (value) => 2 * Math.ceil(value / 2);
    const rect = { x: left, y: top, width: even((COLUMNS + 1) * cell), height: even((ROWS + 1) * cell) };
    const samples = new Uint8Array(picture.allocationSize({ rect }));
    const [luma] = await picture.copyTo(samples, { rect });
    const reading = decode((index) => {
      const x = Math.floor(((index % COLUMNS) + 1.5) * cell) - 1;
      const y = Math.floor((Math.floor(index / COLUMNS) + 1.5) * cell) - 1;
      return four(samples.subarray(luma.offset), x, y, luma.stride, 1);
    });
    return reading && reading.frame;
  };

  const readFlash = (video) => {
    const cell = video.videoWidth / CELLS_ACROSS;
    flash.drawImage(video, 28 * cell, 6 * cell, 8 * cell, 6 * cell, 0, 0, 4, 4);
    const pixels = flash.getImageData(0, 0, 4, 4).data;
    let sum = 0;
    for (let index = 1; index < pixels.length; index += 4) sum += pixels[index];
    return sum / 16 > FLASH_LEVEL;
  };

  // Date.now() cuts to whole milliseconds: the largest of many differences is the true one.
  const wallOffset = () => {
    let offset = -Infinity;
    const until = performance.now() + 20;
    while (performance.now() < until) offset = Math.max(offset, Date.now() - performance.now());
    return offset;
  };

  const sorted = (list) => [...list].sort((a, b) => a - b);
  const quantile = (list, q) => {
    if (list.length === 0) return null;
    const s = sorted(list);
    return s[Math.min(s.length - 1, Math.floor(q * s.length))];
  };
  const round = (value) => (value === null ? null : Math.round(value * 10) / 10);

  // Finds the beginnings of beeps in a run of samples.
  class Onsets {
    constructor() {
      this.quietSince = -Infinity;
      this.found = [];
    }

    feed(samples, time, rate) {
      for (let index = 0; index < samples.length; index += 1) {
        if (Math.abs(samples[index]) < BEEP_LEVEL) continue;
        const at = time + (index * 1000) / rate;
        if (at - this.quietSince > QUIET_BEFORE_BEEP_MS) this.found.push(at);
        this.quietSince = at;
      }
    }
  }

  class Measurement {
    constructor(video) {
      this.video = video;
      this.offset = wallOffset();
      this.frames = [];
      // Numbers of decoded pictures, with the time each was handed over.
      this.numbers = [];
      this.followed = new Set();
      this.stats = [];
      this.onsets = new Onsets();
      this.soundShift = Infinity;
      this.soundProblem = null;
      this.countProblem = null;
      this.listening = false;
      this.stallMax = 0;
      this.running = true;
      video.requestVideoFrameCallback((now, metadata) => this.onFrame(now, metadata));
      if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.beginToListen();
      this.statsTimer = setInterval(() => this.sampleStats(), STATS_INTERVAL_MS);
      this.lastTick = performance.now();
      this.stallTimer = setInterval(() => this.tick(), 20);
    }

    tick() {
      const now = performance.now();
      this.stallMax = Math.max(this.stallMax, now - this.lastTick - 20);
      this.lastTick = now;
    }

    onFrame(now, metadata) {
      if (!this.running) return;
      this.beginToListen();
      this.beginToCount();
      this.video.requestVideoFrameCallback((next, data) => this.onFrame(next, data));
      const reading = readCode(this.video);
      this.frames.push({
        frame: reading && reading.frame,
        clock: reading && reading.clock,
        flash: readFlash(this.video),
        display: metadata.expectedDisplayTime,
        presented: metadata.presentationTime,
        count: metadata.presentedFrames,
      });
    }

    beginToListen() {
      if (this.listening) return;
      this.listening = true;
      this.listen().catch((error) => { this.soundProblem = String(error); });
    }

    // A track may be another one after a new offer.
    beginToCount() {
      const track = this.video.srcObject?.getVideoTracks()[0];
      if (!track || this.followed.has(track)) return;
      this.followed.add(track);
      this.countPictures(track).catch((error) => { this.countProblem = String(error); });
    }

    async countPictures(track) {
      const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: PICTURES_WAITING_MAX }).readable.getReader();
      while (this.running) {
        const { value: picture, done } = await reader.read();
        if (done) return;
        const at = performance.now();
        try {
          const number = await readNumber(picture);
          if (number !== null) this.numbers.push({ at, number });
        } finally {
          picture.close();
        }
      }
      await reader.cancel();
    }

    // Listens where the sound leaves the receiver for the loudspeaker: each piece is stamped when it is
    // taken for playing. WebAudio would add a queue of its own in between.
    async listen() {
      const stream = this.video.srcObject ?? this.video.captureStream();
      const track = stream.getAudioTracks()[0];
      if (!track) throw new Error("the video has no sound track");
      const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
      while (this.running) {
        const { value, done } = await reader.read();
        if (done) return;
        const time = value.timestamp / 1000;
        this.soundShift = Math.min(this.soundShift, performance.now() - time);
        const samples = new Float32Array(value.numberOfFrames);
        value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        this.onsets.feed(samples, time, value.sampleRate);
        value.close();
      }
      await reader.cancel();
    }

    async sampleStats() {
      const sample = { at: performance.now() };
      for (const peer of peers) {
        for (const report of (await peer.getStats()).values()) {
          if (report.type === "inbound-rtp") sample[report.kind] = report;
          if (report.type === "media-playout") sample.loudspeaker = report;
        }
      }
      if (sample.audio || sample.video) this.stats.push(sample);
    }

    stop() {
      this.running = false;
      this.endedAt = performance.now();
      clearInterval(this.statsTimer);
      clearInterval(this.stallTimer);
    }

    // Until when was measured.
    until() {
      return this.endedAt ?? performance.now();
    }

    gaps(start) {
      const gaps = [];
      for (let index = 1; index < this.frames.length; index += 1) {
        const [before, after] = [this.frames[index - 1], this.frames[index]];
        const length = after.presented - before.presented;
        if (before.presented >= start && length > FREEZE_MS) {
          gaps.push({
            at_ms: round(before.presented - this.frames[0].presented),
            length_ms: round(length),
            // More than one: pictures were shown meanwhile, only this script was held up.
            // A picture that began anew counts from 0.
            presented: Math.max(0, after.count - before.count),
            before: before.frame,
            after: after.frame,
          });
        }
      }
      const last = this.frames[this.frames.length - 1];
      const since = last ? this.until() - last.presented : 0;
      if (since > FREEZE_MS) {
        const at = last.presented - this.frames[0].presented;
        gaps.push({ at_ms: round(at), length_ms: round(since), presented: 0, before: last.frame, after: null });
      }
      return gaps;
    }

    // When an older picture was shown than before: the group of pictures began anew.
    returns() {
      const returns = [];
      let before = null;
      for (const { frame, presented } of this.frames) {
        if (frame === null) continue;
        if (before !== null && frame < before) {
          returns.push({ at_ms: round(presented - this.frames[0].presented), before, after: frame });
        }
        before = frame;
      }
      return returns.slice(0, LIST_MAX);
    }

    // How long a piece of sound is under way from where it is listened to until the loudspeaker, by the
    // browser's own account. 0 for files, of which it keeps no account.
    loudspeakerDelay() {
      const reports = this.stats.map(({ loudspeaker }) => loudspeaker).filter(Boolean);
      if (reports.length < 2) return 0;
      const [first, last] = [reports[0], reports[reports.length - 1]];
      const samples = last.totalSamplesCount - first.totalSamplesCount;
      return samples > 0 ? (1000 * (last.totalPlayoutDelay - first.totalPlayoutDelay)) / samples : 0;
    }

    offsets(start) {
      const delay = this.loudspeakerDelay();
      const beeps = this.onsets.found.map((time) => time + this.soundShift + delay);
      const exact = [];
      // Where the picture between is never shown by itself, the flash began in the middle, give or take a picture. A
      // screen that is out of step may leave out the same one of each group.
      const rough = [];
      for (let index = 1; index < this.frames.length; index += 1) {
        const [before, after] = [this.frames[index - 1], this.frames[index]];
        const next = after.frame === before.frame + 1 || after.display - before.display < SCREEN_MS;
        const begins = after.flash && !before.flash && (next || after.frame === before.frame + 2);
        if (!begins || after.display < start) continue;
        const time = next ? after.display : (before.display + after.display) / 2;
        const nearest = beeps.reduce(
          (best, beep) => (Math.abs(beep - time) < Math.abs(best) ? beep - time : best),
          Infinity,
        );
        if (Math.abs(nearest) < PAIR_MAX_MS) (next ? exact : rough).push(nearest);
      }
      // What few could be timed to the picture say nothing of the others.
      const list = exact.length >= rough.length ? exact : [...exact, ...rough];
      return {
        pairs: list.length,
        beeps: beeps.length,
        loudspeaker_delay_ms: round(delay),
        median_ms: round(quantile(list, 0.5)),
        worst_ms: round(list.reduce((worst, value) => (Math.abs(value) > Math.abs(worst ?? 0) ? value : worst), null)),
        list_ms: list.slice(0, LIST_MAX).map(round),
      };
    }

    // By the receiver's own estimate from sender reports: how far its sound is behind its picture.
    playoutDifference(start) {
      const list = this.stats
        .filter(({ at }) => at >= start)
        .filter(({ audio, video }) => audio?.estimatedPlayoutTimestamp && video?.estimatedPlayoutTimestamp)
        .map(({ audio, video }) => video.estimatedPlayoutTimestamp - audio.estimatedPlayoutTimestamp);
      return { samples: list.length, median_ms: round(quantile(list, 0.5)) };
    }

    jitterBuffer(kind) {
      const samples = this.stats.map((sample) => sample[kind]).filter(Boolean);
      if (samples.length < 2) return null;
      const [first, last] = [samples[0], samples[samples.length - 1]];
      const count = last.jitterBufferEmittedCount - first.jitterBufferEmittedCount;
      return count > 0 ? round((1000 * (last.jitterBufferDelay - first.jitterBufferDelay)) / count) : null;
    }

    counters(kind) {
      const samples = this.stats.map((sample) => sample[kind]).filter(Boolean);
      const last = samples[samples.length - 1];
      if (!last) return null;
      const names = [
        "packetsReceived", "bytesReceived", "packetsLost", "packetsDiscarded", "nackCount", "pliCount", "firCount",
        "framesReceived", "framesDecoded", "framesDropped", "keyFramesDecoded", "freezeCount",
        "totalFreezesDuration", "concealedSamples", "silentConcealedSamples", "concealmentEvents",
        "insertedSamplesForDeceleration", "removedSamplesForAcceleration", "totalSamplesReceived", "jitter",
      ];
      return Object.fromEntries(names.filter((name) => name in last).map((name) => [name, last[name]]));
    }

    // How the connection became a live picture; `settled` are the frames read once it was one.
    joining(settled) {
      const first = this.frames[0];
      const since = (time) => (connectedAt === null || time === undefined ? null : round(time - connectedAt));
      const usual = quantile(settled.map((frame) => this.age(frame)), 0.5);
      const live = this.frames.find(
        (frame) => frame.frame !== null && usual !== null && this.age(frame) <= usual + LIVE_SPREAD_MS,
      );
      let liveFrame = null;
      if (settled.length > 1 && connectedAt !== null) {
        const [one, other] = [settled[0], settled[settled.length - 1]];
        const frameTime = ((other.clock - one.clock) | 0) / (other.frame - one.frame);
        liveFrame = one.frame + this.age({ clock: one.clock, display: connectedAt }) / frameTime;
      }
      return {
        live_frame: liveFrame === null ? null : round(liveFrame),
        first_frame: first?.frame ?? null,
        first_picture_ms: since(first?.presented),
        live_ms: since(live?.presented),
        gaps: this.gaps(-Infinity),
      };
    }

    summary() {
      const frames = this.frames;
      // The first seconds hold the replay of the past in fast motion: promises are counted from here.
      const start = frames.length > 0 ? frames[0].presented + SETTLING_MS : 0;
      const settled = frames.filter(({ presented }) => presented >= start);
      const read = settled.filter(({ frame }) => frame !== null);
      const shown = new Set(read.map(({ frame }) => frame));
      // A screen shows two pictures as one where both fall into its moment: both have been seen.
      const seen = new Set(shown);
      for (const { at, number } of this.numbers) if (at >= start) seen.add(number);
      const first = read.length > 0 ? Math.min(...shown) : null;
      const last = read.length > 0 ? Math.max(...shown) : null;
      for (const number of seen) if (first === null || number < first || number > last) seen.delete(number);
      const missing = [];
      for (let frame = first; first !== null && frame <= last; frame += 1) if (!seen.has(frame)) missing.push(frame);
      const ages = read.map((frame) => this.age(frame));
      const live = frames.find((frame) => frame.frame !== null && this.age(frame) < LIVE_MS);
      return {
        frames_seen: seen.size,
        frames_shown: shown.size,
        first_frame: first,
        last_frame: last,
        missing: missing.slice(0, LIST_MAX),
        unreadable: settled.length - read.length,
        presented: settled.length > 0 ? settled[settled.length - 1].count - settled[0].count + 1 : 0,
        seconds: settled.length > 0 ? round((settled[settled.length - 1].presented - settled[0].presented) / 1000) : 0,
        live_after_ms: live ? round(live.presented - frames[0].presented) : null,
        gaps: this.gaps(start),
        returns: this.returns(),
        joining: this.joining(read),
        glass_to_glass_ms: { median: round(quantile(ages, 0.5)), p95: round(quantile(ages, 0.95)), worst: round(quantile(ages, 1)) },
        sound_minus_picture: this.offsets(start),
        playout_difference: this.playoutDifference(start),
        sound_problem: this.soundProblem,
        count_problem: this.countProblem,
        script_stall_max_ms: round(this.stallMax),
        video_size: [this.video.videoWidth, this.video.videoHeight],
        jitter_buffer_ms: { video: this.jitterBuffer("video"), audio: this.jitterBuffer("audio") },
        video_stats: this.counters("video"),
        audio_stats: this.counters("audio"),
      };
    }

    // The clock in the picture is cut to 32 bits: so is ours before they are compared.
    age({ clock, display }) {
      const wall = this.offset + display;
      const whole = Math.floor(wall);
      return ((whole % 2 ** 32 - clock) | 0) + (wall - whole);
    }
  }

  window.penstockMeasure = {
    // Begins once `selector` is a video that has a picture; false: not yet, ask again.
    begin(selector) {
      const video = document.querySelector(selector);
      if (!video || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.videoWidth === 0) return false;
      this.current = new Measurement(video);
      return true;
    },
    // The same for a video that has no picture yet: measures from its first one.
    watch(selector) {
      const video = document.querySelector(selector);
      if (!video) return false;
      this.current = new Measurement(video);
      return true;
    },
    // Frames looked at so far.
    count: () => window.penstockMeasure.current?.frames.length ?? 0,
    // What the newest connection's sound receiver counts; null without one.
    async sound() {
      const reports = await peers[peers.length - 1]?.getStats();
      const isSound = (report) => report.type === "inbound-rtp" && report.kind === "audio";
      return [...(reports?.values() ?? [])].find(isSound) ?? null;
    },
    // Whether the newest flash that was timed is within so many ms of its beep.
    isInStep(most) {
      const newest = this.current.summary().sound_minus_picture.list_ms.at(-1);
      return newest !== undefined && Math.abs(newest) <= most;
    },
    summary() {
      return this.current.summary();
    },
    end() {
      this.current.stop();
      return this.current.summary();
    },
  };
})();
