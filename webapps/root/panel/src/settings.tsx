// The settings of an application: a form made of the node's table, with search, and a look at all changes before they
// are saved.

import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ask, paths } from "./rest.ts";
import {
  type Change, GROUP_NAMES, SETTINGS, type Setting, changes, groupOf, matches, parse, same, shown, wordsOf,
} from "./settings-model.ts";
import { newSettingSecret } from "./secrets.ts";
import { Said, Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { Settings } from "./wire.ts";

/** What the server says to a change: `problems` keep it from being made, `warnings` do not. */
interface Judgement {
  success: boolean;
  problems: Finding[];
  warnings: Finding[];
}

interface Finding {
  field: string;
  what: string;
}

export function SettingsPage({ app, search: wanted }: { app: string; search: string }): JSX.Element {
  const { value, error, reload } = useLoad(() => ask<Settings>("GET", paths.settings(app)), app);
  const [edits, setEdits] = useState<Settings>({});
  const [problems, setProblems] = useState<Record<string, string>>({});
  const [search, setSearch] = useState(wanted);
  const [onlyChanged, setOnlyChanged] = useState(false);
  const [all, setAll] = useState(false);
  const [said, setSaid] = useState("");
  const searchId = useId();

  useEffect(() => setSearch(wanted), [wanted]);
  const stored = value?.value ?? {};
  const pending = changes(stored, edits);
  const isDirty = pending.length > 0;
  useEffect(() => {
    if (!isDirty) return;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isDirty]);

  const now = (setting: Setting): unknown => (setting.key in edits ? edits[setting.key] : stored[setting.key]);
  const known = SETTINGS.filter(({ key }) => key in stored);
  const listed = known.filter((setting) =>
    matches(setting, search)
    && (!onlyChanged || !same(now(setting), setting.default))
    && (all || search !== "" || setting.actedOn || setting.gates !== undefined || !same(now(setting), setting.default)));
  const hidden = known.length - listed.length;

  const edit = (setting: Setting, value: unknown, problem?: string): void => {
    setSaid("");
    setEdits((before) => ({ ...before, [setting.key]: value }));
    setProblems(({ [setting.key]: _, ...others }) => (problem === undefined ? others : { ...others, [setting.key]: problem }));
  };
  const discard = (): void => {
    setEdits({});
    setProblems({});
    setSaid("Nothing was changed.");
  };

  return (
    <>
      <Title name={`Settings of ${app}`}>Settings</Title>
      <Trouble error={error} again={reload} />
      {value === undefined && error === undefined && <p class="quiet" role="status">Loading the settings</p>}
      {value !== undefined && (
        <>
          <form class="panel finding" role="search" onSubmit={(event) => event.preventDefault()}>
            <div class="field">
              <label for={searchId}>Search settings</label>
              <input id={searchId} type="search" value={search} autocomplete="off" spellcheck={false} onInput={(event) => setSearch(event.currentTarget.value)} />
            </div>
            <div class="checks">
              <Check label="Changed only" checked={onlyChanged} change={setOnlyChanged} />
              <Check label="Also what this server keeps but does not act on" checked={all} change={setAll} />
            </div>
            <p class="quiet small" role="status">
              {listed.length} of {known.length} settings are shown{hidden > 0 && !all ? "; a search looks through all of them" : ""}.
            </p>
          </form>
          <form class="groups" autocomplete="off" onSubmit={(event) => event.preventDefault()}>
            {GROUP_NAMES.map((group) => {
              const members = listed.filter((setting) => groupOf(setting) === group);
              return members.length === 0 ? null : (
                <section key={group} class="panel" aria-label={group}>
                  <h2>{group}</h2>
                  <div class="settings">
                    {members.map((setting) => (
                      <Row key={setting.key} setting={setting} value={now(setting)} stored={stored[setting.key]} problem={problems[setting.key]} edit={edit} />
                    ))}
                  </div>
                </section>
              );
            })}
          </form>
          {listed.length === 0 && <p class="quiet">No setting fits. Search for another word.</p>}
          <Said text={said} />
          <Pending
            app={app}
            etag={value.etag}
            pending={pending}
            hasProblems={Object.keys(problems).length > 0}
            discard={discard}
            saved={() => {
              setEdits({});
              setSaid("Saved. It holds from now on.");
              reload();
            }}
            outdated={() => reload()}
          />
        </>
      )}
    </>
  );
}

function Check({ label, checked, change }: { label: string; checked: boolean; change: (on: boolean) => void }): JSX.Element {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => change(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

interface RowProps {
  setting: Setting;
  value: unknown;
  stored: unknown;
  problem: string | undefined;
  edit: (setting: Setting, value: unknown, problem?: string) => void;
}

function Row({ setting, value, stored, problem, edit }: RowProps): JSX.Element {
  const id = useId();
  const { label, help } = wordsOf(setting);
  const isChanged = !same(value, stored);
  const isDefault = same(value, setting.default);
  const describedBy = `${id}-help`;
  const kept = setting.actedOn ? "" : " This server keeps it and does not act on it.";
  return (
    <div class={isChanged ? "setting changed" : "setting"}>
      {setting.kind === "flag" ? (
        <label class="check" for={id}>
          <input id={id} type="checkbox" checked={value === true} aria-describedby={describedBy} onChange={(event) => edit(setting, event.currentTarget.checked)} />
          <span>{label}</span>
        </label>
      ) : (
        <>
          <label for={id} class="plain">{label}</label>
          <Input id={id} describedBy={describedBy} setting={setting} value={value} problem={problem} edit={edit} />
        </>
      )}
      <p class="quiet small" id={describedBy}>
        {help}{kept} {label !== setting.key && <code>{setting.key}</code>}
        {isChanged && <> Saved: {shown(setting, stored)}.</>}
        {!isDefault && setting.secret !== true && <> Default: {shown(setting, setting.default)}.</>}
      </p>
      {problem !== undefined && <p class="trouble small" role="alert">{problem}</p>}
    </div>
  );
}

function Input({ id, describedBy, setting, value, problem, edit }: Omit<RowProps, "stored"> & { id: string; describedBy: string }): JSX.Element {
  const [typed, setTyped] = useState<string>();
  const [seen, setSeen] = useState(false);
  const asText = value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  // What was typed and is no value yet stays as it was typed.
  const text = problem !== undefined && typed !== undefined ? typed : asText;
  const input = (event: { currentTarget: HTMLInputElement }): void => {
    const typedNow = event.currentTarget.value;
    setTyped(typedNow);
    const parsed = parse(setting, typedNow);
    if ("problem" in parsed) edit(setting, value, parsed.problem);
    else edit(setting, parsed.value);
  };
  const common = { id, value: text, "aria-describedby": describedBy, "aria-invalid": problem !== undefined, autocomplete: "off", spellcheck: false, onInput: input };
  if (setting.secret === true) {
    return (
      <div class="beside">
        {seen ? <input {...common} type="text" /> : <input {...common} type="password" autocomplete="new-password" />}
        <button type="button" aria-pressed={seen} aria-label={`Show ${wordsOf(setting).label}`} onClick={() => setSeen(!seen)}>Show</button>
        {/^(jwt|tokenHash|timeTokenSecret).*(Secret|SecretKey|Publish|Play)$/.test(setting.key) && text === "" && (
          <button type="button" aria-label={`Make ${wordsOf(setting).label}`} onClick={() => { setSeen(true); edit(setting, newSettingSecret()); }}>Make one</button>
        )}
      </div>
    );
  }
  return <input {...common} inputMode={setting.kind === "integer" ? "numeric" : setting.kind === "decimal" ? "decimal" : "text"} />;
}

function Pending({ app, etag, pending, hasProblems, discard, saved, outdated }: {
  app: string;
  etag: string | null;
  pending: Change[];
  hasProblems: boolean;
  discard: () => void;
  saved: () => void;
  outdated: () => void;
}): JSX.Element | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const [judgement, setJudgement] = useState<Judgement>();
  const title = useId();
  const body = Object.fromEntries(pending.map(({ setting, after }) => [setting.key, after]));
  const headers: Record<string, string> = etag === null ? {} : { "If-Match": etag };

  const review = useAction(async () => {
    setJudgement(undefined);
    save.clear();
    dialog.current?.showModal();
    const { value } = await ask<Judgement>("PATCH", `${paths.settings(app)}?dryRun=true`, { body, headers });
    setJudgement(value);
  });
  const save = useAction(async () => {
    const { value } = await ask<Judgement>("PATCH", paths.settings(app), { body, headers });
    if (!value.success) {
      setJudgement(value);
      return;
    }
    dialog.current?.close();
    saved();
  });
  const error = save.error ?? review.error;
  const isOutdated = error?.status === 412 || error?.status === 409;
  const problems = judgement?.problems ?? [];
  const warnings = judgement?.warnings ?? [];
  const isOfTheList = ({ field }: Finding): boolean => pending.some(({ setting }) => setting.key === field);

  return (
    <>
      {(pending.length > 0 || hasProblems) && (
        <div class="pending" role="region" aria-label="Changes that are not saved">
          <p>{pending.length === 1 ? "1 change is not saved." : `${pending.length} changes are not saved.`}{hasProblems ? " Correct what is marked first." : ""}</p>
          <div class="actions">
            <button type="button" class="first" disabled={hasProblems || pending.length === 0 || review.busy} onClick={() => void review.run()}>Review and save</button>
            <button type="button" onClick={discard}>Discard</button>
          </div>
        </div>
      )}
      <dialog ref={dialog} aria-labelledby={title} class="wide-dialog">
        <h2 id={title}>What changes</h2>
        <ul class="diff">
          {pending.map(({ setting, before, after }) => (
            <li key={setting.key}>
              <span>{wordsOf(setting).label}</span> <code>{setting.key}</code>
              <p><del>{shown(setting, before)}</del> <span aria-hidden="true">→</span> <ins>{shown(setting, after)}</ins></p>
              <Findings list={problems.filter(({ field }) => field === setting.key)} kind="trouble" />
              <Findings list={warnings.filter(({ field }) => field === setting.key)} kind="notice" />
            </li>
          ))}
        </ul>
        <Findings list={problems.filter((finding) => !isOfTheList(finding))} kind="trouble" named />
        <Findings list={warnings.filter((finding) => !isOfTheList(finding))} kind="notice" named />
        {problems.length > 0 && <p role="alert">The server does not take this. Go back to the form and change what it names.</p>}
        <Trouble error={error} />
        {isOutdated && <p class="quiet">Your changes stay in the form when you load again.</p>}
        <div class="actions">
          {isOutdated
            ? <button type="button" class="first" onClick={() => { dialog.current?.close(); outdated(); }}>Load again</button>
            : <button type="button" class="first" disabled={review.busy || save.busy || problems.length > 0 || (review.error !== undefined && !review.error.isAbsent)} onClick={() => void save.run()}>Save</button>}
          <button type="button" onClick={() => dialog.current?.close()}>Back to the form</button>
        </div>
      </dialog>
    </>
  );
}

function Findings({ list, kind, named = false }: { list: Finding[]; kind: "trouble" | "notice"; named?: boolean }): JSX.Element {
  return (
    <>
      {list.map(({ field, what }) => (
        <p key={`${field} ${what}`} class={`small ${kind}`}>{named && <code>{field}</code>} {kind === "notice" && "Note: "}{what}</p>
      ))}
    </>
  );
}
