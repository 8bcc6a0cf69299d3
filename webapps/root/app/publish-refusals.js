// What the server's refusals and its reasons to end a publish mean to the person who publishes, and whether
// asking again helps.

import { whyNotLetIn } from "./credentials.js";
import { BROKEN, LATER, LOST, NEVER, OVER, SOON } from "./refusals.js";

const KEEPS_TRYING = "The page keeps trying.";

const REFUSALS = {
  noStreamNameSpecified: [NEVER, "The stream has no name yet.", "Write one above the camera, then press Start."],
  invalidStreamName: [NEVER, "This cannot be the name of a stream.", "Use letters, digits, minus, underscore and dot only, then press Start."],
  streamIdInUse: [NEVER, "Somebody is publishing under this name already.", "Choose another name, or end the other stream first, then press Start."],
  already_publishing: [SOON, "The server still holds your connection from before.", "The page is asking again."],
  unauthorized_access: [NEVER, "You are not let in to publish under this name.", "Ask whoever runs the server for a link."],
  user_blocked: [NEVER, "You are blocked from publishing.", "Ask whoever runs the server to unblock you, then press Start."],
  not_allowed_unregistered_streams: [NEVER, "This server takes registered streams only, and this is not one.", "Check the name, or ask whoever runs the server to register the stream."],
  stream_not_active_or_expired: [NEVER, "The stream is outside its planned time.", "It has not opened yet or is over. Press Start when it is due."],
  room_not_active_or_expired: [NEVER, "The room is outside its planned time.", "It has not opened yet or is over. Press Start when it is due."],
  highResourceUsage: [LATER, "The server is busy and takes no more publishers just now.", `${KEEPS_TRYING} You can leave it open.`],
  license_suspended_please_renew_license: [NEVER, "The server's licence is suspended.", "Tell whoever runs the server."],
  no_codec_enabled_in_the_server: [NEVER, "The server takes none of the formats your browser sends.", "Try a current Chrome, Edge, Firefox or Safari, or ask whoever runs the server to allow H.264."],
  no_encoder_settings: [NEVER, "The server has no format set up for this stream.", "Tell whoever runs the server."],
  encoderNotOpened: [LATER, "The server could not convert this stream.", `${KEEPS_TRYING} If this stays, tell whoever runs the server.`],
  encoderBlocked: [LATER, "The server's converter for this stream has stopped.", `${KEEPS_TRYING} If this stays, tell whoever runs the server.`],
  noPacketReceivedForTimeoutDuration: [SOON, "Nothing reaches the server any more.", KEEPS_TRYING],
  notSetRemoteDescription: [SOON, "The server did not accept what your browser offers.", `${KEEPS_TRYING} If this stays, try another browser.`],
  notSetLocalDescription: [SOON, "The server could not answer your browser.", KEEPS_TRYING],
  data_store_not_available: [LATER, "The server cannot reach its records, so it cannot let anybody in.", KEEPS_TRYING],
  server_error_check_logs: [LATER, "Something broke in the server.", `${KEEPS_TRYING} If this stays, tell whoever runs the server.`],
  not_initialized_yet: [SOON, "The server is still starting.", "The page is asking again."],
  main_track_has_max_subtrack_count__not_allowed_to_add_more_subtracks: [LATER, "The room is full.", "The page keeps asking and begins when somebody leaves."],
};

const WEBRTC_OFF = [NEVER, "This server does not take streams from browsers.", "Ask whoever runs the server to switch WebRTC on for this application, or publish from an encoder."];

const ENDINGS = {
  ...BROKEN,
  "stream ended": [LOST],
  "superseded": [NEVER, "Another server of this cluster goes on with this stream.", "Somebody publishes it there. Choose another name, or press Start to take it back."],
  "replaced": [NEVER, "Somebody else goes on with this stream.", "Another publisher took over the name. Choose another one, or press Start to take it back."],
  "kicked": [NEVER, "Whoever runs the server has stopped your stream.", "Press Start to begin again."],
  "revoked": [NEVER, "Your permission to publish has been withdrawn.", "Ask whoever gave you the link for a new one."],
  "blocked": [NEVER, "You have been blocked from publishing.", "Ask whoever runs the server to unblock you, then press Start."],
  "expired": [NEVER, "Your time to publish is over.", "Ask whoever gave you the link for a new one."],
  "denied": [NEVER, "The server does not let you publish any longer.", "Press Start to ask for it again."],
};

const ENDED = [OVER, "The server has ended the stream.", "Press Start to begin again."];

/** { next, text, advice } for the `information` of a `publish_finished`; `next` is LOST, RESTART, NEVER or OVER. */
export function ending(reason) {
  const [next, text = "", advice = ""] = ENDINGS[reason] ?? ENDED;
  return { next, text, advice };
}

/**
 * { retry, text, advice } for an `error` message of the server, to a publisher that showed `credentials` and, if `wasIn`,
 * had been let in by them before.
 */
export function refusal({ definition, information }, { credentials, wasIn = false } = {}) {
  if (definition === "unauthorized_access" && credentials !== undefined) {
    return { retry: NEVER, ...whyNotLetIn(credentials, { wasIn, what: "publish" }) };
  }
  const known = information === "webrtc_not_enabled" ? WEBRTC_OFF : REFUSALS[definition];
  const [retry, text, advice] = known ?? [
    NEVER,
    "The server refuses to take this stream.",
    `It gives the reason “${definition}”.`,
  ];
  // Which formats it would take is in the server's own words.
  if (definition === "no_codec_enabled_in_the_server" && information) {
    return { retry, text, advice: `The server says: ${information}.` };
  }
  return { retry, text, advice };
}
