import { createHash } from "node:crypto";
import type { LearnConfig } from "../config/sticky-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import type { Sessions } from "../limits/counter-store.ts";
import type { Backend } from "./backend.ts";
import { BackendNames, type Stay, type Sticky } from "./sticky.ts";

/** The maximum number of characters of a session's name; a longer one is not learned. A signed token fits. */
const MAX_NAME = 4096;

/**
 * Keeps a session at the backend that has named it in a response field; later requests bring the field back.
 *
 * A request adds no session, so clients cannot fill the memory: only a backend's response does, or the answer of another
 * backend to a session that is known.
 */
export class LearnedSessions implements Sticky {
  readonly cookie = undefined;
  readonly #field: string;
  readonly #names: BackendNames;
  readonly #sessions: Sessions;

  constructor(backends: readonly Backend[], { field }: LearnConfig, sessions: Sessions) {
    this.#field = field.toLowerCase();
    this.#names = new BackendNames(backends);
    this.#sessions = sessions;
  }

  stayOf({ request }: Exchange): Stay | Promise<Stay> {
    const asked = this.#sessionIn(request.rawHeaders);
    if (asked === undefined) return this.#stay(undefined, undefined);
    const found = this.#sessions.find(asked);
    if (found instanceof Promise) return found.then((name) => this.#stay(asked, name));
    return this.#stay(asked, found);
  }

  close(): void {
    this.#sessions.close();
  }

  /** `name` is the backend of the session for which the request asks; undefined if the session is unknown. */
  #stay(asked: string | undefined, name: string | undefined): Stay {
    const known = name === undefined ? undefined : asked;
    return {
      home: this.#names.find(name),
      answeredBy: (backend, fields) => {
        const session = this.#sessionIn(fields) ?? known;
        const own = this.#names.of(backend);
        return session === undefined || (session === known && own === name)
          ? undefined
          : this.#sessions.put(session, own);
      },
    };
  }

  /** Returns the session that the fields name, as a hash: to some backends the name alone is a credential. */
  #sessionIn(fields: RawFields): string | undefined {
    const [value = "", ...more] = fieldValues(fields, this.#field);
    const name = value.trim();
    if (name === "" || name.length > MAX_NAME || more.length > 0) return undefined;
    return createHash("sha256").update(name, "latin1").digest("base64url");
  }
}
