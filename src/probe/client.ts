import { fieldValue } from "../base/fields.ts";
import { ACCEPT_ENCODING } from "./decoder.ts";
import { type Dialled, dial } from "./dial.ts";
import { type Fault, noAnswer } from "./fault.ts";
import { exchangeHttp1 } from "./http1.ts";
import { Pauses } from "./pauses.ts";
import { printable } from "./printable.ts";
import { Reading } from "./reading.ts";
import { isSameSite, parseTarget, type Target } from "./target.ts";
import type { EndKind, Exchange, WireHead, WireListener, WireRequest } from "./wire.ts";

/** The HTTP version to speak; `auto`: what TLS chooses, and 1.1 without TLS. */
export type HttpVersion = "auto" | "1.0" | "1.1" | "2";

/** A URL that events are read from, and its name in the report. */
export interface Hop {
  readonly name: string;
  readonly target: Target;
}

/** What is asked for through every hop. */
export interface Ask {
  readonly method: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
  readonly http: HttpVersion;
  readonly insecure: boolean;
  /** The Host field; undefined for that of each URL. */
  readonly host: string | undefined;
}

/** Counts connections, so that a probe loads nothing: `take` is false when no more may be opened. */
export class Budget {
  opened = 0;
  readonly most: number;
  /** When the process stood still while it read. */
  readonly pauses = new Pauses();

  constructor(most: number) {
    this.most = most;
  }

  take(): boolean {
    if (this.opened >= this.most) return false;
    this.opened += 1;
    return true;
  }

  get left(): number {
    return this.most - this.opened;
  }
}

const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Sent unless the caller sends the same. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ["Accept", "text/event-stream, application/x-ndjson;q=0.9, */*;q=0.1"],
  ["Accept-Encoding", ACCEPT_ENCODING],
  ["Cache-Control", "no-cache"],
  ["User-Agent", "sluice-probe"],
];

/** Fields that the request has by itself; HTTP/2 has none of a connection. */
const OWN: ReadonlySet<string> = new Set(["host", "content-length", "connection", "transfer-encoding"]);

/**
 * Reads a hop's stream until it ends or `signal` says stop.
 *
 * @returns the reading, which fills as bytes come.
 */
export function read(hop: Hop, ask: Ask, budget: Budget, signal: AbortSignal): Reading {
  const reading = new Reading(hop.name, hop.target.url, (detail) => noAnswer(hop.target, detail));
  reading.pauses = budget.pauses;
  signal.addEventListener("abort", () => reading.stop(), { once: true });
  void follow(hop.target, ask, reading, budget, signal);
  return reading;
}

/** Connects and asks, and once more where a redirect says. */
async function follow(
  first: Target,
  ask: Ask,
  reading: Reading,
  budget: Budget,
  signal: AbortSignal,
): Promise<void> {
  let next: Target | undefined = first;
  for (let count = 0; next !== undefined; count += 1) {
    const target: Target = next;
    if (signal.aborted) return reading.stop();
    if (!budget.take()) return count === 0 ? reading.stop() : reading.fail(tooManyRedirects(target));
    const dialled = await dial(target, { insecure: ask.insecure, alpn: alpnOf(ask.http), signal });
    if ("kind" in dialled) {
      // A probe that is told to stop while it connects has found nothing wrong.
      if (!signal.aborted) reading.fail(dialled);
      return reading.stop();
    }
    if (reading.isOver) return void dialled.socket.destroy();
    next = await askOnce(target, ask, dialled, reading, count < MAX_REDIRECTS);
    if (next !== undefined) reading.url = next.url;
  }
}

/** Sends the request over a connection; resolves when its response is over, with where it is redirected to. */
async function askOnce(
  target: Target,
  ask: Ask,
  dialled: Dialled,
  reading: Reading,
  mayFollow: boolean,
): Promise<Target | undefined> {
  reading.connectMs = dialled.connectMs;
  reading.tlsMs = dialled.tlsMs;
  reading.alpn = dialled.alpn;
  let exchange: Exchange | undefined;
  const redirect = await new Promise<Target | undefined>((resolve) => {
    const listener = mayFollow ? new RedirectFilter(target, ask, reading, resolve) : reading;
    void reading.over().then(() => resolve(undefined));
    void send(target, ask, dialled, reading, listener).then((sent) => {
      exchange = sent;
      if (reading.isOver) sent.close();
    });
  });
  exchange?.close();
  return redirect;
}

function tooManyRedirects({ url }: Target): Fault {
  const sentence = `the URL is redirected more often than a probe may connect, at last to ${printable(url)}`;
  return { kind: "protocol", sentence, remedy: "probe that URL" };
}

function alpnOf(http: HttpVersion): readonly string[] {
  if (http === "2") return ["h2"];
  return http === "auto" ? ["h2", "http/1.1"] : ["http/1.1"];
}

async function send(
  target: Target,
  ask: Ask,
  dialled: Dialled,
  reading: Reading,
  listener: WireListener,
): Promise<Exchange> {
  const isHttp2 = ask.http === "2" || dialled.alpn === "h2";
  const request = wireRequest(target, ask);
  // Loaded only where it is spoken.
  const exchangeHttp2 = isHttp2 ? (await import("./http2.ts")).exchangeHttp2 : undefined;
  reading.sentAt = performance.now();
  return exchangeHttp2 === undefined
    ? exchangeHttp1(dialled.socket, request, listener)
    : exchangeHttp2(dialled.socket, target.isTls, request, listener);
}

function wireRequest(target: Target, ask: Ask): WireRequest {
  const has = (name: string) => ask.fields.some(([given]) => given.toLowerCase() === name.toLowerCase());
  const own = DEFAULTS.filter(([name]) => !has(name));
  const given = ask.fields.filter(([name]) => !OWN.has(name.toLowerCase()));
  const host = ask.fields.find(([name]) => name.toLowerCase() === "host")?.[1];
  return {
    method: ask.method,
    path: target.path,
    host: host ?? ask.host ?? target.authority,
    version: ask.http === "1.0" ? "1.0" : "1.1",
    fields: [...own, ...given],
    body: ask.body,
  };
}

/**
 * Keeps the answers from a reading that redirect it. To another host only a request goes that has no fields and no body
 * of the caller: they may hold credentials.
 */
class RedirectFilter implements WireListener {
  readonly #from: Target;
  readonly #ask: Ask;
  readonly #reading: Reading;
  readonly #redirect: (next: Target) => void;
  #isRedirected = false;

  constructor(from: Target, ask: Ask, reading: Reading, redirect: (next: Target) => void) {
    this.#from = from;
    this.#ask = ask;
    this.#reading = reading;
    this.#redirect = redirect;
  }

  onHead(head: WireHead, at: number): void {
    const location = fieldValue(head.fields, "location");
    const next = REDIRECTS.has(head.status) ? this.#nextOf(location ?? "") : undefined;
    this.#isRedirected = next !== undefined;
    if (next === undefined) this.#reading.onHead(head, at);
    else this.#redirect(next);
  }

  onBody(bytes: Buffer, at: number): void {
    if (!this.#isRedirected) this.#reading.onBody(bytes, at);
  }

  onEnd(kind: EndKind, at: number): void {
    if (!this.#isRedirected) this.#reading.onEnd(kind, at);
  }

  onFault(detail: string): void {
    if (!this.#isRedirected) this.#reading.onFault(detail);
  }

  #nextOf(location: string): Target | undefined {
    const url = URL.canParse(location, this.#from.url) ? new URL(location, this.#from.url).href : location;
    const next = parseTarget(url);
    const { fields, body, method } = this.#ask;
    const carries = fields.length > 0 || body !== undefined || method !== "GET";
    return next === undefined || (carries && !isSameSite(this.#from, next)) ? undefined : next;
  }
}
