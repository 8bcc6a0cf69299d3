// What every view is made of.

import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { asRestError, type RestError } from "./rest.ts";

/** An error in words, with what to do next. */
export function Trouble({ error, again }: { error: RestError | undefined; again?: () => void }): JSX.Element | null {
  if (error === undefined) return null;
  return (
    <div class={error.isAbsent ? "notice" : "notice bad"} role="alert">
      <p>{error.message}</p>
      <p class="quiet">{error.advice}</p>
      {again !== undefined && !error.isAbsent && (
        <div class="actions">
          <button type="button" onClick={again}>Try again</button>
        </div>
      )}
    </div>
  );
}

export interface Loaded<T> {
  value: T | undefined;
  error: RestError | undefined;
  reload: () => void;
}

/** Loads when `key` changes, and every `periodMs` while the page can be seen. What is there stays until the next is. */
export function useLoad<T>(load: () => Promise<T>, key: string, periodMs = 0): Loaded<T> {
  const [state, setState] = useState<{ key: string; value?: T; error?: RestError }>({ key });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    let over = false;
    const once = async (): Promise<void> => {
      try {
        const value = await latest.current();
        if (!over) setState({ key, value });
      } catch (error) {
        if (!over) setState((before) => ({ ...(before.key === key ? before : {}), key, error: asRestError(error) }));
      }
    };
    void once();
    if (periodMs === 0) return () => { over = true; };
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void once();
    }, periodMs);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [key, turn, periodMs]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const fits = state.key === key;
  return { value: fits ? state.value : undefined, error: fits ? state.error : undefined, reload };
}

export interface Action {
  run: (...given: unknown[]) => Promise<boolean>;
  busy: boolean;
  error: RestError | undefined;
  clear: () => void;
}

/** Something that is done at a press: one at a time, with its error. */
export function useAction(action: () => Promise<void>): Action;
export function useAction<A extends unknown[]>(action: (...given: A) => Promise<void>): Omit<Action, "run"> & { run: (...given: A) => Promise<boolean> };
export function useAction<A extends unknown[]>(action: (...given: A) => Promise<void>): Omit<Action, "run"> & { run: (...given: A) => Promise<boolean> } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<RestError>();
  const running = useRef(false);
  const run = async (...given: A): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await action(...given);
      return true;
    } catch (thrown) {
      setError(asRestError(thrown));
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, busy, error, clear: () => setError(undefined) };
}

interface FieldProps {
  label: string;
  help?: ComponentChildren;
  children: (id: { id: string; "aria-describedby"?: string }) => ComponentChildren;
}

/** A control with its label and, below, what it is for. */
export function Field({ label, help, children }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(help === undefined ? { id } : { id, "aria-describedby": `${id}-help` })}
      {help !== undefined && <p class="quiet small" id={`${id}-help`}>{help}</p>}
    </div>
  );
}

/**
 * A heading that takes the keyboard's place when a page is first shown, so that it is read out and Tab goes on from there.
 * `name` is the page's in the browser's list of pages.
 */
export function Title({ children, name }: { children: ComponentChildren; name: string }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${name} – Penstock management`;
  }, [name]);
  // Before the page can be seen: whoever presses Tab at once is not called back.
  useLayoutEffect(() => heading.current?.focus(), []);
  return <h1 ref={heading} tabIndex={-1}>{children}</h1>;
}

/** A text to take along, with a button that copies it. */
export function Copy({ label, value, hint }: { label: string; value: string; hint?: string }): JSX.Element {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState("");
  const copy = async (): Promise<void> => {
    input.current?.select();
    let copied = true;
    try {
      await navigator.clipboard.writeText(value);
    } catch {
      // Over plain HTTP from another machine there is no clipboard API; the old command still works there.
      copied = document.execCommand("copy");
    }
    setSaid(copied ? "Copied" : "Press Ctrl+C");
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="beside">
        <input id={id} ref={input} readOnly value={value} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" onClick={() => void copy()} aria-label={`Copy ${label}`}>{said || "Copy"}</button>
      </div>
      {hint !== undefined && <p class="quiet small">{hint}</p>}
    </div>
  );
}

/** Pages of a long list. */
export function Pager({ offset, size, count, go }: { offset: number; size: number; count: number; go: (offset: number) => void }): JSX.Element | null {
  if (offset === 0 && count < size) return null;
  return (
    <div class="actions" role="group" aria-label="Pages of the list">
      <button type="button" disabled={offset === 0} onClick={() => go(Math.max(0, offset - size))}>Back</button>
      <span class="quiet middle">{count === 0 ? `nothing from ${offset + 1} on` : `${offset + 1} to ${offset + count}`}</span>
      <button type="button" disabled={count < size} onClick={() => go(offset + size)}>More</button>
    </div>
  );
}

/** Asks before something is done that cannot be undone; a dialog of the browser's own, so the keyboard stays in it. */
export function Confirm({ label, name, question, detail, confirm, action, className = "", children }: {
  label: string;
  /** What a screen reader calls it, where several on a page have the same label. It begins with that. */
  name?: string;
  question: string;
  detail: string;
  confirm: string;
  action: () => Promise<void>;
  className?: string;
  /** What is to be chosen with it. */
  children?: ComponentChildren;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const leave = useRef<HTMLButtonElement>(null);
  const id = useId();
  const { run, busy, error, clear } = useAction(action);
  const sure = async (): Promise<void> => {
    if (await run()) dialog.current?.close();
  };
  const begin = (): void => {
    clear();
    dialog.current?.showModal();
    // Whoever goes on pressing Enter does no harm.
    leave.current?.focus();
  };
  return (
    <>
      <button type="button" class={className} aria-label={name} onClick={begin}>{label}</button>
      <dialog ref={dialog} aria-labelledby={id}>
        <h2 id={id}>{question}</h2>
        <p>{detail}</p>
        {children}
        <Trouble error={error} />
        <div class="actions">
          <button type="button" class="danger" disabled={busy} onClick={() => void sure()}>{confirm}</button>
          <button type="button" ref={leave} onClick={() => dialog.current?.close()}>Leave it</button>
        </div>
      </dialog>
    </>
  );
}

/** Facts of a row, one below or beside the other. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }): JSX.Element {
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Says something to everybody, screen readers included, and forgets it. */
export function Said({ text }: { text: string }): JSX.Element {
  return <p class="said-now" role="status">{text}</p>;
}

export function when(ms: number | undefined | null): string {
  if (ms === undefined || ms === null || ms <= 0) return "never";
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(ms));
}

export function since(ms: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - ms) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}
