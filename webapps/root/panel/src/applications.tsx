// All applications of the node.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { RestError, act, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { Confirm, Facts, Field, Said, Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { ApplicationInfo, Result } from "./wire.ts";

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

/** Whether who looks may make and delete them. One that cannot be asked refuses it itself. */
async function isAdministrator(): Promise<boolean> {
  try {
    return (await get<Result>(paths.node("admin-status"))).success;
  } catch {
    return false;
  }
}

/** `changed`: there is one more, or one less. */
export function ApplicationsPage({ changed }: { changed: () => void }): JSX.Element {
  const [said, setSaid] = useState("");
  const { value: mayChange } = useLoad(isAdministrator, "administrator");
  const { value, error, reload } = useLoad(loadApplications, "applications", 5000);
  const done = (text: string): void => {
    setSaid(text);
    reload();
    changed();
  };
  return (
    <>
      <Title name="Applications">Applications</Title>
      <p class="quiet">
        Each is a place of its own to publish to, with its own settings, streams and tokens. On the server it is a folder
        of <code>webapps</code>, which all nodes of a cluster make by themselves.
      </p>
      {mayChange === true && <AddApplication done={done} />}
      <Said text={said} />
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
              {mayChange === true && <DeleteApplication name={application.name} done={done} />}
            </div>
          </section>
        ))}
      </div>
    </>
  );
}

function AddApplication({ done }: { done: (text: string) => void }): JSX.Element {
  const [name, setName] = useState("");
  const { run, busy, error } = useAction(async () => {
    await act("POST", paths.application(name));
    setName("");
    done(`${name} can be used.`);
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>A new application</h2>
      <Field label="Name of the new application" help="Letters, digits, - and _. It is the first part of every address of its streams.">
        {(id) => <input {...id} type="text" autocomplete="off" spellcheck={false} required maxLength={200} pattern="[a-zA-Z0-9_\-]+" value={name} onInput={(event) => setName(event.currentTarget.value)} />}
      </Field>
      <Trouble error={error} />
      <div class="actions"><button class="first" disabled={busy}>Make it</button></div>
    </form>
  );
}

function DeleteApplication({ name, done }: { name: string; done: (text: string) => void }): JSX.Element {
  const [data, setData] = useState(false);
  return (
    <Confirm
      label={`Delete ${name}`}
      question={`Delete the application ${name}?`}
      detail={`Whoever publishes or plays there is sent away, on every node, and its settings with their secrets are gone. Its folder is not deleted: it is kept beside the others as .deleted-${name}- and the time.`}
      confirm="Delete it"
      action={async () => {
        await act("DELETE", `${paths.application(name)}?deleteDB=${data}`);
        done(`${name} is gone.`);
      }}
    >
      <label class="check">
        <input type="checkbox" checked={data} onChange={(event) => setData(event.currentTarget.checked)} />
        <span>Also delete its registered streams with their tokens and subscribers. Else they are there again when an application of this name is made.</span>
      </label>
    </Confirm>
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
