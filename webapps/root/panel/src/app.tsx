// The frame: who is logged in, which application, and the page of the address.

import type { JSX } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { ApplicationsPage, loadApplications } from "./applications.tsx";
import { FirstUser, Login } from "./login.tsx";
import { Facts } from "./node.ts";
import { RestError, ask, get, paths, whenSignedOut } from "./rest.ts";
import { to, useRoute } from "./route.ts";
import { SettingsPage } from "./settings.tsx";
import { StreamPage } from "./stream.tsx";
import { StreamsPage } from "./streams.tsx";
import { UsersPage } from "./users.tsx";
import { Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { NodeFacts, Result } from "./wire.ts";

/** How it stands with the log-in. `open`: this server has none, and answers whom it answers. */
type Standing = "asking" | "out" | "first" | "in" | "open";

export function App(): JSX.Element {
  const [standing, setStanding] = useState<Standing>("asking");
  const [error, setError] = useState<RestError>();
  const look = useCallback(async () => {
    setError(undefined);
    try {
      setStanding(await standingNow());
    } catch (thrown) {
      setError(thrown as RestError);
    }
  }, []);
  useEffect(() => {
    whenSignedOut(() => setStanding("out"));
    void look();
  }, [look]);
  const inside = standing === "in" || standing === "open";
  return (
    <div class="page wide">
      {inside ? <Inside standing={standing} out={() => setStanding("out")} /> : (
        <>
          <header><Brand /></header>
          <main>
            <Trouble error={error} again={() => void look()} />
            {standing === "asking" && error === undefined && <p class="quiet" role="status">Asking the server</p>}
            {standing === "out" && <Login entered={() => setStanding("in")} />}
            {standing === "first" && <FirstUser made={() => setStanding("in")} />}
          </main>
        </>
      )}
    </div>
  );
}

async function standingNow(): Promise<Standing> {
  try {
    const status = await get<Result>(paths.node("authentication-status"));
    if (status.success) return "in";
  } catch (error) {
    if (error instanceof RestError && error.isAbsent) return "open";
    if (!(error instanceof RestError && (error.status === 401 || error.status === 403))) throw error;
  }
  const first = await get<Result>(paths.node("first-login-status"));
  return first.success ? "first" : "out";
}

function Brand(): JSX.Element {
  return (
    <a class="masthead" href="/" aria-label="Penstock, first page"><img src="/app/icon.svg" alt="" /><span class="brand">Penstock</span></a>
  );
}

function Inside({ standing, out }: { standing: Standing; out: () => void }): JSX.Element {
  const route = useRoute();
  // Beside the path, where an application may have any name.
  const [first, section, stream, view] = route.parts;
  const isUsers = route.query.has("users");
  const app = isUsers ? undefined : first;
  const applications = useLoad(loadApplications, "names");
  const facts = useLoad(() => get<NodeFacts>("/node.json"), "facts");
  const names = applications.value?.map(({ name }) => name) ?? [];
  const logOut = useAction(async () => {
    await ask("DELETE", paths.node("users/logout"));
    out();
  });
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("main h1")?.focus(); }}>Skip to the page</a>
      <header class="frame">
        <Brand />
        <nav aria-label="Pages">
          <a href="#/" aria-current={app === undefined && !isUsers ? "page" : undefined}>Applications</a>
          {standing === "in" && <a href="#/?users" aria-current={isUsers ? "page" : undefined}>Users</a>}
          {app !== undefined && (
            <>
              <a href={to(app)} aria-current={section === undefined ? "page" : section === "stream" ? "true" : undefined}>Streams</a>
              <a href={to(app, "settings")} aria-current={section === "settings" ? "page" : undefined}>Settings</a>
            </>
          )}
        </nav>
        {app !== undefined && (
          <div class="which">
            <label for="which">Application</label>
            <select id="which" value={app} onChange={(event) => { location.hash = section === "settings" ? to(event.currentTarget.value, "settings") : to(event.currentTarget.value); }}>
              {(names.includes(app) ? names : [app, ...names]).map((name) => <option key={name} value={name}>{name}</option>)}
            </select>
          </div>
        )}
        {standing === "in" && <button type="button" disabled={logOut.busy} onClick={() => void logOut.run()}>Log out</button>}
      </header>
      <Facts.Provider value={facts.value ?? { version: "", applications: [], rtmpPort: 1935, httpsPort: 5443, httpsWarns: true, restAnswersYou: false }}>
        <main id="main">
          <Trouble error={logOut.error} />
          {standing === "open" && <p class="notice">This server has no log-in: its REST answers its own machine only.</p>}
          {isUsers ? <UsersPage applications={names} /> : <Page key={`${app ?? ""}/${section ?? ""}/${stream ?? ""}`} {...{ app, section, stream, view }} search={route.query.get("search") ?? ""} changed={applications.reload} />}
        </main>
      </Facts.Provider>
      <footer class="quiet small">{facts.value !== undefined && `Penstock ${facts.value.version}`}</footer>
    </>
  );
}

function Page({ app, section, stream, view, search, changed }: {
  app: string | undefined;
  section: string | undefined;
  stream: string | undefined;
  view: string | undefined;
  search: string;
  changed: () => void;
}): JSX.Element {
  if (app === undefined) return <ApplicationsPage changed={changed} />;
  if (section === undefined) return <StreamsPage app={app} />;
  if (section === "settings") return <SettingsPage app={app} search={search} />;
  if (section === "stream" && stream !== undefined) return <StreamPage app={app} stream={stream} view={view ?? ""} />;
  return (
    <>
      <Title name="Nothing here">There is no such page</Title>
      <p><a href="#/">All applications</a></p>
    </>
  );
}
