// The way in: log-in, and the first user of a new server.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { act, ask, paths } from "./rest.ts";
import { Field, Title, Trouble, useAction } from "./ui.tsx";
import type { Result } from "./wire.ts";

const WHERE_THE_CODE_IS = "The server prints it when it starts and has no user yet. On the server's own machine none is needed.";

export function Login({ entered }: { entered: () => void }): JSX.Element {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const { run, busy, error } = useAction(async () => {
    await act("POST", paths.node("users/authenticate"), { email, password });
    entered();
  });
  return (
    <form class="panel entrance" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <Title name="Log in">Log in</Title>
      <Field label="E-mail">
        {(id) => <input {...id} type="text" inputMode="email" autocomplete="username" required value={email} onInput={(event) => setEmail(event.currentTarget.value)} />}
      </Field>
      <Field label="Password">
        {(id) => <input {...id} type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
      </Field>
      {error !== undefined && (
        error.status === 200
          ? (
            <div class="notice bad" role="alert">
              <p>{/block/i.test(error.message) ? error.message : "E-mail and password do not fit together."}</p>
              <p class="quiet">{/block/i.test(error.message) ? "Wait until that time is over." : "After three wrong tries log-in is closed to you for five minutes. An administrator's password is set anew by “penstock user” on the server."}</p>
            </div>
          )
          : <Trouble error={error} />
      )}
      <button class="first" disabled={busy}>Log in</button>
    </form>
  );
}

export function FirstUser({ made }: { made: () => void }): JSX.Element {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [code, setCode] = useState("");
  const differs = again !== "" && again !== password;
  const { run, busy, error } = useAction(async () => {
    const headers: Record<string, string> = code === "" ? {} : { "Penstock-Setup-Code": code.trim() };
    const user = { email, password, firstName: "", lastName: "", scope: "system", userType: "ADMIN" };
    const { value } = await ask<Result>("POST", paths.node("users/initial"), { body: user, headers });
    if (!value.success) throw new Error(value.message || "the user was not made");
    await act("POST", paths.node("users/authenticate"), { email, password });
    made();
  });
  return (
    <form class="panel entrance" onSubmit={(event) => { event.preventDefault(); if (!differs) void run(); }}>
      <Title name="First user">The first user</Title>
      <p class="quiet">This server has no user yet. The first one is an administrator and can do everything.</p>
      <Field label="E-mail">
        {(id) => <input {...id} type="text" inputMode="email" autocomplete="username" required value={email} onInput={(event) => setEmail(event.currentTarget.value)} />}
      </Field>
      <Field label="Password">
        {(id) => <input {...id} type="password" autocomplete="new-password" required minLength={8} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
      </Field>
      <Field label="Password again">
        {(id) => <input {...id} type="password" autocomplete="new-password" required aria-invalid={differs} value={again} onInput={(event) => setAgain(event.currentTarget.value)} />}
      </Field>
      {differs && <p class="trouble" role="alert">The two passwords differ. Write the same one twice.</p>}
      <Field label="Set-up code (from another machine)" help={WHERE_THE_CODE_IS}>
        {(id) => <input {...id} autocomplete="off" spellcheck={false} value={code} onInput={(event) => setCode(event.currentTarget.value)} />}
      </Field>
      <Trouble error={error} />
      <button class="first" disabled={busy || differs}>Make the first user</button>
    </form>
  );
}
