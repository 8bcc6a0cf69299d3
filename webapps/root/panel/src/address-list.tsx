// The ready-made addresses of a stream, for one direction and one credential.

import type { JSX } from "preact";
import { addresses } from "./addresses.ts";
import { useFacts } from "./node.ts";
import { Copy } from "./ui.tsx";
import type { Credential, Direction } from "./wire.ts";

export function AddressList({ app, stream, direction, credential = {} }: { app: string; stream: string; direction: Direction; credential?: Credential }): JSX.Element {
  const facts = useFacts();
  const list = addresses({ app, stream, direction, credential, facts, host: location.hostname, origin: location.origin });
  const page = list[0]?.value;
  return (
    <div class="addresses">
      {list.map((address) => <Copy key={address.label} {...address} />)}
      {page !== undefined && (
        <div class="actions">
          <a class="button" href={page} target="_blank" rel="noopener noreferrer">{direction === "play" ? "Open the player" : "Open the publish page"}</a>
        </div>
      )}
    </div>
  );
}
