// When sessions of a stream began and ended.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, paths } from "./rest.ts";
import { Facts, Field, Pager, Trouble, useLoad, when } from "./ui.tsx";
import type { ConnectionEvent } from "./wire.ts";

const PAGE = 50;

export function EventsView({ app, stream }: { app: string; stream: string }): JSX.Element {
  const [offset, setOffset] = useState(0);
  const [subscriber, setSubscriber] = useState("");
  const query = subscriber === "" ? "" : `?${new URLSearchParams({ subscriberId: subscriber }).toString()}`;
  const { value, error, reload } = useLoad(
    () => get<ConnectionEvent[]>(paths.stream(app, stream, `connection-events/${offset}/${PAGE}${query}`)),
    `${app} ${stream} ${offset} ${subscriber}`,
    5000,
  );
  return (
    <section class="panel" aria-labelledby="events-title">
      <h2 id="events-title">Connection events</h2>
      <Field label="Only of this subscriber">
        {(id) => <input {...id} type="search" autocomplete="off" spellcheck={false} value={subscriber} onInput={(event) => { setOffset(0); setSubscriber(event.currentTarget.value); }} />}
      </Field>
      <Trouble error={error} again={reload} />
      {value?.length === 0 && offset === 0 && <p class="quiet">Nothing is recorded of this stream's subscribers{subscriber === "" ? "" : " under this name"}.</p>}
      <ul class="rows">
        {value?.map((event) => (
          <li key={`${event.session} ${event.eventType} ${event.timestamp}`} class="row">
            <div class="row-head">
              <h3>{event.subscriberId || "Somebody without a name"}</h3>
              <span class={event.eventType === "connected" ? "status dot" : "status quiet"}>{event.eventType}</span>
            </div>
            <Facts facts={[
              ["When", when(event.timestamp)],
              ["To", event.type],
              ["By", event.eventProtocol],
              ["From", event.peer],
              ["Let in by", event.proof],
              ["Because", event.exitReason],
              ["Node", event.instanceIP],
            ]} />
          </li>
        ))}
      </ul>
      {value !== undefined && <Pager offset={offset} size={PAGE} count={value.length} go={setOffset} />}
    </section>
  );
}
