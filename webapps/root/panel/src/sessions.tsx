// Who publishes and plays a stream now.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { act, get, paths } from "./rest.ts";
import { Confirm, Facts, Pager, Said, Trouble, since, useLoad } from "./ui.tsx";
import type { Session } from "./wire.ts";

const PAGE = 50;

export function SessionsView({ app, stream }: { app: string; stream: string }): JSX.Element {
  const [offset, setOffset] = useState(0);
  const [said, setSaid] = useState("");
  const { value, error, reload } = useLoad(
    () => get<Session[]>(paths.stream(app, stream, `sessions/${offset}/${PAGE}`)),
    `${app} ${stream} ${offset}`,
    2000,
  );
  return (
    <section class="panel" aria-labelledby="sessions-title">
      <h2 id="sessions-title">Live sessions</h2>
      <Trouble error={error} again={reload} />
      {value?.length === 0 && offset === 0 && <p class="quiet">Nobody publishes or plays this stream on this node now.</p>}
      <ul class="rows">
        {value?.map((session) => (
          <li key={session.session} class="row">
            <div class="row-head">
              <h3>{session.direction === "publish" ? "Publisher" : "Player"}{session.subscriberId ? ` ${session.subscriberId}` : ""}</h3>
              {session.state && <span class={session.state === "live" ? "status dot" : "status quiet"}>{session.state}</span>}
            </div>
            <Facts facts={[
              ["By", session.protocol],
              ["From", session.peer],
              ["For", since(session.since)],
              ["Let in by", session.proof || "nothing asked for"],
              ["Session", <code key="session">{session.session}</code>],
            ]} />
            <div class="actions">
              <Confirm
                label="Kick"
                name={session.direction === "publish" ? "Kick the publisher" : `Kick player ${session.subscriberId || session.session}`}
                question={session.direction === "publish" ? "Stop this publisher?" : "Send this player away?"}
                detail="It is told that it was stopped, and may ask again. To keep it out, revoke its token or block its subscriber."
                confirm="Kick"
                action={async () => {
                  await act("DELETE", paths.stream(app, stream, `sessions/${encodeURIComponent(session.session)}`));
                  setSaid("The session is told to end.");
                  reload();
                }}
              />
            </div>
          </li>
        ))}
      </ul>
      {value !== undefined && <Pager offset={offset} size={PAGE} count={value.length} go={setOffset} />}
      <Said text={said} />
    </section>
  );
}
