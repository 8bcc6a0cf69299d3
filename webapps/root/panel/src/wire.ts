// What the node's REST speaks, beyond the types that are generated from its description: answers that it describes as
// plain objects, and those of routes the description of this version may not have yet.

export type { Broadcast, ConnectionEvent, Result, Shown } from "./generated/openapi.ts";

/** `/node.json`: what pages may know of the node. */
export interface NodeFacts {
  version: string;
  applications: string[];
  rtmpPort: number;
  httpsPort: number;
  httpsWarns: boolean;
  restAnswersYou: boolean;
}

export interface ApplicationInfo {
  name: string;
  liveStreamCount?: number;
  vodCount?: number;
  storage?: number;
}

export type Direction = "publish" | "play";

export interface Token {
  tokenId: string;
  streamId: string;
  /** Unix seconds. */
  expireDate: number;
  type: string;
  roomId: string | null;
}

export interface Subscriber {
  subscriberId: string;
  subscriberName?: string | null;
  streamId: string;
  type?: string | null;
  connected?: boolean;
  currentConcurrentConnections?: number;
  concurrentConnectionsLimit?: number;
  blockedType?: string | null;
  /** Unix milliseconds. */
  blockedUntilUnitTimeStampMs?: number;
  avgVideoBitrate?: number;
  avgAudioBitrate?: number;
  /** Seconds; null: the application's `timeTokenPeriod`. */
  totpExpiryPeriodSeconds?: number | null;
}

/** A session that goes on now. */
export interface Session {
  session: string;
  direction: Direction;
  protocol: string;
  subscriberId?: string | null;
  peer?: string | null;
  /** Unix milliseconds. */
  since: number;
  proof?: string | null;
  /** `live`, `suspended`, or why it is ending. */
  state?: string | null;
}

export type UserType = "ADMIN" | "USER" | "READ_ONLY";

/** Somebody who may manage the node. */
export interface User {
  email: string;
  /** What they may by application; `system` is the node with all of them. */
  appNameUserType: Record<string, UserType>;
}

export type Outcome = "passed" | "refused" | "off" | "not reached";

/** What the gate would say, clause by clause. */
export interface Explanation {
  allowed: boolean;
  clauses: { name: string; outcome: Outcome; reason?: string | null }[];
}

/** The settings of an application: every key of Ant Media Server's, with values of its type. */
export type Settings = Record<string, unknown>;

/** What lets somebody in. */
export interface Credential {
  token?: string;
  subscriberId?: string;
  subscriberCode?: string;
}
