// One stream: what it does, where to send and see it, and who may.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { AddressList } from "./address-list.tsx";
import { EventsView } from "./events.tsx";
import { ExplainView } from "./explain.tsx";
import { useSettings } from "./node.ts";
import { RestError, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { SessionsView } from "./sessions.tsx";
import { asksFor } from "./settings-model.ts";
import { StatusOf, StreamActions, factsOf } from "./streams.tsx";
import { SubscribersView } from "./subscribers.tsx";
import { TokensView } from "./tokens.tsx";
import { Facts, Said, Title, Trouble, useLoad } from "./ui.tsx";
import type { Direction, Settings, Shown } from "./wire.ts";

const VIEWS = [
  ["", "Addresses"],
  ["tokens", "Tokens"],
  ["subscribers", "Subscribers"],
  ["sessions", "Live sessions"],
  ["events", "Connection events"],
  ["test", "Test a credential"],
] as const;

export function StreamPage({ app, stream, view }: { app: string; stream: string; view: string }): JSX.Element {
  const [said, setSaid] = useState("");
  const { value, error, reload } = useLoad(async () => {
    try {
      return await get<Shown>(paths.stream(app, stream));
    } catch (thrown) {
      // Tokens and subscribers may be made for a stream that nobody has published yet.
      if (thrown instanceof RestError && thrown.status === 404) return null;
      throw thrown;
    }
  }, `${app} ${stream}`, 3000);
  const settings = useSettings(app);
  const label = VIEWS.find(([name]) => name === view)?.[1] ?? "Addresses";
  return (
    <>
      <div class="stream-head">
        <Title name={`${stream}, ${label}`}>{stream}</Title>
        {value !== undefined && (value === null ? <span class="status quiet">Neither live nor stored</span> : <StatusOf broadcast={value} />)}
      </div>
      {value !== undefined && value !== null && (
        <div class="stream-facts">
          <Facts facts={factsOf(value)} />
          <StreamActions app={app} broadcast={value} done={(text) => { setSaid(text); reload(); }} />
        </div>
      )}
      <Said text={said} />
      <Trouble error={error} again={reload} />
      <nav class="tabs" aria-label={`Parts of ${stream}`}>
        {VIEWS.map(([name, text]) => (
          <a key={name} href={name === "" ? to(app, "stream", stream) : to(app, "stream", stream, name)} aria-current={name === view ? "page" : undefined}>{text}</a>
        ))}
      </nav>
      <View app={app} stream={stream} view={view} settings={settings.value} reloadSettings={settings.reload} />
    </>
  );
}

interface ViewProps {
  app: string;
  stream: string;
  view: string;
  settings: Settings | undefined;
  reloadSettings: () => void;
}

function View({ app, stream, view, settings, reloadSettings }: ViewProps): JSX.Element {
  switch (view) {
    case "tokens":
      return <TokensView app={app} stream={stream} settings={settings} reloadSettings={reloadSettings} />;
    case "subscribers":
      return <SubscribersView app={app} stream={stream} settings={settings} />;
    case "sessions":
      return <SessionsView app={app} stream={stream} />;
    case "events":
      return <EventsView app={app} stream={stream} />;
    case "test":
      return <ExplainView app={app} stream={stream} />;
    default:
      return <AddressesView app={app} stream={stream} settings={settings} />;
  }
}

function AddressesView({ app, stream, settings }: { app: string; stream: string; settings: Settings | undefined }): JSX.Element {
  return (
    <div class="panels">
      {(["publish", "play"] as const).map((direction) => (
        <section key={direction} class="panel" aria-labelledby={`${direction}-title`}>
          <h2 id={`${direction}-title`}>{direction === "publish" ? "Publish" : "Play"}</h2>
          {settings !== undefined && <Asked app={app} stream={stream} settings={settings} direction={direction} />}
          <AddressList app={app} stream={stream} direction={direction} />
        </section>
      ))}
    </div>
  );
}

/** What has to be shown at the gate, so that nobody wonders why a bare address is refused. */
function Asked({ app, stream, settings, direction }: { app: string; stream: string; settings: Settings; direction: Direction }): JSX.Element {
  const asked = asksFor(settings, direction);
  if (asked.length === 0) return <p class="quiet">No credential is asked for: who knows the address gets in.</p>;
  return (
    <p class="notice">
      These addresses alone are refused: {asked.map(({ name }) => name).join(" and ")} is asked for.{" "}
      {asked.some(({ mechanism }) => mechanism !== "totp") && <a href={to(app, "stream", stream, "tokens")}>Make a token</a>}
      {asked.some(({ mechanism }) => mechanism === "totp") && <> <a href={to(app, "stream", stream, "subscribers")}>Make a subscriber</a></>}
    </p>
  );
}
