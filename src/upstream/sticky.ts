import { createHmac } from "node:crypto";
import { addressName } from "../config/upstream-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { RawFields } from "../http/fields.ts";
import type { Backend } from "./backend.ts";

/** Keeps clients or sessions at the backends that served them first: the `sticky` of an upstream. */
export interface Sticky {
  /** The name of the cookie that is for sluice alone; undefined without one. */
  readonly cookie: string | undefined;
  /** Finds the backend of a request. Never rejects because a store is unavailable. */
  stayOf(exchange: Exchange): Stay | Promise<Stay>;
  /** Releases what is remembered. No new request comes after this call. */
  close(): void;
}

/** The backend of one request, and how the backend that answers it is remembered. */
export interface Stay {
  /** The backend to use if it is available; undefined if the request names none that the upstream has. */
  readonly home: Backend | undefined;
  /**
   * Remembers the backend that answers, before the client gets the response head. If it returns a promise, the head
   * waits for it: the client's next request may reach another process at once.
   */
  answeredBy(backend: Backend, fields: RawFields): Promise<void> | undefined;
}

/** The names under which the backends of one upstream are remembered: opaque, the same in all processes. */
export class BackendNames {
  readonly #byName: ReadonlyMap<string, Backend>;
  readonly #names: ReadonlyMap<Backend, string>;

  /** Without the key, a name cannot be computed from the backend's address. */
  constructor(backends: readonly Backend[], key = "") {
    this.#names = new Map(
      backends.map((backend) => {
        const digest = createHmac("sha256", key).update(addressName(backend.address)).digest("base64url");
        return [backend, digest.slice(0, 22)];
      }),
    );
    this.#byName = new Map([...this.#names].map(([backend, name]) => [name, backend]));
  }

  of(backend: Backend): string {
    return this.#names.get(backend) ?? "";
  }

  /** Returns undefined for a name that no backend has, or has any longer. */
  find(name: string | undefined): Backend | undefined {
    return name === undefined ? undefined : this.#byName.get(name);
  }
}
