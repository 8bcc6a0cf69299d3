// Subscribers of a stream: their secrets and codes, who is there, who is blocked.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { AddressList } from "./address-list.tsx";
import { QrCode } from "./qr.tsx";
import { act, get, paths } from "./rest.ts";
import { to } from "./route.ts";
import { asksFor } from "./settings-model.ts";
import { newSecret, otpauth } from "./secrets.ts";
import { Confirm, Copy, Facts, Field, Pager, Said, Trouble, useAction, useLoad, when } from "./ui.tsx";
import type { Direction, Result, Settings, Subscriber } from "./wire.ts";

const PAGE = 50;
const PERIOD_S = 60;

interface Made {
  subscriberId: string;
  secret: string;
  period: number;
}

export function SubscribersView({ app, stream, settings }: { app: string; stream: string; settings: Settings | undefined }): JSX.Element {
  const [made, setMade] = useState<Made>();
  const [offset, setOffset] = useState(0);
  const [said, setSaid] = useState("");
  const { value, error, reload } = useLoad(
    () => get<Subscriber[]>(paths.stream(app, stream, `subscribers/list/${offset}/${PAGE}`)),
    `${app} ${stream} ${offset}`,
    5000,
  );
  const done = (text: string): void => {
    setSaid(text);
    reload();
  };
  const usual = typeof settings?.["timeTokenPeriod"] === "number" ? settings["timeTokenPeriod"] : PERIOD_S;
  const isAsked = settings === undefined || (["publish", "play"] as const).some((direction) => asksFor(settings, direction).some(({ mechanism }) => mechanism === "totp"));
  return (
    <>
      <Create app={app} stream={stream} usual={usual} made={(subscriber) => { setMade(subscriber); done(`${subscriber.subscriberId} was made.`); }} />
      {!isAsked && (
        <p class="notice">
          {app} asks nobody for a code now. A subscriber's name still tells sessions apart and lets you block them.{" "}
          <a href={`${to(app, "settings")}?search=TOTP`}>Switch codes on</a>
        </p>
      )}
      {made !== undefined && <NewSecret app={app} stream={stream} {...made} close={() => setMade(undefined)} />}
      <Said text={said} />
      <section class="panel" aria-labelledby="subscribers-title">
        <h2 id="subscribers-title">Subscribers</h2>
        <Trouble error={error} again={reload} />
        {value?.length === 0 && offset === 0 && <p class="quiet">This stream has none.</p>}
        <ul class="rows">
          {value?.map((subscriber) => (
            <SubscriberRow key={subscriber.subscriberId} app={app} stream={stream} subscriber={subscriber} usual={usual} done={done} made={setMade} />
          ))}
        </ul>
        {value !== undefined && <Pager offset={offset} size={PAGE} count={value.length} go={setOffset} />}
        {value !== undefined && value.length > 0 && (
          <div class="actions">
            <Confirm
              label="Delete all"
              question={`Delete all subscribers of ${stream}?`}
              detail="Their codes stop being good, and their connection events go with them."
              confirm="Delete all"
              action={async () => {
                await act("DELETE", paths.stream(app, stream, "subscribers"));
                done("All subscribers are gone.");
              }}
            />
          </div>
        )}
      </section>
    </>
  );
}

function Create({ app, stream, usual, made }: { app: string; stream: string; usual: number; made: (subscriber: Made) => void }): JSX.Element {
  const [subscriberId, setSubscriberId] = useState("");
  const [type, setType] = useState<Direction>("play");
  const [period, setPeriod] = useState("");
  const [limit, setLimit] = useState("1");
  const { run, busy, error } = useAction(async () => {
    const secret = newSecret();
    await act("POST", paths.stream(app, stream, "subscribers"), {
      subscriberId,
      b32Secret: secret,
      type,
      concurrentConnectionsLimit: Number(limit),
      ...(period === "" ? {} : { totpExpiryPeriodSeconds: Number(period) }),
    });
    made({ subscriberId, secret, period: period === "" ? usual : Number(period) });
    setSubscriberId("");
  });
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); void run(); }}>
      <h2>Make a subscriber</h2>
      <p class="quiet">A secret is made for it, which its authenticator app turns into codes. It is shown once.</p>
      <div class="form-row">
        <Field label="Name" help="Four characters or more. A name that is taken gets a new secret.">
          {(id) => <input {...id} required minLength={4} maxLength={256} autocomplete="off" autocapitalize="none" spellcheck={false} value={subscriberId} onInput={(event) => setSubscriberId(event.currentTarget.value)} />}
        </Field>
        <Field label="May" help="Who may publish may also play.">
          {(id) => (
            <select {...id} value={type} onChange={(event) => setType(event.currentTarget.value as Direction)}>
              <option value="play">play</option>
              <option value="publish">publish and play</option>
            </select>
          )}
        </Field>
        <Field label="Connections at once">
          {(id) => <input {...id} type="number" min={1} required value={limit} onInput={(event) => setLimit(event.currentTarget.value)} />}
        </Field>
        <Field label="Period of codes (s)" help={`Empty: the application's, ${usual}. Many apps know 30 alone.`}>
          {(id) => <input {...id} type="number" min={10} value={period} onInput={(event) => setPeriod(event.currentTarget.value)} />}
        </Field>
      </div>
      <Trouble error={error} />
      <div class="actions"><button class="first" disabled={busy}>Make it</button></div>
    </form>
  );
}

function NewSecret({ app, stream, subscriberId, secret, period, close }: Made & { app: string; stream: string; close: () => void }): JSX.Element {
  const address = otpauth({ issuer: `Penstock ${app}`, account: `${subscriberId} ${stream}`, secret, period });
  return (
    <section class="panel" aria-labelledby="secret-title">
      <h2 id="secret-title">The secret of {subscriberId}</h2>
      <p>Scan this with an authenticator app, or hand the secret on. It is not shown again.</p>
      <div class="beside-code">
        <QrCode text={address} label={`QR code with the secret of ${subscriberId} for an authenticator app`} />
        <div class="addresses">
          <Copy label="Secret (Base32)" value={secret} />
          <Copy label="Address for authenticator apps" value={address} hint={`A new code every ${period} s.`} />
        </div>
      </div>
      <div class="actions"><button type="button" onClick={close}>Done</button></div>
    </section>
  );
}

interface RowProps {
  app: string;
  stream: string;
  subscriber: Subscriber;
  usual: number;
  done: (text: string) => void;
  made: (subscriber: Made) => void;
}

function SubscriberRow({ app, stream, subscriber, usual, done, made }: RowProps): JSX.Element {
  const id = subscriber.subscriberId;
  const path = (rest: string): string => paths.stream(app, stream, `subscribers/${encodeURIComponent(id)}${rest}`);
  const [open, setOpen] = useState(false);
  const period = subscriber.totpExpiryPeriodSeconds ?? usual;
  const until = subscriber.blockedUntilUnitTimeStampMs ?? 0;
  const isBlocked = until > Date.now();
  const unblock = useAction(async () => {
    await act("PUT", path(`/block/0/${subscriber.blockedType ?? "publish_play"}`));
    done(`${id} is unblocked.`);
  });
  return (
    <li class="row">
      <div class="row-head">
        <h3>{subscriber.subscriberName || id}</h3>
        {subscriber.connected === true && <span class="status dot">There</span>}
        {isBlocked && <span class="status trouble">Blocked</span>}
      </div>
      <Facts facts={[
        ["May", subscriber.type === "publish" ? "publish and play" : subscriber.type],
        ["Connections", `${subscriber.currentConcurrentConnections ?? 0} of ${subscriber.concurrentConnectionsLimit ?? 1}`],
        ["Code every", `${period} s`],
        ["Blocked to", isBlocked ? `${(subscriber.blockedType ?? "").replace("_", " and ")} until ${when(until)}` : undefined],
      ]} />
      <div class="actions">
        <button type="button" aria-expanded={open} aria-label={`Code of ${id}`} onClick={() => setOpen(!open)}>Code</button>
        {isBlocked
          ? <button type="button" disabled={unblock.busy} aria-label={`Unblock ${id}`} onClick={() => void unblock.run()}>Unblock</button>
          : <Block id={id} path={path} done={done} />}
        <Confirm
          label="New secret"
          name={`New secret for ${id}`}
          question={`Give ${id} a new secret?`}
          detail="Codes of the old one stop being good. The new secret is shown once."
          confirm="Give it a new one"
          action={async () => {
            const secret = newSecret();
            await act("POST", paths.stream(app, stream, "subscribers"), {
              subscriberId: id,
              b32Secret: secret,
              type: subscriber.type ?? "play",
              subscriberName: subscriber.subscriberName ?? null,
              concurrentConnectionsLimit: subscriber.concurrentConnectionsLimit ?? 1,
              totpExpiryPeriodSeconds: subscriber.totpExpiryPeriodSeconds ?? null,
            });
            made({ subscriberId: id, secret, period });
            done(`${id} has a new secret.`);
          }}
        />
        <Confirm
          label="Delete"
          name={`Delete ${id}`}
          question={`Delete ${id}?`}
          detail="Its codes stop being good."
          confirm="Delete it"
          action={async () => {
            await act("DELETE", path(""));
            done(`${id} is gone.`);
          }}
        />
      </div>
      <Trouble error={unblock.error} />
      {open && <Code app={app} stream={stream} subscriber={subscriber} period={period} path={path} />}
    </li>
  );
}

const TIMES: [number, string][] = [[60, "1 minute"], [3600, "1 hour"], [86_400, "1 day"], [30 * 86_400, "30 days"]];

function Block({ id, path, done }: { id: string; path: (rest: string) => string; done: (text: string) => void }): JSX.Element {
  const [open, setOpen] = useState(false);
  const [type, setType] = useState("publish_play");
  const [time, setTime] = useState(3600);
  const { run, busy, error } = useAction(async () => {
    await act("PUT", path(`/block/${time}/${type}`));
    setOpen(false);
    done(`${id} is blocked.`);
  });
  return (
    <>
      <button type="button" aria-expanded={open} aria-label={`Block ${id}`} onClick={() => setOpen(!open)}>Block</button>
      {open && (
        <form class="inline" onSubmit={(event) => { event.preventDefault(); void run(); }}>
          <Field label="From">
            {(field) => (
              <select {...field} value={type} onChange={(event) => setType(event.currentTarget.value)}>
                <option value="publish_play">publishing and playing</option>
                <option value="play">playing</option>
                <option value="publish">publishing</option>
              </select>
            )}
          </Field>
          <Field label="For">
            {(field) => (
              <select {...field} value={String(time)} onChange={(event) => setTime(Number(event.currentTarget.value))}>
                {TIMES.map(([seconds, text]) => <option key={seconds} value={String(seconds)}>{text}</option>)}
              </select>
            )}
          </Field>
          <button class="danger" disabled={busy}>Block now</button>
          <Trouble error={error} />
        </form>
      )}
    </>
  );
}

/** The code of now, asked anew when its period is over. */
function Code({ app, stream, subscriber, period, path }: { app: string; stream: string; subscriber: Subscriber; period: number; path: (rest: string) => string }): JSX.Element {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const direction: Direction = subscriber.type === "publish" ? "publish" : "play";
  const step = Math.floor(now / (period * 1000));
  const left = Math.ceil(((step + 1) * period * 1000 - now) / 1000);
  const { value, error } = useLoad(() => get<Result>(path(`/totp?type=${direction}`)), `${subscriber.subscriberId} ${step}`);
  const code = value?.success === true ? value.dataId : undefined;
  return (
    <div class="code-now">
      <Trouble error={error} />
      {value?.success === false && <p class="notice bad">{value.message || "The server makes no code for this subscriber. Give it a new secret."}</p>}
      {code !== undefined && (
        <>
          <p><strong class="code">{code}</strong> <span class="quiet">a new one in {left} s</span></p>
          <AddressList app={app} stream={stream} direction={direction} credential={{ subscriberId: subscriber.subscriberId, subscriberCode: code }} />
        </>
      )}
    </div>
  );
}
