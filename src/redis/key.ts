import { createHash } from "node:crypto";
import { SLOTS, slotOf } from "./slot.ts";

/** The keys of one record in Redis; the braces keep them in one slot of a cluster. */
export interface RecordKeys {
  /** Identifies the record in notices. */
  readonly name: string;
  /** The owner of the right to ask the backend; expires by itself. */
  readonly lease: string;
  /** The newest fencing token, the epoch, the backend status, and the number of bytes kept. */
  readonly meta: string;
  /** The events, a Redis stream. */
  readonly events: string;
  /** The stream in which instances notify each other to look at a record at once; common to many records. */
  readonly notices: string;
}

/** How the keys of records are made. */
export interface KeyLayout {
  readonly prefix: string;
  readonly isCluster: boolean;
}

/**
 * The version of the layout of all keys and values. Instances with different layouts do not see each other's keys, so
 * that during an update each serves its own clients, with its own backend request.
 */
const LAYOUT = 1;

/**
 * In a cluster, records share this many slots. A command that waits for events can wait in one slot only, so a process
 * needs a connection for each slot that it reads from.
 */
const CLUSTER_SLOTS = 32;

/**
 * Returns the keys of a record. The hash covers all that defines the stream beside its name, so that two instances
 * with different route files keep two records.
 */
export function recordKeys(
  { prefix, isCluster }: KeyLayout,
  route: string,
  key: string,
  definition: string,
): RecordKeys {
  const hash = hashOf(`${definition}\0${key}`);
  const name = `${route}:${hash}`;
  const start = `${prefix}:${LAYOUT}`;
  const tag = isCluster ? tagOf(name) : undefined;
  const base = tag === undefined ? `${start}:{${name}}` : `${start}:{${tag}}:${name}`;
  const notices = tag === undefined ? `${start}:notices` : `${start}:{${tag}}:notices`;
  return { name, lease: `${base}:lease`, meta: `${base}:meta`, events: `${base}:events`, notices };
}

let tags: readonly string[] | undefined;

/** Returns the text in braces of a record: the same for each of its keys, and `CLUSTER_SLOTS` different ones in all. */
function tagOf(name: string): string {
  tags ??= spreadTags();
  return tags[slotOf(name) % CLUSTER_SLOTS] as string;
}

/** Returns the least numbers whose slots lie in equal parts of all slots, so that each node gets its share of records. */
function spreadTags(): string[] {
  const found = new Map<number, string>();
  for (let number = 0; found.size < CLUSTER_SLOTS; number += 1) {
    const part = Math.floor((slotOf(String(number)) * CLUSTER_SLOTS) / SLOTS);
    if (!found.has(part)) found.set(part, String(number));
  }
  return Array.from({ length: CLUSTER_SLOTS }, (_, part) => found.get(part) as string);
}

/** The id of the answer that has a name; `name` is a hash. */
export const answerNameKey = (prefix: string, name: string): string => `${prefix}:${LAYOUT}:answer:${name}`;

/** Exists while another instance than the generating one has a client of the answer. */
export const attendedKey = ({ meta }: RecordKeys): string => meta.replace(/meta$/, "attended");

/** Never exists; the rights of the user are tried on it. */
export const rightsKey = (prefix: string): string => `${prefix}:${LAYOUT}:rights`;

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
