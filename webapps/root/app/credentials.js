// What the address of a page carries to be let in by, and what to say when that did not do.

/** { token, subscriberId, subscriberCode } of an address, each a text, empty for none. */
export function credentialsOf(parameters) {
  return Object.fromEntries(
    ["token", "subscriberId", "subscriberCode"].map((name) => [name, parameters.get(name) ?? ""]),
  );
}

/**
 * Whether a token may be good for one use only. Those that are signed (a JWT has three parts, a hash is 64 hexadecimal
 * digits) are good again and again; of all others only the server knows.
 */
export function mayBeSpent({ token }) {
  return token !== "" && !/^[^.]+\.[^.]+\.[^.]*$/.test(token) && !/^[0-9a-f]{64}$/i.test(token);
}

/**
 * { text, advice } for who is not let in; the server does not tell why, so it is told from what was shown to it.
 * `wasIn`: the same credentials had opened the stream before the connection was lost. `what` names what is asked for, as
 * in "watch" or "publish".
 */
export function whyNotLetIn(credentials, { wasIn, what }) {
  const { token, subscriberId, subscriberCode } = credentials;
  if (token === "" && subscriberCode === "") {
    return {
      text: subscriberId === "" ? `Not everybody may ${what} this stream.` : `Your name alone does not let you ${what} this stream.`,
      advice: subscriberId === ""
        ? "This link carries nothing that lets you in. Ask whoever runs the stream for one that does."
        : "This link has no code (subscriberCode). Ask whoever runs the stream for the code of now.",
    };
  }
  if (subscriberCode !== "" && token === "") {
    return {
      text: wasIn ? "The connection was lost, and the code in this link is no longer good." : "The code in this link does not let you in.",
      advice: "Codes change about every minute, and belong to one person and one stream. Open the link again with the code of now.",
    };
  }
  if (wasIn && mayBeSpent(credentials)) {
    return {
      text: "The connection was lost, and this link was good for one time only.",
      advice: "Ask whoever gave it to you for a new one.",
    };
  }
  return {
    text: wasIn ? "This link is no longer good." : `This link does not let you ${what} the stream.`,
    advice: "It may have expired, been used already, been withdrawn, or belong to another stream. Ask whoever gave it to you for a new one.",
  };
}
