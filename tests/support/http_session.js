// A page's half of WHIP and WHEP, without any library: one request with the browser's offer, one for the end. The offer
// waits for no candidate: the node needs none.
window.told = {};

const begin = async (url, peer, change = (sdp) => sdp, back = (sdp) => sdp) => {
  peer.onconnectionstatechange = () => { window.told.state = peer.connectionState; };
  await peer.setLocalDescription();
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: change(peer.localDescription.sdp),
  });
  window.told.status = answer.status;
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`${answer.status} ${text}`);
  window.told.resource = new URL(answer.headers.get("Location"), url).href;
  window.told.etag = answer.headers.get("ETag");
  await peer.setRemoteDescription({ type: "answer", sdp: back(text) });
  window.peer = peer;
};

// Restarts ICE as RFC 9725 4.3.3 has it; the description's lines of ICE are replaced by those of the answer.
window.restart = async () => {
  const peer = window.peer;
  const before = peer.remoteDescription.sdp;
  peer.restartIce();
  await peer.setLocalDescription();
  const own = peer.localDescription.sdp.match(/a=ice-(ufrag|pwd):.*\r\n/g).slice(0, 2).join("");
  const answer = await fetch(window.told.resource, {
    method: "PATCH",
    headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
    body: own,
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
  window.told.etag = answer.headers.get("ETag");
  const [ufrag, password] = text.match(/a=ice-(ufrag|pwd):.*\r\n/g);
  const sdp = before.replace(/a=ice-ufrag:.*\r\n/g, ufrag).replace(/a=ice-pwd:.*\r\n/g, password);
  await peer.setRemoteDescription({ type: "answer", sdp });
};

// The ICE name of ours that the way in use was found by.
window.way = async () => {
  const reports = await window.peer.getStats();
  const transport = [...reports.values()].find((report) => report.type === "transport");
  const pair = reports.get(transport.selectedCandidatePairId);
  return [transport.iceLocalUsernameFragment, pair?.state ?? null, pair?.packetsSent ?? 0];
};

// `change` is made to the offer on its way, `back` to the answer; `layers` are names of simulcast's, each half as large
// as the one before; `prefer` says which of the browser's codecs of pictures are offered, in which order.
window.publish = async (url, { change, back, layers = [], kinds = ["audio", "video"], prefer = null } = {}) => {
  const peer = new RTCPeerConnection();
  const wanted = Object.fromEntries(kinds.map((kind) => [kind, true]));
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  for (const track of stream.getTracks()) {
    const isVideo = track.kind === "video";
    const sendEncodings = isVideo ? layers.map((rid, half) => ({ rid, scaleResolutionDownBy: 2 ** half })) : [];
    const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [stream], sendEncodings });
    if (isVideo && prefer) {
      transceiver.setCodecPreferences(prefer(RTCRtpSender.getCapabilities("video").codecs));
    }
  }
  await begin(url, peer, change, back);
};

window.play = async (url) => {
  document.body.innerHTML = "<video autoplay playsinline></video>";
  const video = document.querySelector("video");
  const peer = new RTCPeerConnection();
  peer.ontrack = (event) => { video.srcObject = event.streams[0]; };
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  await begin(url, peer);
};

window.leave = async () => {
  window.told.left = (await fetch(window.told.resource, { method: "DELETE" })).status;
};
