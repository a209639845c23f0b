import { fieldValue, type RawFields } from "../http/fields.ts";
import type { Log } from "../observe/log.ts";

/** The requests of one peer after which it is taken for a proxy: a client that tries out a field sends fewer. */
const REQUESTS = 10;
/** The maximum number of peers that are counted; the first ones are the proxies of a new installation. */
const MAX_PEERS = 100;

/** The field by which nearly every proxy names the client; one, because each request of a stranger is searched. */
const FIELD = "x-forwarded-for";

/**
 * Warns once when a peer that is not trusted keeps sending the field of a proxy: without trust, every client has the
 * address of that proxy, and HTTPS in front of it is unknown.
 */
export class UnknownProxies {
  readonly #log: Log;
  /** Requests with such a field, by peer. */
  readonly #requests = new Map<string, number>();
  #hasWarned = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Notes a request of a peer that is not trusted. */
  note(peer: string | undefined, raw: RawFields): void {
    if (this.#hasWarned || peer === undefined || fieldValue(raw, FIELD) === undefined) return;
    const count = (this.#requests.get(peer) ?? 0) + 1;
    if (count < REQUESTS) {
      if (count > 1 || this.#requests.size < MAX_PEERS) this.#requests.set(peer, count);
      return;
    }
    this.#hasWarned = true;
    this.#requests.clear();
    this.#log.warn(
      {
        peer,
        field: FIELD,
        remedy: `trustedProxies: ["${peer}"] in sluice.yaml, or serve --to URL --trust ${peer}`,
      },
      "a peer that is not trusted sends the fields of a proxy: they are ignored; if it is your proxy, trust it",
    );
  }
}
