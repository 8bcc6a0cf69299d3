// What a publisher sends, and how: H.264 before all others, and no more than a home's uplink has.

/** Pictures take no more than this, in bits per second: good for 720p30, and half of what many uplinks have. */
const VIDEO_RATE_MAX = 2_500_000;
/**
 * What Chromium is told to begin with, in kilobits per second. Left to itself it begins with 300, makes the picture 320
 * pixels wide, and takes 16 s to make 1,280 of them again on the best of paths. With this it takes 4 to 8 s, and no
 * less with more.
 */
const VIDEO_RATE_FIRST_KBIT = 1000;

export class Sending {
  #senders = {};

  /** Puts `tracks` (`{ video, audio }`, either may be absent) into a connection that offers them. */
  constructor(connection, tracks) {
    const stream = new MediaStream(Object.values(tracks).filter((track) => track !== undefined));
    for (const track of stream.getTracks()) {
      const options = { direction: "sendonly", streams: [stream] };
      if (track.kind === "video") options.sendEncodings = [{ maxBitrate: VIDEO_RATE_MAX }];
      const transceiver = connection.addTransceiver(track, options);
      if (track.kind === "video") preferH264(transceiver);
      this.#senders[track.kind] = transceiver.sender;
    }
  }

  /** Sends another track instead, without asking the server; false where only a new offer can do that. */
  replace(kind, track) {
    const sender = this.#senders[kind];
    if ((sender === undefined) !== (track === undefined)) return false;
    sender?.replaceTrack(track).catch((error) => console.warn(`the ${kind} track cannot be replaced:`, error));
    return true;
  }
}

/** The server's answer, with what Chromium begins with; others ignore the parameter. */
export function withFirstRate(sdp) {
  const [session, ...media] = sdp.split(/^(?=m=)/m);
  const told = media.map((line) => {
    if (!line.startsWith("m=video")) return line;
    return line.replace(/^a=fmtp:.*$/gm, (format) => `${format};x-google-start-bitrate=${VIDEO_RATE_FIRST_KBIT}`);
  });
  return [session, ...told].join("");
}

/** The server prefers it anyway; a server of another make may take what comes first. */
function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("video")?.codecs;
  if (codecs === undefined || !("setCodecPreferences" in transceiver)) return;
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    if (mimeType.toLowerCase() !== "video/h264") return 2;
    return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42e0/i.test(sdpFmtpLine) ? 0 : 1;
  };
  try {
    transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)));
  } catch (error) {
    // Browsers that compare with what they can receive may refuse; their own order will do.
    console.warn("the order of codecs stays the browser's:", error);
  }
}
