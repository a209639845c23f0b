import { randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue, fieldValues, type RawFields, removeField } from "../http/fields.ts";
import { routingPath } from "../http/routing-path.ts";

const FIELD = "CDN-Loop";
const LOWER_FIELD = "cdn-loop";

/** What a request is to the guard. */
interface Passing {
  /** The name of its route. */
  readonly route: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
}

/** What our entry in a request's field says. */
interface Passed {
  /** How often the request was sent to a backend before. */
  readonly passes: number;
  /** The name of what was sent last. */
  readonly of: string;
}

/** A name for one gateway, all of its processes included. Random, so that no stranger can claim it. */
export function newLoopId(): string {
  return `sluice-${randomBytes(8).toString("hex")}`;
}

/**
 * Ends loops: a request that comes back from a backend, through another proxy or under another name.
 *
 * Each request to a backend carries an entry of ours in CDN-Loop (RFC 8586), which other proxies pass on:
 * `sluice-0123456789abcdef; pass=1; of=1x2y3z`. A private field would not be better known to them, and Via would
 * change answers: nginx compresses nothing for a request with Via (`gzip_proxied off` is its default).
 *
 * A request with our entry need not be a loop. An application may call another route through its public address
 * and copy the fields of the request that it serves. So the same request on the same route is refused when it comes
 * back, and any other after `limits.passes`. Entries of other gateways, and of CDNs, pass as they are.
 */
export class LoopGuard {
  readonly #id: string;

  constructor(id = newLoopId()) {
    this.#id = id;
  }

  /** Throws `loop_detected` (508) for a routed request that has come back, or has come more than `maxPasses` times. */
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

  /** The fields of a request to a backend with our entry; `raw` are those of the request that it comes from. */
  mark(fields: RawFields, raw: RawFields, passing: Passing): string[] {
    const passes = (this.#passed(raw)?.passes ?? 0) + 1;
    const others = passes > 1 ? this.#withoutOwn(fields) : [...fields];
    others.push(FIELD, `${this.#id}; pass=${passes}; of=${nameOf(passing)}`);
    return others;
  }

  /** Our entry alone, as fields: what a request in the name of several clients keeps of the first one's. */
  ownEntry(raw: RawFields): string[] {
    const passed = this.#passed(raw);
    return passed === undefined ? [] : [FIELD, `${this.#id}; pass=${passed.passes}; of=${passed.of}`];
  }

  /** Undefined when the request was not here before. With several entries of ours the most passes count. */
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

  #withoutOwn(fields: RawFields): string[] {
    const others = entriesOf(fields).filter((entry) => !this.#isOwn(entry));
    const rest = removeField(fields, FIELD);
    return others.length === 0 ? rest : [...rest, FIELD, others.join(", ")];
  }

  #isOwn(entry: string): boolean {
    return entry.startsWith(this.#id) && /^[ \t]*(?:;|$)/.test(entry.slice(this.#id.length));
  }
}

function entriesOf(raw: RawFields): string[] {
  return fieldValues(raw, LOWER_FIELD).flatMap((value) => value.split(",").map((entry) => entry.trim()));
}

function parameterOf(part: string): [name: string, value: string] {
  const at = part.indexOf("=");
  return at < 0 ? [part.trim(), ""] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
}

/** Short for a request: FNV-1a of 32 bits. Who finds another request of the same name refuses only that to himself. */
function nameOf({ route, method, target }: Passing): string {
  const hash = mixed(
    mixed(mixed(0x811c9dc5, route), method),
    isPlain(target) ? target : readAsRouted(target),
  );
  return (hash >>> 0).toString(16);
}

/** One part after the other: to join them first would take as long as all else. */
function mixed(hash: number, text: string): number {
  let mix = hash;
  for (let at = 0; at < text.length; at++) mix = Math.imul(mix ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(mix ^ 0x20, 0x01000193);
}

const isPlain = (target: string): boolean => !target.includes("%") && !target.includes("//");

/** The proxy on the way may have merged slashes, or decoded what was encoded. */
function readAsRouted(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? routingPath(target) : routingPath(target.slice(0, query)) + target.slice(query);
}
