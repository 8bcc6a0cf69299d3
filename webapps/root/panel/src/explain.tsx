// What the gate would say to a credential, clause by clause. Nothing is spent by asking, but a webhook is asked.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask, paths } from "./rest.ts";
import { Field, Trouble, useAction } from "./ui.tsx";
import type { Direction, Explanation, Outcome } from "./wire.ts";

const OUTCOMES: Record<Outcome, string> = {
  passed: "passed",
  refused: "refused",
  off: "not asked for",
  "not reached": "not reached",
};

/** What another view hands over to be tested; not in the address, where it would stay in the browser's history. */
let handedOver: { token: string; direction: Direction } | undefined;
export function handOver(token: string, direction: Direction): void {
  handedOver = { token, direction };
}

export function ExplainView({ app, stream }: { app: string; stream: string }): JSX.Element {
  const [given] = useState(handedOver);
  const [direction, setDirection] = useState<Direction>(given?.direction ?? "play");
  const [token, setToken] = useState(given?.token ?? "");
  const [subscriberId, setSubscriberId] = useState("");
  const [subscriberCode, setSubscriberCode] = useState("");
  const [address, setAddress] = useState("");
  const [answer, setAnswer] = useState<Explanation>();
  const verdict = useRef<HTMLHeadingElement>(null);
  const { run, busy, error } = useAction(async () => {
    setAnswer(undefined);
    const body = {
      streamId: stream,
      type: direction,
      ...Object.fromEntries(Object.entries({ token, subscriberId, subscriberCode, address }).filter(([, text]) => text !== "")),
    };
    setAnswer((await ask<Explanation>("POST", paths.explain(app), { body })).value);
  });
  useEffect(() => { handedOver = undefined; }, []);
  useLayoutEffect(() => verdict.current?.focus(), [answer]);
  const text = (label: string, value: string, set: (text: string) => void, help?: string): JSX.Element => (
    <Field label={label} help={help}>
      {(id) => <input {...id} autocomplete="off" spellcheck={false} autocapitalize="none" value={value} onInput={(event) => set(event.currentTarget.value)} />}
    </Field>
  );
  return (
    <>
      <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
        <h2>Test a credential</h2>
        <p class="quiet">Asks the gate as somebody would who shows this. Nobody is let in by it, no token is used up and no wrong code counted. A webhook, where there is one, is asked.</p>
        <div class="form-row">
          <Field label="To">
            {(id) => (
              <select {...id} value={direction} onChange={(event) => setDirection(event.currentTarget.value as Direction)}>
                <option value="play">play</option>
                <option value="publish">publish</option>
              </select>
            )}
          </Field>
          {text("Token", token, setToken)}
          {text("Subscriber", subscriberId, setSubscriberId)}
          {text("Subscriber's code", subscriberCode, setSubscriberCode)}
          {text("Address they come from", address, setAddress, "Such as 203.0.113.7. Empty: yours.")}
        </div>
        <Trouble error={error} />
        <div class="actions"><button class="first" disabled={busy}>Test it</button></div>
      </form>
      {answer !== undefined && (
        <section class="panel" aria-labelledby="verdict">
          <h2 id="verdict" ref={verdict} tabIndex={-1} class={answer.allowed ? "good" : "trouble"}>
            {answer.allowed ? `They may ${direction}.` : `They may not ${direction}.`}
          </h2>
          <ol class="clauses">
            {answer.clauses.map(({ name, outcome, reason }) => (
              <li key={name} class={outcome.replace(" ", "-")}>
                <span>{name}</span> <strong>{OUTCOMES[outcome] ?? outcome}</strong>
                {reason && <p class="quiet">{reason}</p>}
              </li>
            ))}
          </ol>
        </section>
      )}
    </>
  );
}
