// Who may manage this node.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { act, get, paths } from "./rest.ts";
import { Confirm, Facts, Field, Said, Title, Trouble, useAction, useLoad } from "./ui.tsx";
import type { User, UserType } from "./wire.ts";

const TYPES: Record<UserType, string> = {
  ADMIN: "Administrator: everything",
  USER: "User: streams and recordings",
  READ_ONLY: "Looks only",
};

export function UsersPage({ applications }: { applications: string[] }): JSX.Element {
  const [said, setSaid] = useState("");
  const { value, error, reload } = useLoad(() => get<User[]>(paths.node("user-list")), "users");
  const done = (text: string): void => {
    setSaid(text);
    reload();
  };
  return (
    <>
      <Title name="Users">Users</Title>
      <OwnPassword done={() => setSaid("Your password is the new one from now on.")} />
      <AddUser applications={applications} done={done} />
      <Said text={said} />
      <section class="panel" aria-labelledby="users-title">
        <h2 id="users-title">All users</h2>
        <Trouble error={error} again={reload} />
        <ul class="rows">
          {value?.map((user) => (
            <li key={user.email} class="row">
              <h3>{user.email}</h3>
              <Facts facts={Object.entries(user.appNameUserType).map(([scope, type]) => [scope === "system" ? "All applications" : scope, TYPES[type]])} />
              <div class="actions">
                <Confirm
                  label="Delete"
                  name={`Delete ${user.email}`}
                  question={`Delete ${user.email}?`}
                  detail="They are logged out and cannot log in again."
                  confirm="Delete them"
                  action={async () => {
                    await act("DELETE", paths.node(`users/${encodeURIComponent(user.email)}`));
                    done(`${user.email} is gone.`);
                  }}
                />
              </div>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function AddUser({ applications, done }: { applications: string[]; done: (text: string) => void }): JSX.Element {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [userType, setUserType] = useState<UserType>("READ_ONLY");
  const [scope, setScope] = useState("system");
  const { run, busy, error } = useAction(async () => {
    await act("POST", paths.node("users"), { email, password, userType, scope, firstName: "", lastName: "" });
    setEmail("");
    setPassword("");
    done(`${email} may log in.`);
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>A new user</h2>
      <div class="form-row">
        <Field label="E-mail of the new user">
          {(id) => <input {...id} type="text" inputMode="email" autocomplete="off" required value={email} onInput={(event) => setEmail(event.currentTarget.value)} />}
        </Field>
        <Field label="Password of the new user">
          {(id) => <input {...id} type="password" autocomplete="new-password" required minLength={8} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
        </Field>
        <Field label="May do">
          {(id) => (
            <select {...id} value={userType} onChange={(event) => setUserType(event.currentTarget.value as UserType)}>
              {Object.entries(TYPES).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
            </select>
          )}
        </Field>
        <Field label="In">
          {(id) => (
            <select {...id} value={scope} onChange={(event) => setScope(event.currentTarget.value)}>
              <option value="system">all applications</option>
              {applications.map((name) => <option key={name} value={name}>{name}</option>)}
            </select>
          )}
        </Field>
      </div>
      <Trouble error={error} />
      <div class="actions"><button class="first" disabled={busy}>Add</button></div>
    </form>
  );
}

function OwnPassword({ done }: { done: () => void }): JSX.Element {
  const [password, setPassword] = useState("");
  const [newPassword, setNewPassword] = useState("");
  const { run, busy, error } = useAction(async () => {
    await act("POST", paths.node("users/password"), { password, newPassword });
    setPassword("");
    setNewPassword("");
    done();
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>Your own password</h2>
      <div class="form-row">
        <Field label="Password of now">
          {(id) => <input {...id} type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />}
        </Field>
        <Field label="New password">
          {(id) => <input {...id} type="password" autocomplete="new-password" required minLength={8} value={newPassword} onInput={(event) => setNewPassword(event.currentTarget.value)} />}
        </Field>
      </div>
      <Trouble error={error} />
      <div class="actions"><button disabled={busy}>Change it</button></div>
    </form>
  );
}
