// The page of one application: how to publish to it, and a form to open a player.
//
// Ant Media Server has its publish page here, so what such a link carries (id or name, and the rest of CARRIED) goes on
// to ours.

import { addressField, applicationHere, node, publishAddress } from "./node.js";
import { LiveStreams } from "./streams.js";

const CARRIED = ["token", "subscriberId", "subscriberCode", "streamName", "mainTrack", "metaData"];

const application = applicationHere();
document.title = `${application} – Penstock`;
document.querySelector("#application").textContent = application;

const parameters = new URLSearchParams(location.search);
const named = parameters.get("id") || parameters.get("name");
if (named) document.querySelector("#publish-id").value = named;
for (const name of CARRIED) {
  if (!parameters.get(name)) continue;
  const kept = document.createElement("input");
  kept.type = "hidden";
  kept.name = name;
  kept.value = parameters.get(name);
  document.querySelector("#publish").append(kept);
}

try {
  const facts = await node();
  document.querySelector("#addresses").append(
    addressField("Server", publishAddress(facts, application)),
    addressField("Stream key", "stream1"),
    addressField("Or both in one, for ffmpeg and hardware encoders", publishAddress(facts, application, "stream1")),
  );
  if (facts.restAnswersYou) {
    document.querySelector("#live").hidden = false;
    new LiveStreams(document.querySelector("#streams"), application).watch();
  }
} catch (error) {
  document.querySelector("#note").textContent =
    `The node did not say where to publish (${error.message}). Reload the page to ask again.`;
}
