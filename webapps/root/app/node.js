// What pages know of their node, and the addresses made of it.

/**
 * Asks the node: { version, applications, rtmpPort, httpsPort, httpsWarns, restAnswersYou }. Throws when it does not
 * answer.
 */
export async function node() {
  const response = await fetch("/node.json");
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  return response.json();
}

/** The application a page belongs to: the first part of its address. */
export function applicationHere() {
  return decodeURIComponent(location.pathname.split("/")[1] ?? "");
}

/** Where the signalling of an application is; `target` as in Ant Media Server, "origin" to publish, "edge" to play. */
export function signallingAddress(application, target) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/${encodeURIComponent(application)}/websocket?target=${target}`;
}

/** Where a stream is played. */
export function playAddress(application, streamId) {
  return `${location.origin}/${encodeURIComponent(application)}/play.html?id=${encodeURIComponent(streamId)}`;
}

/** The address of this very page over HTTPS. */
export function secureAddress(facts) {
  const address = new URL(location.href);
  address.protocol = "https:";
  address.port = facts.httpsPort;
  return address.href;
}

/** Where an encoder sends its stream; without `streamId` the part OBS calls "server". */
export function publishAddress(facts, application, streamId) {
  const port = facts.rtmpPort === 1935 ? "" : `:${facts.rtmpPort}`;
  const base = `rtmp://${location.hostname}${port}/${application}`;
  return streamId === undefined ? base : `${base}/${streamId}`;
}

/** A labelled address with a button that copies it. */
export function addressField(label, address) {
  const field = document.createElement("div");
  field.className = "field";
  const name = document.createElement("label");
  const row = document.createElement("div");
  row.className = "beside";
  const input = document.createElement("input");
  input.readOnly = true;
  input.value = address;
  input.id = `address-${document.querySelectorAll("input").length}-${label.replace(/\W+/g, "-")}-${address.length}`;
  input.addEventListener("focus", () => input.select());
  name.htmlFor = input.id;
  name.textContent = label;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${label} ${address}`);
  button.addEventListener("click", async () => {
    button.textContent = (await copied(input)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  row.append(input, button);
  field.append(name, row);
  return field;
}

async function copied(input) {
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
    return true;
  } catch {
    // Over plain HTTP from another machine there is no clipboard API; the old command still works there.
    return document.execCommand("copy");
  }
}
