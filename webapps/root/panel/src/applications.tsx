// All applications of the node.

import type { JSX } from "preact";
import { RestError, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { Facts, Title, Trouble, useLoad } from "./ui.tsx";
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

export function ApplicationsPage(): JSX.Element {
  const { value, error, reload } = useLoad(loadApplications, "applications", 5000);
  return (
    <>
      <Title name="Applications">Applications</Title>
      <p class="quiet">
        Each is a place of its own to publish to, with its own settings, streams and tokens. It is a folder
        of <code>webapps</code> on the server: make or remove one on every node, and start the nodes again.
      </p>
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
            </div>
          </section>
        ))}
      </div>
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
