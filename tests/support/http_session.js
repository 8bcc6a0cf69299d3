// A page's half of WHIP and WHEP, without any library: one request with the browser's offer, one for the end. The offer
// waits for no candidate: the node needs none.
window.told = {};

const begin = async (url, peer, change) => {
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
  await peer.setRemoteDescription({ type: "answer", sdp: text });
};

// `change` is made to the offer on its way.
window.publish = async (url, change = (sdp) => sdp) => {
  const peer = new RTCPeerConnection();
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const track of stream.getTracks()) peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
  await begin(url, peer, change);
};

window.play = async (url) => {
  document.body.innerHTML = "<video autoplay playsinline></video>";
  const video = document.querySelector("video");
  const peer = new RTCPeerConnection();
  peer.ontrack = (event) => { video.srcObject = event.streams[0]; };
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  await begin(url, peer, (sdp) => sdp);
};

window.leave = async () => {
  window.told.left = (await fetch(window.told.resource, { method: "DELETE" })).status;
};
