// What every view may need: the node's facts, and an application's settings as a hint of what it asks for.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { ask, paths } from "./rest.ts";
import { type Loaded, useLoad } from "./ui.tsx";
import type { NodeFacts, Settings } from "./wire.ts";

export const Facts = createContext<NodeFacts>({
  version: "", applications: [], rtmpPort: 1935, httpsPort: 5443, httpsWarns: true, restAnswersYou: false,
});
export const useFacts = (): NodeFacts => useContext(Facts);

/** The settings of an application, for views that only want to know what is on. */
export function useSettings(app: string): Loaded<Settings> {
  return useLoad(async () => (await ask<Settings>("GET", paths.settings(app))).value, `settings of ${app}`, 10_000);
}
