// Ready-made addresses and commands for a stream, with the credential in them.

import type { Credential, Direction, NodeFacts } from "./wire.ts";

export interface Address {
  label: string;
  value: string;
  hint?: string;
}

/** As one word of a shell, where it is more than letters. */
const word = (text: string): string => (/^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** Everything that can send or show this stream. `host` and `origin` are where this page was opened. */
export function addresses(
  { app, stream, direction, credential, facts, host, origin }:
  { app: string; stream: string; direction: Direction; credential: Credential; facts: Pick<NodeFacts, "rtmpPort">; host: string; origin: string },
): Address[] {
  const query = new URLSearchParams();
  if (credential.token) query.set("token", credential.token);
  if (credential.subscriberId) query.set("subscriberId", credential.subscriberId);
  if (credential.subscriberCode) query.set("subscriberCode", credential.subscriberCode);
  const text = query.toString();
  const behind = text === "" ? "" : `?${text}`;
  const also = text === "" ? "" : `&${text}`;
  const base = `${origin}/${encodeURIComponent(app)}`;
  const id = encodeURIComponent(stream);
  if (direction === "publish") {
    const rtmp = `rtmp://${host}${facts.rtmpPort === 1935 ? "" : `:${facts.rtmpPort}`}/${app}`;
    // WHIP carries the token as a header, as Ant Media Server takes it, and the rest in its address.
    const whip = new URLSearchParams(query);
    whip.delete("token");
    const whipAddress = `${base}/whip/${id}${whip.size === 0 ? "" : `?${whip.toString()}`}`;
    const bearer = credential.token ? ` -H "Authorization: Bearer ${credential.token}"` : "";
    return [
      { label: "Browser", value: `${base}/publish.html?id=${id}${also}` },
      { label: "OBS: server", value: rtmp, hint: "In OBS choose the service “Custom”." },
      { label: "OBS: stream key", value: `${stream}${behind}` },
      { label: "ffmpeg", value: `ffmpeg -re -i INPUT -c:v libx264 -bf 0 -tune zerolatency -g 60 -c:a aac -f flv ${word(`${rtmp}/${stream}${behind}`)}` },
      { label: "WHIP", value: whipAddress, ...(credential.token ? { hint: "The bearer token is the token alone." } : {}) },
      { label: "WHIP by curl", value: `curl -i -H "Content-Type: application/sdp"${bearer} --data-binary @offer.sdp "${whipAddress}"` },
    ];
  }
  const flv = `${base}/live/${id}.flv${behind}`;
  return [
    { label: "Browser", value: `${base}/play.html?id=${id}${also}` },
    { label: "FLV", value: flv, hint: "For ffplay, VLC, mpv and flv.js." },
    { label: "ffmpeg", value: `ffmpeg -i "${flv}" -c copy ${word(`${stream}.mkv`)}` },
    { label: "FLV by curl", value: `curl -f -o ${word(`${stream}.flv`)} "${flv}"` },
    { label: "WHEP", value: `${base}/whep/${id}${behind}` },
  ];
}
