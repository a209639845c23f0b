import { fieldValue } from "../http/fields.ts";
import { ACCEPT_ENCODING } from "./decoder.ts";
import { type Dialled, dial } from "./dial.ts";
import { type Fault, noAnswer } from "./fault.ts";
import { exchangeHttp1 } from "./http1.ts";
import { Pauses } from "./pauses.ts";
import { printable } from "./printable.ts";
import { Reading } from "./reading.ts";
import { isSameSite, parseTarget, type Target } from "./target.ts";
import type { EndKind, Exchange, WireHead, WireListener, WireRequest } from "./wire.ts";

/** The HTTP version of the request; `auto`: the choice of ALPN, and 1.1 without TLS. */
export type HttpVersion = "auto" | "1.0" | "1.1" | "2";

/** One URL to read, and its name in the report. */
export interface Hop {
  readonly name: string;
  readonly target: Target;
}

/** The request that is sent to every hop. */
export interface Ask {
  readonly method: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
  readonly http: HttpVersion;
  readonly insecure: boolean;
  /** The Host field; undefined for that of each URL. */
  readonly host: string | undefined;
}

/** Counts the connections of a probe; `take` returns false when it may open no more. */
export class Budget {
  opened = 0;
  readonly most: number;
  /** Pauses of this process while it reads. */
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
/** Default fields; the caller's own replace them. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ["Accept", "text/event-stream, application/x-ndjson;q=0.9, */*;q=0.1"],
  ["Accept-Encoding", ACCEPT_ENCODING],
  ["Cache-Control", "no-cache"],
  ["User-Agent", "sluice-probe"],
];

/** Fields that the client sets itself, or that HTTP/2 forbids. */
const OWN: ReadonlySet<string> = new Set(["host", "content-length", "connection", "transfer-encoding"]);

/**
 * Reads a hop's stream until it ends or `signal` aborts.
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

/** Connects and sends the request; repeats both for a redirect. */
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
      // A dial that the probe itself cancelled is not a fault of the server.
      if (!signal.aborted) reading.fail(dialled);
      return reading.stop();
    }
    if (reading.isOver) return void dialled.socket.destroy();
    next = await askOnce(target, ask, dialled, reading, count < MAX_REDIRECTS);
    if (next !== undefined) reading.url = next.url;
  }
}

/** Sends the request over a connection; resolves when the response has ended, with the target of a redirect. */
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
  const sentence = `the URL has more redirects than the probe follows, the last to ${printable(url)}`;
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
  // Loaded on demand, because most probes use HTTP/1.1.
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
 * Handles redirects before the reading gets the response. It follows a redirect to another host only without fields
 * and a body from the caller, because both may contain credentials.
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
