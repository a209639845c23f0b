import { randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue, fieldValues, listItems, type RawFields, removeField } from "../http/fields.ts";
import { routingPath } from "../http/routing-path.ts";

const FIELD = "CDN-Loop";
const LOWER_FIELD = "cdn-loop";

/** The properties by which the guard recognizes a request. */
interface Passing {
  /** The name of its route. */
  readonly route: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
}

/** Our entry in the field of a request. */
interface Passed {
  /** The number of times that the request was sent to a backend. */
  readonly passes: number;
  /** The short name (`nameOf`) of the request that was sent last. */
  readonly of: string;
}

/** Returns a name for one gateway, shared by its processes. It is random, so that no other party can use it. */
export function newLoopId(): string {
  return `sluice-${randomBytes(8).toString("hex")}`;
}

/**
 * Ends loops: refuses a request that comes back from a backend, through another proxy or by another host name.
 *
 * Each request to a backend has an entry of ours in CDN-Loop (RFC 8586), which other proxies forward:
 * `sluice-0123456789abcdef; pass=1; of=2166136261`. A private field would have no advantage, and Via would change
 * responses: nginx does not compress the response to a request with Via (`gzip_proxied off` is its default).
 *
 * A request with our entry need not be a loop: an application may call another route by its public address and copy
 * the fields of the request that it serves. So the same request on the same route is refused when it comes back, and
 * any other after `limits.passes`. Entries of other gateways, and of CDNs, are forwarded unchanged.
 */
export class LoopGuard {
  readonly #id: string;

  constructor(id = newLoopId()) {
    this.#id = id;
  }

  /** Throws `loop_detected` (508) for a routed request that has come back, or was sent `maxPasses` times or more. */
  check({ request, target, route }: Exchange, maxPasses: number): void {
    const passed = this.#passed(request.rawHeaders);
    if (passed === undefined) return;
    const name = nameOf({
      route: route?.config.name ?? "",
      method: request.method,
      target: target.path + target.query,
    });
    if (passed.of === name)
      throw new ProxyError("loop_detected", "a backend of this route sent the request back");
    if (passed.passes >= maxPasses)
      throw new ProxyError("loop_detected", `sent to backends ${passed.passes} times (limits.passes)`);
  }

  /** Adds our entry, in place, to the fields of a request to a backend; `raw` are those of the client's request. */
  mark(fields: string[], raw: RawFields, passing: Passing): void {
    const passes = (this.#passed(raw)?.passes ?? 0) + 1;
    if (passes > 1) this.#removeOwn(fields);
    fields.push(FIELD, `${this.#id}; pass=${passes}; of=${nameOf(passing)}`);
  }

  /**
   * Returns our entry alone, as fields. The request for a shared stream keeps only this entry of its first client's
   * CDN-Loop.
   */
  ownEntry(raw: RawFields): string[] {
    const passed = this.#passed(raw);
    return passed === undefined ? [] : [FIELD, `${this.#id}; pass=${passed.passes}; of=${passed.of}`];
  }

  /**
   * Returns our entry; undefined if the request was not here before. If there are several, returns the entry with the
   * most passes.
   */
  #passed(raw: RawFields): Passed | undefined {
    if (fieldValue(raw, LOWER_FIELD) === undefined) return undefined;
    let found: Passed | undefined;
    for (const entry of entriesOf(raw)) {
      if (!this.#isOwn(entry)) continue;
      const parameters = new Map(entry.split(";").map((part) => parameterOf(part)));
      const passes = Number(parameters.get("pass")) || 1;
      if (found === undefined || passes > found.passes) found = { passes, of: parameters.get("of") ?? "" };
    }
    return found;
  }

  #removeOwn(fields: string[]): void {
    const others = entriesOf(fields).filter((entry) => !this.#isOwn(entry));
    removeField(fields, FIELD);
    if (others.length > 0) fields.push(FIELD, others.join(", "));
  }

  #isOwn(entry: string): boolean {
    return entry.startsWith(this.#id) && /^[ \t]*(?:;|$)/.test(entry.slice(this.#id.length));
  }
}

function entriesOf(raw: RawFields): string[] {
  return listItems(fieldValues(raw, LOWER_FIELD));
}

function parameterOf(part: string): [name: string, value: string] {
  const at = part.indexOf("=");
  return at < 0 ? [part.trim(), ""] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
}

/**
 * Returns a short name for a request: FNV-1a of 32 bits. A client that finds a collision only gets its own request
 * refused.
 */
function nameOf({ route, method, target }: Passing): string {
  const hash = mixed(
    mixed(mixed(0x811c9dc5, route), method),
    isPlain(target) ? target : readAsRouted(target),
  );
  // In decimal: in another base, V8's conversion takes as long as the hash.
  return String(hash >>> 0);
}

/** Adds a part to a hash. Joining the parts first would take as long as the rest of the check. */
function mixed(hash: number, text: string): number {
  let mix = hash;
  for (let at = 0; at < text.length; at++) mix = Math.imul(mix ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(mix ^ 0x20, 0x01000193);
}

const isPlain = (target: string): boolean => !target.includes("%") && !target.includes("//");

/** Normalizes a target as routing does: a proxy in between may have merged slashes or decoded percent-encoding. */
function readAsRouted(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? routingPath(target) : routingPath(target.slice(0, query)) + target.slice(query);
}
