// All applications of the node.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { RestError, act, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { Confirm, Facts, Field, Said, Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { ApplicationInfo } from "./wire.ts";

/** With their figures where the server tells them, else by name alone. */
export async function loadApplications(): Promise<ApplicationInfo[]> {
  try {
    return await get<ApplicationInfo[]>(paths.node("applications-info"));
  } catch (error) {
    if (!(error instanceof RestError && error.isAbsent)) throw error;
    const { applications } = await get<{ applications: string[] }>(paths.node("applications"));
    return applications.map((name) => ({ name }));
  }
}

export function ApplicationsPage({ changed }: { changed: () => void }): JSX.Element {
  const { value, error, reload } = useLoad(loadApplications, "applications", 5000);
  const [name, setName] = useState("");
  const [said, setSaid] = useState("");
  const create = useAction(async () => {
    await act("POST", paths.application(name));
    setSaid(`${name} is there.`);
    setName("");
    reload();
    changed();
  });
  return (
    <>
      <Title name="Applications">Applications</Title>
      <p class="quiet">Each is a place of its own to publish to, with its own settings, streams and tokens.</p>
      <Trouble error={error} again={reload} />
      <div class="panels">
        {value?.map((application) => (
          <section key={application.name} class="panel" aria-label={application.name}>
            <h2><a href={to(application.name)}>{application.name}</a></h2>
            <Facts facts={[
              ["Live streams", application.liveStreamCount],
              ["Recordings", application.vodCount],
              ["On disk", application.storage === undefined ? undefined : bytes(application.storage)],
            ]} />
            <div class="actions">
              <a class="button" href={to(application.name)}>Streams</a>
              <a class="button" href={to(application.name, "settings")}>Settings</a>
              <Confirm
                label="Delete"
                question={`Delete ${application.name}?`}
                detail="Its streams end, and its settings, tokens and subscribers go with it. This cannot be undone."
                confirm="Delete it"
                action={async () => {
                  await act("DELETE", `${paths.application(application.name)}?deleteDB=true`);
                  setSaid(`${application.name} is gone.`);
                  reload();
                  changed();
                }}
              />
            </div>
          </section>
        ))}
      </div>
      <form class="panel" onSubmit={(event) => { event.preventDefault(); void create.run(); }}>
        <h2>A new application</h2>
        <Field label="Name" help="Letters, digits, minus and underscore.">
          {(id) => (
            <div class="beside">
              <input {...id} required maxLength={64} pattern="[A-Za-z0-9_\-]+" autocomplete="off" autocapitalize="none" spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} />
              <button class="first" disabled={create.busy}>Create</button>
            </div>
          )}
        </Field>
        <Trouble error={create.error} />
      </form>
      <Said text={said} />
    </>
  );
}

function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
