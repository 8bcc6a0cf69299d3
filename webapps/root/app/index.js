// The page of one application: how to publish to it, and a form to open a player.

import { addressField, applicationHere, node, publishAddress } from "./node.js";
import { LiveStreams } from "./streams.js";

const application = applicationHere();
document.title = `${application} – Penstock`;
document.querySelector("#application").textContent = application;

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
