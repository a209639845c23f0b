import { createHash } from "node:crypto";

/** The keys of one record in Redis; the braces keep them on one node of a cluster. */
export interface RecordKeys {
  /** Identifies the record in notices. */
  readonly name: string;
  /** The owner of the right to ask the backend; expires by itself. */
  readonly lease: string;
  /** The newest fencing token, the epoch, the backend status, and the number of bytes kept. */
  readonly meta: string;
  /** The events, a Redis stream. */
  readonly events: string;
}

/**
 * The version of the layout of all keys and values. Instances with different layouts do not see each other's keys, so
 * that during an update each serves its own clients, with its own backend request.
 */
const LAYOUT = 1;

/**
 * Returns the keys of a record. The hash covers all that defines the stream beside its name, so that two instances
 * with different route files keep two records.
 */
export function recordKeys(prefix: string, route: string, key: string, definition: string): RecordKeys {
  const hash = hashOf(`${definition}\0${key}`);
  const name = `${route}:${hash}`;
  const base = `${prefix}:${LAYOUT}:{${name}}`;
  return { name, lease: `${base}:lease`, meta: `${base}:meta`, events: `${base}:events` };
}

/** The id of the answer that has a name; `name` is a hash. */
export const answerNameKey = (prefix: string, name: string): string => `${prefix}:${LAYOUT}:answer:${name}`;

/** Exists while another instance than the generating one has a client of the answer. */
export const attendedKey = ({ meta }: RecordKeys): string => meta.replace(/meta$/, "attended");

/** The stream in which instances notify each other to look at a record at once. */
export const noticesKey = (prefix: string): string => `${prefix}:${LAYOUT}:notices`;

/** The definitions of a route that are in use, with the time of the last report. */
export const definitionsKey = (prefix: string, route: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:definitions`;

/** The prefix of the keys of one rate's windows; `rate` identifies the rate. */
export const rateKey = (prefix: string, rate: string): string => `${prefix}:${LAYOUT}:rate:${hashOf(rate)}`;

/** Exists while a used signature is remembered. */
export const signatureKey = (prefix: string, signature: Buffer): string =>
  `${prefix}:${LAYOUT}:signature:${signature.toString("base64url")}`;

/** The backend of a session; `session` identifies it among those of all routes. */
export const sessionKey = (prefix: string, session: string): string =>
  `${prefix}:${LAYOUT}:session:${hashOf(session)}`;

/** The content of a ticket, by the hash of its text. */
export const ticketKey = (prefix: string, route: string, hash: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:ticket:${hash}`;

/** The unused tickets of a route, by the time at which they expire. */
export const waitingTicketsKey = (prefix: string, route: string): string =>
  `${prefix}:${LAYOUT}:{${route}}:tickets`;

const hashOf = (text: string): string => createHash("sha256").update(text).digest("base64url").slice(0, 22);
