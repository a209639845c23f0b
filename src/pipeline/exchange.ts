import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Client } from "../base/address.ts";
import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { Log } from "../observe/log.ts";
import type { Target } from "../routing/target.ts";
import type { ClientRequest } from "./client-request.ts";
import { debugFields } from "./debug.ts";
import type { Principal, Spent } from "./principal.ts";
import type { Route } from "./route.ts";

/** What was sent of an answer's body. */
export interface Sent {
  /** Bytes given to the client's connection. */
  readonly bytesSent: number;
  /** Event blocks relayed; undefined for ordinary answers. */
  readonly events: number | undefined;
}

/** Who is told of exchanges. */
export interface Observer {
  readonly log: Log;
  /** Called once for each of them, when it has ended and all that will be known of it is. */
  onSettled(exchange: Exchange, reason: EndReason): void;
}

const NOTHING_SPENT: Spent = {};
const NO_FIELDS: readonly (readonly [name: string, value: string])[] = [];
const NO_HEADERS: readonly string[] = [];
const noContinue = (): void => {};

/** One client request and the account of our answer to it; settled once, with one log line. */
export class Exchange implements Sent {
  request: ClientRequest;
  client: Client;
  readonly id: string;
  readonly log: Log;
  /** The Host field as received; set by the handler's check, empty before. */
  host = "";
  target: Target = { path: "", query: "" };
  route: Route | undefined;
  /** Who the request is from; undefined until a stage has verified a credential. */
  principal: Principal | undefined;
  /** What the credential travelled in that was verified and is not for the backend. */
  spent: Spent = NOTHING_SPENT;
  /** The body, where a stage had to read it whole; it goes to the backend in place of the stream. */
  body: Buffer | undefined;
  /** The event id that a polyfill had put into the query; the backend gets it as Last-Event-ID. */
  lastEventId: string | undefined;
  /** URL of the backend that was dialled. */
  backend: string | undefined;
  status = 0;
  /** Who counts what is sent in its place: the less of memory an event has to touch on its way, the better. */
  sent: Sent | undefined;
  /** When the first of them was relayed, after the request's head. */
  firstEventMs: number | undefined;
  /** It was answered by a stream, and counts as one. */
  isStream = false;
  /** What debugging clients may read of the limits that were asked. */
  limitFields: readonly (readonly [name: string, value: string])[] = NO_FIELDS;
  /** When the backend was called, by `performance.now()`; undefined without one. */
  dialledAt: number | undefined;
  /** It came on a connection beyond the gateway's limit. */
  isOverflow = false;
  /** The client sent `Expect: 100-continue` and was not yet told to go on. */
  awaitsContinue = false;
  /** Sends 100 Continue; set where there is a response to send it on. */
  writeContinue: () => void = noContinue;
  /** What went wrong, for the log alone. */
  error: unknown;

  #bytesSent = 0;
  #events: number | undefined;
  readonly #observer: Observer;
  readonly #receivedAt = performance.now();
  #firstByteMs: number | undefined;
  #endReason: EndReason | undefined;
  #isSettled = false;

  constructor(request: ClientRequest, client: Client, observer: Observer) {
    this.request = request;
    this.client = client;
    this.id = client.requestId === undefined ? randomUUID() : ownText(client.requestId);
    this.log = observer.log;
    this.#observer = observer;
  }

  get bytesSent(): number {
    return this.sent?.bytesSent ?? this.#bytesSent;
  }

  set bytesSent(bytes: number) {
    this.#bytesSent = bytes;
  }

  get events(): number | undefined {
    return this.sent === undefined ? this.#events : this.sent.events;
  }

  set events(events: number) {
    this.#events = events;
  }

  /** Fields that every response of this exchange carries, composed or relayed. */
  get ownFields(): readonly (readonly [name: string, value: string])[] {
    const own: (readonly [string, string])[] = [["X-Request-Id", this.id], ...debugFields(this)];
    if (this.route?.cors !== undefined) own.push(...this.route.cors.fields(this.request.rawHeaders));
    return own;
  }

  /** A client that asked first is told to send its body only now that somebody will take it. */
  letContinue(): void {
    if (this.awaitsContinue) this.writeContinue();
    this.awaitsContinue = false;
  }

  /**
   * Lets go of what was only needed to answer: of a stream that is under way, the request's head would be most of
   * what it holds.
   */
  forgetHead(): void {
    const { method, httpVersion, body } = this.request;
    this.request = { method, url: "", httpVersion, rawHeaders: NO_HEADERS, body };
    this.client = { ...this.client, host: "", forwardedFor: "", requestId: undefined };
    this.target = { path: ownText(this.target.path), query: "" };
    this.host = "";
  }

  /** Notes that the response head was sent. */
  headSent(status: number): void {
    this.status = status;
    this.#firstByteMs ??= this.elapsedMs();
  }

  /** Notes why the exchange ends; the first reason stands, later ones are its consequences. */
  endsWith(reason: EndReason): void {
    this.#endReason ??= reason;
  }

  /** Writes the exchange's line; `reason` stands unless one was noted before. Later calls do nothing. */
  settle(reason: EndReason): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const endReason = this.#endReason ?? reason;
    this.#endReason = endReason;
    // nginx's 499: the client closed the request.
    if (endReason === "client_gone") this.status = 499;
    this.log[this.status >= 500 || endReason === "backend_failed" ? "warn" : "info"](
      this.facts(endReason, described(this.error)),
      "request",
    );
    this.#observer.onSettled(this, endReason);
  }

  /** What a log line says of the exchange; the query is left out, because it may hold a token. */
  facts(endReason?: EndReason, err?: unknown): Record<string, unknown> {
    return {
      reqId: this.id,
      route: this.route?.config.name,
      stage: this.route?.stage,
      method: this.request.method,
      path: this.target.path || this.request.url.replace(/[?#].*$/s, ""),
      status: this.status,
      client: this.client.address,
      app: this.principal?.app,
      backend: this.backend,
      bytesSent: this.bytesSent,
      events: this.events,
      firstByteMs: this.#firstByteMs,
      durationMs: this.elapsedMs(),
      endReason,
      err,
    };
  }

  /** Since the request's head was read; not rounded. */
  get ageMs(): number {
    return performance.now() - this.#receivedAt;
  }

  /** Since the request's head was read, in whole ms. */
  elapsedMs(): number {
    return Math.round(this.ageMs);
  }
}

/** A refusal needs no stack; an unexpected error is nothing without one. */
function described(error: unknown): unknown {
  if (!(error instanceof ProxyError)) return error;
  const cause = error.cause instanceof Error ? error.cause : undefined;
  return {
    code: error.code,
    message: error.message,
    ...(cause !== undefined && { cause: error.code === "internal_error" ? cause.stack : cause.message }),
  };
}
