import { createHash } from "node:crypto";

/** The keys in Redis of one record; the braces keep them on one node of a cluster. */
export interface RecordKeys {
  /** Names the record in notices. */
  readonly name: string;
  /** Who may ask the backend now; runs out by itself. */
  readonly lease: string;
  /** Newest fencing token, epoch, state of the backend, bytes kept. */
  readonly meta: string;
  /** The events, a Redis stream. */
  readonly events: string;
}

/**
 * Of everything that keys hold. Instances of another layout do not see each other's keys, so that while one
 * replaces the other each serves its clients, with a backend request of its own.
 */
const LAYOUT = 1;

/**
 * The keys of a stream. The hash covers what defines the stream beside its name, so that two instances whose
 * files differ keep two records and mix nothing.
 */
export function recordKeys(prefix: string, route: string, key: string, definition: string): RecordKeys {
  const hash = hashOf(`${definition}\0${key}`);
  const name = `${route}:${hash}`;
  const base = `${prefix}:${LAYOUT}:{${name}}`;
  return { name, lease: `${base}:lease`, meta: `${base}:meta`, events: `${base}:events` };
}

/** The stream in which instances tell each other to look at a record at once. */
export const noticesKey = (prefix: string): string => `${prefix}:${LAYOUT}:notices`;

/** Which definitions of a route are in use, and since when. */
export const definitionsKey = (prefix: string, route: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:definitions`;

/** What the keys of one rate's windows begin with; `rate` says which rate it is. */
export const rateKey = (prefix: string, rate: string): string => `${prefix}:${LAYOUT}:rate:${hashOf(rate)}`;

/** Is there when the signature was used. */
export const signatureKey = (prefix: string, signature: Buffer): string =>
  `${prefix}:${LAYOUT}:signature:${signature.toString("base64url")}`;

/** What a ticket of a route stands for, by the hash of its text. */
export const ticketKey = (prefix: string, route: string, hash: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:ticket:${hash}`;

/** The tickets of a route that wait to be used, by when they expire. */
export const waitingTicketsKey = (prefix: string, route: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:tickets`;

const hashOf = (text: string): string => createHash("sha256").update(text).digest("base64url").slice(0, 22);
