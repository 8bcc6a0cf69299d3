// The first page: every application, its live streams, and how to publish to it.

import { addressField, node, publishAddress } from "/app/node.js";
import { LiveStreams } from "/app/streams.js";

const list = document.querySelector("#applications");
const note = document.querySelector("#note");

function panel(application, facts) {
  const section = document.createElement("section");
  section.className = "panel";

  const heading = document.createElement("h2");
  const link = document.createElement("a");
  link.href = `/${application}/`;
  link.textContent = application;
  heading.append(link);
  section.append(heading);

  if (facts.restAnswersYou) {
    const streams = document.createElement("div");
    new LiveStreams(streams, application).watch();
    section.append(streams);
  }
  section.append(addressField("Publish to", publishAddress(facts, application, "stream1")));

  const actions = document.createElement("div");
  actions.className = "actions";
  const open = document.createElement("a");
  open.className = "button";
  open.href = `/${application}/`;
  open.textContent = "Publish and play";
  actions.append(open);
  section.append(actions);
  return section;
}

try {
  const facts = await node();
  list.replaceChildren(...facts.applications.map((application) => panel(application, facts)));
  if (facts.applications.length === 0) {
    note.textContent = "This node has no application. Each folder of webapps with a WEB-INF inside is one.";
  } else if (!facts.restAnswersYou) {
    note.textContent =
      "Live streams are listed here only in a browser on the node's own machine; elsewhere log in to the " +
      "management page. If you know a stream's name, open its application and play it.";
  }
} catch (error) {
  note.className = "trouble";
  note.textContent = `The node did not say what it has (${error.message}). Reload the page to ask again.`;
}
list.removeAttribute("aria-busy");
