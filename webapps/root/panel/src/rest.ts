// Asks the node, and puts what goes wrong into words that say what to do next.

import type { Result } from "./wire.ts";

/** A request that did not do what was wanted. `message` is for people, and so is `advice`: what to do about it. */
export class RestError extends Error {
  readonly status: number;
  readonly advice: string;

  constructor(status: number, message: string, advice: string) {
    super(message);
    this.status = status;
    this.advice = advice;
  }

  /** The server does not know the route: it is of another version. */
  get isAbsent(): boolean {
    return this.status === 404 || this.status === 405;
  }
}

export interface Answer<T> {
  value: T;
  etag: string | null;
}

interface Options {
  body?: unknown;
  headers?: Record<string, string>;
}

/** Called when the server says that nobody is logged in any more. */
let onSignedOut = (): void => {};
export function whenSignedOut(action: () => void): void {
  onSignedOut = action;
}

const NOBODY = /not authenticated|no user in this session/i;

/** Sends a request; its answer as JSON, or a `RestError`. */
export async function ask<T>(verb: string, path: string, { body, headers = {} }: Options = {}): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: verb,
      credentials: "same-origin",
      cache: "no-store",
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new RestError(0, "The server does not answer.", "See whether it runs and whether you are on its network, then try again.");
  }
  const text = await response.text();
  if (!response.ok) throw refusal(response, verb, path, said(text));
  try {
    return { value: JSON.parse(text === "" ? "null" : text) as T, etag: response.headers.get("etag") };
  } catch {
    throw new RestError(response.status, "The server's answer cannot be read.", "Reload this page. If it stays so, something between you and the server changes its answers.");
  }
}

export const get = async <T>(path: string): Promise<T> => (await ask<T>("GET", path)).value;

/** Sends a request that is answered with a `Result`; one that says no is an error here. */
export async function act(verb: string, path: string, body?: unknown): Promise<Result> {
  const { value } = await ask<Result>(verb, path, body === undefined ? {} : { body });
  if (value.success) return value;
  throw new RestError(
    200,
    value.message || "The server did not do it, and does not say why.",
    value.message ? "Nothing was changed." : "Look at what is there now: it may be gone already.",
  );
}

/** What the body of a refusal says: the message of a Result, or a short text. */
function said(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "string") return value;
    if (typeof value === "object" && value !== null && "message" in value && typeof value.message === "string") {
      return value.message;
    }
    return "";
  } catch {
    return text.length < 300 && !text.includes("<") ? text.trim() : "";
  }
}

function refusal(response: Response, verb: string, path: string, message: string): RestError {
  const { status } = response;
  const because = (text: string): string => (message === "" ? text : `${text} The server says: ${message}`);
  if ((status === 401 || status === 403) && NOBODY.test(message)) {
    onSignedOut();
    return new RestError(status, "You are not logged in any more.", "Log in again and repeat what you did.");
  }
  switch (status) {
    case 400:
    case 422:
      return new RestError(status, because("The server does not take this."), "Correct what it names and try again.");
    case 401:
    case 403:
      return new RestError(
        status,
        because("You may not do this here."),
        /\bIP\b/.test(message)
          ? "Open this page on the server's own machine, or have your address added to remoteAllowedCIDR."
          : "Ask an administrator, or log in as one. A server without log-in answers its own machine only.",
      );
    case 404:
    case 405:
      return new RestError(status, `This server has no such thing yet (${verb} ${path.split("?")[0]}).`, "It may be of an older version than this page, or what you look for was deleted.");
    case 409:
    case 412:
      return new RestError(status, because("Somebody else changed this meanwhile."), "Load it again, look at what is new, and make your change once more.");
    case 413:
      return new RestError(status, "This is more than the server takes.", "Make it shorter and try again.");
    case 429:
      return new RestError(status, because("Too many tries."), "Wait five minutes, then try again.");
    case 503:
      return new RestError(status, because("The server cannot reach its records just now, so nothing is certain."), `Try again in ${response.headers.get("retry-after") ?? "a few"} seconds; a cluster needs most of its members for this.`);
    default:
      return new RestError(status, because(`Something broke in the server (answer ${status}).`), "Try again; if it stays so, its log says more.");
  }
}

/** The error as it can be shown, whatever was thrown. */
export function asRestError(error: unknown): RestError {
  if (error instanceof RestError) return error;
  return new RestError(0, `The page itself failed: ${error instanceof Error ? error.message : String(error)}`, "Reload it and try again.");
}

const part = encodeURIComponent;
/** Paths of REST. */
export const paths = {
  node: (rest: string): string => `/rest/v2/${rest}`,
  application: (app: string): string => `/rest/v2/applications/${part(app)}`,
  settings: (app: string): string => `/rest/v2/applications/settings/${part(app)}`,
  explain: (app: string): string => `/rest/v2/applications/${part(app)}/explain`,
  broadcasts: (app: string, rest: string): string => `/${part(app)}/rest/v2/broadcasts/${rest}`,
  stream: (app: string, id: string, rest = ""): string => `/${part(app)}/rest/v2/broadcasts/${part(id)}${rest === "" ? "" : `/${rest}`}`,
};
