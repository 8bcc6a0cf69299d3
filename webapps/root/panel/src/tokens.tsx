// Tokens of a stream: made, listed, withdrawn.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { AddressList } from "./address-list.tsx";
import { handOver } from "./explain.tsx";
import { act, ask, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { asksFor } from "./settings-model.ts";
import { hashToken } from "./sha256.ts";
import { newSettingSecret } from "./secrets.ts";
import { Confirm, Copy, Facts, Field, Pager, Said, Trouble, useAction, useLoad, when } from "./ui.tsx";
import type { Direction, Settings, Token } from "./wire.ts";

const PAGE = 50;

type Kind = "token" | "jwt" | "hash";
const KINDS: Record<Kind, string> = { token: "One-time token", jwt: "JWT", hash: "Hash token" };
const SWITCH: Record<Kind, Record<Direction, string>> = {
  token: { publish: "publishTokenControlEnabled", play: "playTokenControlEnabled" },
  jwt: { publish: "publishJwtControlEnabled", play: "playJwtControlEnabled" },
  hash: { publish: "hashControlPublishEnabled", play: "hashControlPlayEnabled" },
};

const LIVES: [number, string][] = [
  [600, "10 minutes"],
  [3600, "1 hour"],
  [86_400, "1 day"],
  [7 * 86_400, "7 days"],
  [30 * 86_400, "30 days"],
  [365 * 86_400, "1 year"],
];

interface Made {
  kind: Kind;
  direction: Direction;
  token: string;
  /** Unix seconds; hashes have no end. */
  until?: number;
}

export function TokensView({ app, stream, settings, reloadSettings }: {
  app: string;
  stream: string;
  settings: Settings | undefined;
  reloadSettings: () => void;
}): JSX.Element {
  const [made, setMade] = useState<Made>();
  const [offset, setOffset] = useState(0);
  const [said, setSaid] = useState("");
  const { value, error, reload } = useLoad(
    () => get<Token[]>(paths.stream(app, stream, `tokens/list/${offset}/${PAGE}`)),
    `${app} ${stream} ${offset}`,
    5000,
  );
  const gone = (text: string): void => {
    setSaid(text);
    reload();
  };
  const revoke = async (token: string): Promise<void> => {
    await act("DELETE", paths.stream(app, stream, `tokens/${encodeURIComponent(token)}`));
    if (made?.token === token) setMade(undefined);
    gone("The token was revoked. Whoever used it is out within a second.");
  };
  return (
    <>
      <Mint app={app} stream={stream} settings={settings} minted={(token) => { setMade(token); setSaid(`${KINDS[token.kind]} made.`); reload(); }} />
      {made !== undefined && (
        <section class="panel" aria-labelledby="made-title">
          <h2 id="made-title">{KINDS[made.kind]} to {made.direction}</h2>
          <Copy label="Token" value={made.token} />
          <p class="quiet">
            {made.kind === "token" && "Good for one use. "}
            {made.kind === "hash" && "Good until the secret changes, or until it is revoked. "}
            {made.until !== undefined && `Until ${when(made.until * 1000)}.`}
          </p>
          <AddressList app={app} stream={stream} direction={made.direction} credential={{ token: made.token }} />
          <div class="actions">
            <a class="button" href={to(app, "stream", stream, "test")} onClick={() => handOver(made.token, made.direction)}>Test it</a>
            <Confirm label="Revoke it" question="Revoke this token?" detail="Nobody gets in by it any more, and whoever did is sent away." confirm="Revoke it" action={() => revoke(made.token)} />
          </div>
        </section>
      )}
      <Said text={said} />
      <section class="panel" aria-labelledby="tokens-title">
        <h2 id="tokens-title">One-time tokens that are not used yet</h2>
        <Trouble error={error} again={reload} />
        {value?.length === 0 && offset === 0 && <p class="quiet">There is none. JWTs and hashes are not kept, so they are in no list.</p>}
        <ul class="rows">
          {value?.map((token) => (
            <li key={token.tokenId} class="row">
              <code class="row-head">{token.tokenId}</code>
              <Facts facts={[["To", token.type], ["Until", when(token.expireDate * 1000)], ["", token.expireDate * 1000 < Date.now() ? "expired" : undefined]]} />
              <div class="actions">
                <Confirm label="Revoke" name={`Revoke ${token.tokenId}`} question="Revoke this token?" detail="Nobody gets in by it any more." confirm="Revoke it" action={() => revoke(token.tokenId)} />
              </div>
            </li>
          ))}
        </ul>
        {value !== undefined && <Pager offset={offset} size={PAGE} count={value.length} go={setOffset} />}
        {value !== undefined && value.length > 0 && (
          <div class="actions">
            <Confirm
              label="Revoke all"
              question={`Revoke all tokens of ${stream}?`}
              detail="Everybody who still holds one needs a new one."
              confirm="Revoke all"
              action={async () => {
                await act("DELETE", paths.stream(app, stream, "tokens"));
                gone("All tokens were revoked.");
              }}
            />
          </div>
        )}
      </section>
      <RevokeAny revoke={revoke} />
      <ReplaceSecrets app={app} done={(text) => { setMade(undefined); setSaid(text); reloadSettings(); }} />
    </>
  );
}

function Mint({ app, stream, settings, minted }: { app: string; stream: string; settings: Settings | undefined; minted: (token: Made) => void }): JSX.Element {
  const [kind, setKind] = useState<Kind>();
  const [direction, setDirection] = useState<Direction>("play");
  const [life, setLife] = useState(3600);
  // What is asked for is what is most likely wanted.
  const asked = settings === undefined ? [] : asksFor(settings, direction).map(({ mechanism }) => mechanism);
  const chosen = kind ?? (["jwt", "token", "hash"] as const).find((one) => asked.includes(one)) ?? "token";
  const secret = settings?.["tokenHashSecret"];
  const hasNoSecret = chosen === "hash" && (typeof secret !== "string" || secret === "");
  const { run, busy, error } = useAction(async () => {
    if (chosen === "hash") {
      minted({ kind: chosen, direction, token: hashToken(stream, direction, String(secret)) });
      return;
    }
    const until = Math.floor(Date.now() / 1000) + life;
    const query = new URLSearchParams({ expireDate: String(until), type: direction });
    const { value } = await ask<Token>("GET", paths.stream(app, stream, `${chosen === "jwt" ? "jwt-token" : "token"}?${query.toString()}`));
    minted({ kind: chosen, direction, token: value.tokenId, until });
  });
  const on = SWITCH[chosen][direction];
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>Make a token</h2>
      <div class="form-row">
        <Field label="To">
          {(id) => (
            <select {...id} value={direction} onChange={(event) => setDirection(event.currentTarget.value as Direction)}>
              <option value="play">play</option>
              <option value="publish">publish</option>
            </select>
          )}
        </Field>
        <Field label="Kind">
          {(id) => (
            <select {...id} value={chosen} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
              {Object.entries(KINDS).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
            </select>
          )}
        </Field>
        {chosen !== "hash" && (
          <Field label="Good for">
            {(id) => (
              <select {...id} value={String(life)} onChange={(event) => setLife(Number(event.currentTarget.value))}>
                {LIVES.map(([seconds, text]) => <option key={seconds} value={String(seconds)}>{text}</option>)}
              </select>
            )}
          </Field>
        )}
      </div>
      {settings !== undefined && !asked.includes(chosen) && (
        <p class="notice">
          {app} does not ask for it now: without <code>{on}</code> everybody gets in without it.{" "}
          <a href={`${to(app, "settings")}?search=${on}`}>Switch it on</a>
        </p>
      )}
      {hasNoSecret && (
        <p class="notice bad">
          A hash is made with the application's secret, and there is none, or it is not shown to you.{" "}
          <a href={`${to(app, "settings")}?search=tokenHashSecret`}>Set tokenHashSecret</a>
        </p>
      )}
      <Trouble error={error} />
      <div class="actions"><button class="first" disabled={busy || hasNoSecret}>Make it</button></div>
    </form>
  );
}

/** For tokens that stand in no list: JWTs, hashes, and one-time tokens that were used. */
function RevokeAny({ revoke }: { revoke: (token: string) => Promise<void> }): JSX.Element {
  const [token, setToken] = useState("");
  const { run, busy, error } = useAction(async () => {
    await revoke(token.trim());
    setToken("");
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>Revoke a token that is in no list</h2>
      <Field label="JWT, hash or one-time token" help="It is refused from now on, and whoever is in by it is sent away.">
        {(id) => (
          <div class="beside">
            <input {...id} required autocomplete="off" spellcheck={false} value={token} onInput={(event) => setToken(event.currentTarget.value)} />
            <button disabled={busy}>Revoke</button>
          </div>
        )}
      </Field>
      <Trouble error={error} />
    </form>
  );
}

/** All signed tokens at once: they are as good as the secret they were made with. */
function ReplaceSecrets({ app, done }: { app: string; done: (text: string) => void }): JSX.Element {
  const replace = async (changes: Record<string, string>, text: string): Promise<void> => {
    await ask("PATCH", paths.settings(app), { body: changes });
    done(text);
  };
  return (
    <section class="panel" aria-labelledby="replace-title">
      <h2 id="replace-title">Revoke all JWTs or hashes of {app}</h2>
      <p class="quiet">They are as good as the secret they were made with. With a new one all of them are refused, on all streams of the application, and whoever is in by one is sent away.</p>
      <div class="actions">
        <Confirm
          label="Replace the secret of JWTs"
          question="Replace the secret of JWTs?"
          detail={`Every JWT made for ${app} so far is refused from now on.`}
          confirm="Replace it"
          action={() => replace({ jwtStreamSecretKey: newSettingSecret() }, "All JWTs made so far are void.")}
        />
        <Confirm
          label="Replace the secret of hashes"
          question="Replace the secret of hash tokens?"
          detail={`Every hash made for ${app} so far is refused from now on.`}
          confirm="Replace it"
          action={() => replace({ tokenHashSecret: newSettingSecret(), tokenHashSecretPrevious: "" }, "All hashes made so far are void.")}
        />
      </div>
    </section>
  );
}
