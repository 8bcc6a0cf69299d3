// What a form of settings is made of: the node's own table of them, in groups, and what was changed.

import table from "../../../../schemas/settings.json";
import type { Settings } from "./wire.ts";

export interface Setting {
  key: string;
  kind: "flag" | "integer" | "decimal" | "text" | "object" | "ladder";
  default: unknown;
  min?: number;
  max?: number;
  nullable?: boolean;
  secret?: boolean;
  actedOn: boolean;
  gates?: "publish" | "play" | "both" | "rest" | "pages";
}

interface Words {
  label: string;
  help: string;
}

/** Words for what this server acts on and what protects; others are shown by their key. */
const WORDS: Record<string, Words> = {
  acceptOnlyStreamsInDataStore: { label: "Only registered streams", help: "Streams that were not created beforehand are refused." },
  publishTokenControlEnabled: { label: "One-time tokens to publish", help: "Each token lets one publisher in, once." },
  playTokenControlEnabled: { label: "One-time tokens to play", help: "Each token lets one viewer in, once." },
  hashControlPublishEnabled: { label: "Hash tokens to publish", help: "SHA-256 of stream, “publish” and the secret. They do not expire." },
  hashControlPlayEnabled: { label: "Hash tokens to play", help: "SHA-256 of stream, “play” and the secret. They do not expire." },
  tokenHashSecret: { label: "Secret of hash tokens", help: "Needed by the two above." },
  tokenHashSecretPrevious: { label: "Secret of hash tokens before", help: "Hashes made with it are good as well: to change the secret, put the old one here." },
  publishJwtControlEnabled: { label: "JWT to publish", help: "Signed tokens, good until they expire." },
  playJwtControlEnabled: { label: "JWT to play", help: "Signed tokens, good until they expire." },
  jwtStreamSecretKey: { label: "Secret of JWTs", help: "At least 32 bytes. Needed by the two above, unless keys are published." },
  jwtStreamJwksURL: { label: "Address of published keys of JWTs", help: "RS256 keys stand below it at /.well-known/jwks.json. The secret counts no more." },
  revokedTokens: { label: "Revoked JWTs and hashes", help: "By what they are known by. Revoke them among a stream's tokens." },
  jwtExpiryEndsSession: { label: "A session ends with its JWT", help: "Otherwise a JWT that expires only keeps newcomers out." },
  enableTimeTokenForPublish: { label: "TOTP codes to publish", help: "Publishers show a subscriber's name and its code of now." },
  enableTimeTokenForPlay: { label: "TOTP codes to play", help: "Viewers show a subscriber's name and its code of now." },
  timeTokenSecretForPublish: { label: "Secret of codes to publish", help: "For names that are not registered as subscribers." },
  timeTokenSecretForPlay: { label: "Secret of codes to play", help: "For names that are not registered as subscribers." },
  timeTokenPeriod: { label: "Period of codes (s)", help: "For subscribers without a period of their own." },
  timeTokenSubscriberOnly: { label: "TOTP codes both ways, of registered subscribers only", help: "The one switch of Ant Media Server up to 2.17." },
  tokenControlEnabled: { label: "One-time tokens both ways", help: "The one switch of Ant Media Server up to 2.1." },
  allowedPublisherCIDR: { label: "Addresses that may publish", help: "Ranges such as 10.20.30.0/24, separated by commas. Empty: all." },
  webhookAuthenticateURL: { label: "Ask this address before a publish", help: "Only its answer 200 lets a publisher in." },
  webhookPlayAuthUrl: { label: "Ask this address before a play", help: "Only its answer 200 lets a viewer in." },
  webRTCViewerLimit: { label: "Viewers of the application", help: "-1: no limit." },
  ingestingStreamLimit: { label: "Streams of the application", help: "-1: no limit." },
  ipFilterEnabled: { label: "REST answers some addresses only", help: "Those below." },
  remoteAllowedCIDR: { label: "Addresses that REST answers", help: "Ranges, separated by commas." },
  contentSecurityPolicyHeaderValue: { label: "Content-Security-Policy", help: "Of all that the application answers, in the place of its pages' own. Empty: theirs." },
  jwtControlEnabled: { label: "REST asks for a JWT", help: "As Authorization: Bearer, signed with the secret below." },
  jwtSecretKey: { label: "Secret of REST's JWTs", help: "Needed by the one above, unless there is a key set." },
  jwksURL: { label: "Key set of JWTs (JWKS)", help: "Where public keys are published." },
  webRTCEnabled: { label: "WebRTC", help: "Browsers may play and publish." },
  h264Enabled: { label: "H.264 for WebRTC", help: "What nearly everything sends." },
  vp8Enabled: { label: "VP8 for WebRTC", help: "" },
  dataChannelEnabled: { label: "Messages", help: "Publishers and players have data channels." },
  dataChannelPlayerDistribution: { label: "Whom players' messages reach", help: "all, publisher or none." },
  maxBitrateAccept: { label: "Most that WebRTC publishers may send (bit/s)", help: "0: no limit." },
  webRTCKeyframeTime: { label: "A key frame every (ms)", help: "Asked of WebRTC publishers." },
  webRTCClientStartTimeoutMs: { label: "Time to connect (ms)", help: "For WebRTC, from the offer on." },
  stunServerURI: { label: "STUN server", help: "Told to pages." },
  writeSubscriberEventsToDatastore: { label: "Keep connection events", help: "" },
};

/** Those with words first, in the order of the words: a switch stands before what it needs. */
export const SETTINGS = (table as Setting[]).toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));

function place({ key }: Setting): number {
  const at = Object.keys(WORDS).indexOf(key);
  return at < 0 ? Infinity : at;
}

export const wordsOf = ({ key }: Setting): Words => WORDS[key] ?? { label: key, help: "" };

const GROUPS: [string, RegExp][] = [
  ["Who may publish and play", /^(acceptOnly|publishToken|playToken|hashControl|tokenHash|tokenControl|publishJwt|playJwt|jwtStream|jwtExpiry|enableTimeToken|timeToken|totp|allowedPublisher|webhookAuth|webhookPlayAuth|revoked)/],
  ["Limits", /Limit$|^max/],
  ["REST", /^(ipFilter|remoteAllowed|jwtControl|jwtSecretKey|jwksURL|contentSecurity|secureAnalytic)/],
  ["WebRTC", /webRTC|^(h264|vp8Enabled|av1|h265Enabled|stun|turn|ice|disableIPv6|replaceCandidate|dropWebRTC|portAllocator|playWebRTC)/i],
  ["Messages", /^(dataChannel|sendAudioLevel|audioLevel)/],
  ["Webhooks", /hook/i],
  ["HLS and DASH", /hls|dash|targetLatency|id3|httpForwarding/i],
  ["Recording", /mp4|webM|s3|vod|recording|fileNameFormat|subFolder|uploadExtensions/i],
  ["Transcoding", /encod|abr|decod|aac|gop|scal|preview|bitrate|h265/i],
];
const OTHER = "Everything else";

export const GROUP_NAMES = [...GROUPS.map(([name]) => name), OTHER];

export function groupOf({ key }: Setting): string {
  return GROUPS.find(([, keys]) => keys.test(key))?.[0] ?? OTHER;
}

export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export interface Change {
  setting: Setting;
  before: unknown;
  after: unknown;
}

/** What `edits` would change of `stored`, in the order of the table. */
export function changes(stored: Settings, edits: Settings): Change[] {
  return SETTINGS.filter(({ key }) => key in edits && !same(edits[key], stored[key])).map((setting) => ({
    setting,
    before: stored[setting.key],
    after: edits[setting.key],
  }));
}

/** A value as a text on the page; secrets only whether they are there. */
export function shown({ secret, kind }: Setting, value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (secret === true) return value === "" ? "empty" : "set (not shown)";
  if (kind === "flag") return value === true ? "on" : "off";
  if (kind === "text") return value === "" ? "empty" : String(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The value of what was typed, or why it is none. */
export function parse(setting: Setting, text: string): { value: unknown } | { problem: string } {
  switch (setting.kind) {
    case "integer": {
      const value = Number(text);
      const { min = -Infinity, max = Infinity } = setting;
      if (text.trim() === "" || !Number.isInteger(value)) return { problem: "Write a whole number." };
      if (value < min || value > max) return { problem: `Write a number from ${min} to ${max}.` };
      return { value };
    }
    case "decimal": {
      const value = Number(text);
      return text.trim() === "" || !Number.isFinite(value) ? { problem: "Write a number." } : { value };
    }
    case "object":
    case "ladder":
      try {
        const value: unknown = JSON.parse(text);
        if (setting.kind === "ladder" ? Array.isArray(value) : typeof value === "object" && value !== null && !Array.isArray(value)) return { value };
      } catch {
        // Said below.
      }
      return { problem: setting.kind === "ladder" ? "Write a list as JSON, such as []." : "Write an object as JSON, such as {}." };
    default:
      return { value: text };
  }
}

/** Whether a setting belongs to what is searched for: in its name, its words or its group. */
export function matches(setting: Setting, search: string): boolean {
  const { label, help } = wordsOf(setting);
  const text = `${setting.key} ${label} ${help} ${groupOf(setting)}`.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** The mechanisms that ask for something in a direction, as those settings say. */
export function asksFor(settings: Settings, direction: "publish" | "play"): { mechanism: "token" | "hash" | "jwt" | "totp"; name: string }[] {
  const publish = direction === "publish";
  const on = (...keys: string[]): boolean => keys.some((key) => settings[key] === true);
  const all = [
    { mechanism: "token" as const, name: "a one-time token", isOn: on("tokenControlEnabled", publish ? "publishTokenControlEnabled" : "playTokenControlEnabled") },
    { mechanism: "hash" as const, name: "a hash token", isOn: on(publish ? "hashControlPublishEnabled" : "hashControlPlayEnabled") },
    { mechanism: "jwt" as const, name: "a JWT", isOn: on(publish ? "publishJwtControlEnabled" : "playJwtControlEnabled") },
    { mechanism: "totp" as const, name: "a subscriber's code", isOn: on("timeTokenSubscriberOnly", publish ? "enableTimeTokenForPublish" : "enableTimeTokenForPlay") },
  ];
  return all.filter(({ isOn }) => isOn).map(({ mechanism, name }) => ({ mechanism, name }));
}
