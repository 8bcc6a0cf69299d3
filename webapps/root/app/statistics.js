// The browser's statistics of a connection, as the few figures people ask for.

export class Statistics {
  #last = new Map();

  /** Rows of [name, value] from a statistics report; rates are since the call before. */
  rows(report) {
    const entries = [...report.values()];
    const path = entries.find((e) => e.type === "candidate-pair" && e.nominated && e.state === "succeeded");
    const rows = [...this.#received(report, entries), ...this.#sent(report, entries)];
    if (path?.currentRoundTripTime !== undefined) {
      rows.push(["Round trip", `${Math.round(path.currentRoundTripTime * 1000)} ms`]);
    }
    return rows;
  }

  #received(report, entries) {
    const inbound = (kind) => entries.find((e) => e.type === "inbound-rtp" && e.kind === kind);
    const video = inbound("video");
    const audio = inbound("audio");
    const rows = [];
    if (video !== undefined) {
      const since = this.#since(video);
      rows.push(...this.#picture(report, video));
      rows.push(["Video rate", rate(since("bytesReceived"), since.seconds)]);
      rows.push(["Video loss", share(since("packetsLost"), since("packetsReceived"))]);
      rows.push(["Video buffer", perFrame(since("jitterBufferDelay"), since("jitterBufferEmittedCount"))]);
      rows.push(["Dropped, frozen", `${video.framesDropped ?? 0}, ${video.freezeCount ?? 0}`]);
    }
    if (audio !== undefined) {
      const since = this.#since(audio);
      rows.push(["Audio", this.#codec(report, audio)]);
      rows.push(["Audio rate", rate(since("bytesReceived"), since.seconds)]);
      rows.push(["Audio loss", share(since("packetsLost"), since("packetsReceived"))]);
      rows.push(["Audio buffer", perFrame(since("jitterBufferDelay"), since("jitterBufferEmittedCount"))]);
    }
    return rows;
  }

  #sent(report, entries) {
    const outbound = (kind) => entries.find((e) => e.type === "outbound-rtp" && e.kind === kind);
    const video = outbound("video");
    const audio = outbound("audio");
    const rows = [];
    if (video !== undefined) {
      const since = this.#since(video);
      rows.push(...this.#picture(report, video));
      rows.push(["Video rate", rate(since("bytesSent"), since.seconds)]);
      rows.push(["Video loss", reported(report, video)]);
      rows.push(["Held back by", LIMITS[video.qualityLimitationReason] ?? "nothing"]);
    }
    if (audio !== undefined) {
      const since = this.#since(audio);
      rows.push(["Audio", this.#codec(report, audio)]);
      rows.push(["Audio rate", rate(since("bytesSent"), since.seconds)]);
      rows.push(["Audio loss", reported(report, audio)]);
    }
    return rows;
  }

  #picture(report, video) {
    const { frameWidth, frameHeight, framesPerSecond } = video;
    const size = frameWidth ? [["Picture", `${frameWidth} × ${frameHeight}`]] : [];
    return [...size, ["Frames", `${Math.round(framesPerSecond ?? 0)} per second`], ["Video", this.#codec(report, video)]];
  }

  // Tells how much a counter of `entry` grew since the call before.
  #since(entry) {
    const before = this.#last.get(entry.id);
    this.#last.set(entry.id, entry);
    const grown = (key) => (entry[key] ?? 0) - (before?.[key] ?? 0);
    grown.seconds = before === undefined ? 0 : (entry.timestamp - before.timestamp) / 1000;
    return grown;
  }

  #codec(report, entry) {
    const codec = report.get(entry.codecId);
    if (codec === undefined) return "not known yet";
    const profile = /profile-level-id=(\w+)/.exec(codec.sdpFmtpLine ?? "")?.[1];
    const channels = codec.channels === undefined ? "" : `, ${codec.channels === 1 ? "mono" : "stereo"}`;
    return codec.mimeType.replace(/^\w+\//, "") + (profile === undefined ? "" : ` (${profile})`) + channels;
  }
}

const NOT_YET = "measuring";
/** What keeps a browser from sending a better picture. */
const LIMITS = { cpu: "this computer", bandwidth: "the network", other: "something else" };

function rate(bytes, seconds) {
  if (seconds <= 0) return NOT_YET;
  const kbit = (bytes * 8) / 1000 / seconds;
  return kbit < 1000 ? `${Math.round(kbit)} kbit/s` : `${(kbit / 1000).toFixed(2)} Mbit/s`;
}

function share(lost, received) {
  const all = lost + received;
  return all <= 0 ? NOT_YET : `${((Math.max(lost, 0) * 100) / all).toFixed(1)} %`;
}

/** The share of what we sent that did not arrive, as the other side reported last. */
function reported(report, outbound) {
  const fraction = report.get(outbound.remoteId)?.fractionLost;
  return fraction === undefined ? NOT_YET : `${(fraction * 100).toFixed(1)} %`;
}

function perFrame(seconds, count) {
  return count <= 0 ? NOT_YET : `${Math.round((seconds * 1000) / count)} ms`;
}
