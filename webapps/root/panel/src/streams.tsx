// The streams of an application: live and stored.

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { act, ask, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { Confirm, Facts, Field, Pager, Said, Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { Broadcast, Shown } from "./wire.ts";

const PAGE = 50;

export function StreamsPage({ app }: { app: string }): JSX.Element {
  const [search, setSearch] = useState("");
  const [offset, setOffset] = useState(0);
  const [said, setSaid] = useState("");
  const searchId = useId();
  const query = new URLSearchParams({ sort_by: "status", order_by: "asc", ...(search === "" ? {} : { search }) });
  const { value, error, reload } = useLoad(
    () => get<Shown[]>(paths.broadcasts(app, `list/${offset}/${PAGE}?${query.toString()}`)),
    `${app} ${offset} ${search}`,
    3000,
  );
  const done = (text: string): void => {
    setSaid(text);
    reload();
  };
  return (
    <>
      <Title name={`Streams of ${app}`}>Streams</Title>
      <CreateStream app={app} done={done} />
      <section class="panel" aria-label="All streams">
        <form role="search" onSubmit={(event) => event.preventDefault()} class="field">
          <label for={searchId}>Search streams by name</label>
          <input id={searchId} type="search" value={search} autocomplete="off" spellcheck={false} onInput={(event) => { setOffset(0); setSearch(event.currentTarget.value); }} />
        </form>
        <Trouble error={error} again={reload} />
        {value?.length === 0 && offset === 0 && (
          <p class="quiet">{search === "" ? "No stream is live or stored. Publish one, or create one above." : "No stream fits."}</p>
        )}
        <ul class="rows">
          {value?.map((broadcast) => <StreamRow key={broadcast.streamId} app={app} broadcast={broadcast} done={done} />)}
        </ul>
        {value !== undefined && <Pager offset={offset} size={PAGE} count={value.length} go={setOffset} />}
      </section>
      <Said text={said} />
    </>
  );
}

function StreamRow({ app, broadcast, done }: { app: string; broadcast: Shown; done: (text: string) => void }): JSX.Element {
  const id = broadcast.streamId ?? "";
  return (
    <li class="row">
      <div class="row-head">
        <h2><a href={to(app, "stream", id)}>{broadcast.name || id}</a></h2>
        <StatusOf broadcast={broadcast} />
      </div>
      <Facts facts={factsOf(broadcast)} />
      <StreamActions app={app} broadcast={broadcast} done={done} />
    </li>
  );
}

export function StreamActions({ app, broadcast, done }: { app: string; broadcast: Shown; done: (text: string) => void }): JSX.Element {
  const id = broadcast.streamId ?? "";
  const stop = useAction(async () => {
    await act("POST", paths.stream(app, id, "stop"));
    done(`${id} was stopped.`);
  });
  return (
    <div class="actions">
      {isLive(broadcast) && <button type="button" disabled={stop.busy} onClick={() => void stop.run()} aria-label={`Stop ${id}`}>Stop</button>}
      <Confirm
        label="Delete"
        name={`Delete ${id}`}
        question={`Delete ${id}?`}
        detail="If it is live it ends. What is stored of it goes: its planned time, its limits, its name."
        confirm="Delete it"
        action={async () => {
          await act("DELETE", paths.stream(app, id));
          done(`${id} is gone.`);
        }}
      />
      <Trouble error={stop.error} />
    </div>
  );
}

export const isLive = ({ status }: Broadcast): boolean => status === "broadcasting" || status === "preparing";

const STATUS: Record<string, string> = {
  broadcasting: "Live",
  preparing: "Beginning",
  created: "Not live yet",
  finished: "Over",
  terminated_unexpectedly: "Lost its publisher",
};

export function StatusOf({ broadcast }: { broadcast: Broadcast }): JSX.Element {
  const status = broadcast.status ?? "";
  return <span class={isLive(broadcast) ? "status dot" : "status quiet"}>{STATUS[status] ?? status}</span>;
}

export function factsOf(broadcast: Broadcast): [string, string | undefined][] {
  const live = isLive(broadcast);
  const viewers = (broadcast.webRTCViewerCount ?? 0) + (broadcast.hlsViewerCount ?? 0) + (broadcast.dashViewerCount ?? 0) + (broadcast.rtmpViewerCount ?? 0);
  return [
    ["Name in addresses", broadcast.name ? (broadcast.streamId ?? undefined) : undefined],
    ["Viewers", live ? String(Math.max(viewers, 0)) : undefined],
    ["By", live ? (broadcast.publishType ?? undefined) : undefined],
    ["Picture", live && (broadcast.width ?? 0) > 0 ? `${broadcast.width} × ${broadcast.height}` : undefined],
    ["Rate", live && (broadcast.bitrate ?? 0) > 0 ? `${((broadcast.bitrate ?? 0) / 1_000_000).toFixed(2)} Mbit/s` : undefined],
  ];
}

function CreateStream({ app, done }: { app: string; done: (text: string) => void }): JSX.Element {
  const [streamId, setStreamId] = useState("");
  const [name, setName] = useState("");
  const { run, busy, error } = useAction(async () => {
    const wanted = { ...(streamId === "" ? {} : { streamId }), ...(name === "" ? {} : { name }), type: "liveStream" };
    const { value } = await ask<Shown>("POST", paths.broadcasts(app, "create"), { body: wanted });
    setStreamId("");
    setName("");
    done(`${value.streamId} was created.`);
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>Register a stream</h2>
      <p class="quiet">Needed where only registered streams are let in, and to plan or limit one. Others appear when they are published.</p>
      <div class="form-row">
        <Field label="Name in addresses" help="Letters, digits, minus, underscore and dot. Empty: one is made up.">
          {(id) => <input {...id} maxLength={256} pattern="[A-Za-z0-9_.\-]+" autocomplete="off" autocapitalize="none" spellcheck={false} value={streamId} onInput={(event) => setStreamId(event.currentTarget.value)} />}
        </Field>
        <Field label="Title" help="For people; may be empty.">
          {(id) => <input {...id} maxLength={200} autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
      </div>
      <Trouble error={error} />
      <div class="actions"><button class="first" disabled={busy}>Create</button></div>
    </form>
  );
}
