// What the server's refusals and its reasons to end a play mean to the person in front of the player, and
// whether asking again helps.

import { whyNotLetIn } from "./credentials.js";

/** Asking again cannot help until somebody changes something. */
export const NEVER = "never";
/** The server told us to wait: it says when the stream begins. */
export const WAIT = "wait";
/** Asking again soon may help. */
export const SOON = "soon";
/** Asking again may help, but not before others leave or the server has rested. */
export const LATER = "later";

const REFUSALS = {
  no_stream_exist: [WAIT, "The stream has not begun yet.", "Keep this page open: it plays by itself as soon as the stream begins."],
  noStreamNameSpecified: [NEVER, "No stream is named in this address.", "Add its name: play.html?id=stream1"],
  invalidStreamName: [NEVER, "This cannot be the name of a stream.", "Names have letters, digits, minus, underscore and dot only. Check the link."],
  unauthorized_access: [NEVER, "You are not let in to watch this stream.", "Ask whoever runs the stream for a link."],
  user_blocked: [NEVER, "You are blocked from this stream.", "Ask whoever runs the stream to unblock you, then try again."],
  not_allowed_unregistered_streams: [NEVER, "This server plays registered streams only, and this is not one.", "Check the name, or ask whoever runs the server to register the stream."],
  stream_not_active_or_expired: [NEVER, "The stream is outside its planned time.", "It has not opened yet or is over. Try again when it is due."],
  room_not_active_or_expired: [NEVER, "The room is outside its planned time.", "It has not opened yet or is over. Try again when it is due."],
  no_room_specified: [NEVER, "No room is named in this address.", "Ask whoever gave you the link for the whole of it."],
  no_active_streams_in_room: [WAIT, "Nobody in the room sends anything yet.", "Keep this page open: it plays by itself as soon as somebody does."],
  license_suspended_please_renew_license: [NEVER, "The server's licence is suspended.", "Tell whoever runs the server."],
  already_playing: [SOON, "The server still holds an earlier connection of this player.", "The player is asking again."],
  highResourceUsage: [LATER, "The server is busy and takes no more viewers just now.", "The player keeps asking. You can leave this page open."],
  viewerLimitReached: [LATER, "As many people as allowed are watching already.", "The player keeps asking and begins when somebody leaves."],
  no_codec_enabled_in_the_server: [NEVER, "Your browser and the stream have no video format in common.", "Try another browser, or ask whoever publishes to send H.264 without B-frames."],
  no_encoder_settings: [NEVER, "The server has no format set up for this stream.", "Tell whoever runs the server."],
  encoderNotOpened: [LATER, "The server cannot convert this stream for browsers just now.", "The player keeps asking. If this stays, tell whoever runs the server."],
  encoderBlocked: [LATER, "The server's converter for this stream has stopped.", "The player keeps asking. If this stays, tell whoever runs the server."],
  publishTimeoutError: [SOON, "No connection for the picture came about in time.", "The player is trying again."],
  noPacketReceivedForTimeoutDuration: [SOON, "The stream stopped sending.", "The player is asking again."],
  notSetRemoteDescription: [SOON, "The server did not accept your browser's answer.", "The player is trying again. If this stays, try another browser."],
  notSetLocalDescription: [SOON, "The server could not make an offer for this stream.", "The player is trying again."],
  data_store_not_available: [LATER, "The server cannot reach its records, so it cannot let anybody in.", "The player keeps asking."],
  server_error_check_logs: [LATER, "Something broke in the server.", "The player keeps asking. If this stays, tell whoever runs the server."],
  not_initialized_yet: [SOON, "The server is still starting.", "The player is asking again."],
};

/** The connection got lost or had to be given up; the stream may go on. */
export const LOST = "lost";
/** The stream goes on, but has to be asked for anew. */
export const AGAIN = "again";
/** The server goes down, and most times comes back. */
export const RESTART = "restart";
/** The stream is over. */
export const OVER = "over";

/** Why the server ends a connection, of players and of publishers, without anybody having wanted it. */
export const BROKEN = {
  "timed out": [LOST],
  "failed": [LOST],
  "too slow": [LOST],
  "peer closed": [LOST],
  "protocol error": [LOST],
  "limit exceeded": [LOST],
  "draining": [RESTART],
  "authority lost": [LOST],
};

const ENDINGS = {
  ...BROKEN,
  "codec changed": [AGAIN],
  "superseded": [LOST],
  "kicked": [NEVER, "Whoever runs the stream has stopped it for you.", "Press Play to ask for it again."],
  "revoked": [NEVER, "Your permission to watch has been withdrawn.", "Ask whoever gave you the link for a new one."],
  "blocked": [NEVER, "You have been blocked from this stream.", "Ask whoever runs the stream to unblock you, then press Play."],
  "expired": [NEVER, "Your time to watch is over.", "Ask whoever gave you the link for a new one."],
  "denied": [NEVER, "The server does not let you watch any longer.", "Press Play to ask for it again."],
};

/**
 * { next, text, advice } for the `information` of a `play_finished`; `next` is LOST, AGAIN, RESTART, NEVER or
 * OVER. Only NEVER has words.
 */
export function ending(reason) {
  const [next, text = "", advice = ""] = ENDINGS[reason] ?? [OVER];
  return { next, text, advice };
}

const WEBRTC_OFF = [NEVER, "This server does not play the stream by WebRTC.", "Ask whoever runs the server to switch WebRTC on for this application."];

/**
 * { retry, text, advice } for an `error` message of the server, to a player that showed `credentials` and, if `wasIn`,
 * had been let in by them before.
 */
export function refusal(message, { credentials, wasIn = false } = {}) {
  if (message.definition === "unauthorized_access" && credentials !== undefined) {
    return { retry: NEVER, ...whyNotLetIn(credentials, { wasIn, what: "watch" }) };
  }
  const known = message.information === "webrtc_not_enabled" ? WEBRTC_OFF : REFUSALS[message.definition];
  const [retry, text, advice] = known ?? [
    NEVER,
    "The server refuses to play this stream.",
    `It gives the reason “${message.definition}”.`,
  ];
  // Which node has the stream is in the server's own words.
  if (message.definition === "no_stream_exist" && message.information?.startsWith("the stream is published on another")) {
    return { retry, text: "This server does not have the stream.", advice: `It says: ${message.information}. Open the page there, or keep this one open in case the stream comes here.` };
  }
  // Which codec is the matter is in the server's own words.
  if (message.definition === "no_codec_enabled_in_the_server" && message.information) {
    return { retry, text: "This stream cannot be shown in a browser yet.", advice: `The server says: ${message.information}.` };
  }
  if (message.definition === "encoderNotOpened" && message.information) {
    return { retry, text, advice: `The server says: ${message.information}. The player keeps asking.` };
  }
  return { retry, text, advice };
}
