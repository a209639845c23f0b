import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { ProxyError } from "../base/errors.ts";
import { type FaultHandler, type FaultOwner, guarded, runAll } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { Log } from "../observe/log.ts";
import { debugFields } from "./debug.ts";
import { Holdings } from "./holdings.ts";
import type { ConsumedCredential, Principal } from "./principal.ts";
import type { Route } from "./route.ts";
import type { Target } from "./target.ts";
import type { WholeBody } from "./whole-body.ts";

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
  /** Takes an error that no code expected and that no exchange can still report; `facts` say where it came from. */
  onFault(error: unknown, facts?: Readonly<Record<string, unknown>>): void;
}

const NOTHING_CONSUMED: ConsumedCredential = {};
const NO_FIELDS: readonly (readonly [name: string, value: string])[] = [];
const NO_HEADERS: readonly string[] = [];
const noContinue = (): void => {};
const noAnswer: FaultHandler = () => {};

/**
 * One client request and the account of our answer to it; settled once, with one log line.
 *
 * Whatever is acquired for it is registered with `onEnd` in the same step. Its callbacks run guarded: an error in one
 * ends this exchange, and no other.
 */
export class Exchange implements Sent, FaultOwner {
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
  consumed: ConsumedCredential = NOTHING_CONSUMED;
  /** The body, where a stage had to read it whole; it goes to the backend in place of the stream. */
  body: WholeBody | undefined;
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
  readonly #holdings = new Holdings((error) => this.#report(error));
  #answerFault = noAnswer;

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

  /** Lets go of a body that was read whole: it has been given to a backend, or none will get it. */
  forgetBody(): void {
    this.body?.release();
    this.body = undefined;
  }

  /**
   * Lets go of what was only needed to answer: of a stream that is under way, the request's head would be most of
   * what it holds.
   */
  forgetHead(): void {
    this.forgetBody();
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
    this.log[this.#level(endReason)](this.facts(endReason, described(this.error)), "request");
    this.#observer.onSettled(this, endReason);
    this.#holdings.settle();
  }

  /** Whether an error that no code expected has ended it. */
  get isFaulty(): boolean {
    return this.error !== undefined && !isExpected(this.error);
  }

  /** Whether what it held was given back: nothing more may be acquired for it. */
  get isEnded(): boolean {
    return this.#holdings.isEnded;
  }

  /**
   * Registers what gives back something that was acquired for this exchange: called once, when it ends; at once where
   * it has ended already, as a client may leave while a place is being asked for.
   */
  onEnd(release: () => void): void {
    this.#holdings.add(release);
  }

  /** Forgets what was registered with `onEnd`, and is over. */
  offEnd(release: () => void): void {
    this.#holdings.remove(release);
  }

  /** Gives back before the end what was registered with `onEnd`; does nothing where that was done. */
  giveBack(release: () => void): void {
    this.#holdings.giveBack(release);
  }

  /**
   * Puts the end off, behind which a backend may finish for its own sake (`onClientGone: drain`), until the returned
   * function is called; calling that again does nothing.
   */
  hold(): () => void {
    return this.#holdings.hold();
  }

  /** Says how an error becomes this exchange's answer: a refusal before the head, a broken body after it. */
  answerFaultsBy(answer: FaultHandler): void {
    this.#answerFault = answer;
  }

  /** Wraps a callback that runs for this exchange: an error in it is this exchange's fault. */
  guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => this.fault(error), callback);
  }

  /**
   * Ends the exchange with an error, a ProxyError or one that no code expected: answers it, cancels its backend
   * request and gives back what it holds, without waiting for the client to take the answer.
   */
  fault(error: unknown): void {
    if (this.#isSettled) this.#report(error);
    else runAll([() => this.#answerFault(error)], (another) => this.#report(another));
    this.#holdings.end();
  }

  /** Reports an error that comes too late for the exchange's own log line. */
  #report(error: unknown): void {
    if (isExpected(error)) return;
    this.#observer.onFault(error, { reqId: this.id, route: this.route?.config.name });
  }

  #level(endReason: EndReason): "error" | "warn" | "info" {
    if (this.isFaulty) return "error";
    return this.status >= 500 || endReason === "backend_failed" ? "warn" : "info";
  }

  /** What a log line says of the exchange; the query is left out, because it may hold a token. */
  facts(endReason?: EndReason, err?: unknown): Record<string, unknown> {
    return {
      reqId: this.id,
      route: this.route?.config.name,
      stage: this.route?.environment,
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

/** Whether an error is a refusal, or a failure of another side; any other error is a mistake of ours. */
function isExpected(error: unknown): boolean {
  return error instanceof ProxyError && error.code !== "internal_error";
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
