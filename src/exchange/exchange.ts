import { ProxyError } from "../base/errors.ts";
import { guarded, runAll } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import { randomUuid } from "../base/uuid.ts";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { ClientResponse, ResponseUser } from "../http/client-response.ts";
import type { Log } from "../observe/log.ts";
import { Account, isExpected } from "./account.ts";
import { debugFields } from "./debug.ts";
import type { AttemptTrace, ExchangeTrace } from "./exchange-trace.ts";
import { type Holder, Holdings } from "./holdings.ts";
import type { RequestOrigin } from "./received-request.ts";
import { RoutedRequest } from "./routed-request.ts";
import type { WholeBody } from "./whole-body.ts";

/** Receives what happens to exchanges. */
export interface Observer {
  readonly log: Log;
  /** Called once for each exchange, when it has ended and its account is complete. */
  onSettled(exchange: Exchange, reason: EndReason): void;
  /** Takes an error that no code expected and that no exchange can still report; `facts` say where it came from. */
  onFault(error: unknown, facts?: Readonly<Record<string, unknown>>): void;
}

/** Answers a fault of an exchange; `response` is the one that was given with it. */
export type FaultAnswer = (error: unknown, exchange: Exchange, response: ClientResponse | undefined) => void;

const noAnswer: FaultAnswer = () => {};

/**
 * One request with its response; settled once, with one log line.
 *
 * Code that acquires something for it registers the release with `onEnd` in the same step. Its callbacks run guarded:
 * an error in a callback ends this exchange, and no other.
 */
export class Exchange extends RoutedRequest implements ResponseUser, Holder {
  readonly id: string;
  readonly log: Log;
  readonly account = new Account();
  readonly #observer: Observer;
  #isSettled = false;
  readonly #holdings = new Holdings(this);
  #answerFault = noAnswer;
  #response: ClientResponse | undefined;

  constructor(request: ClientRequest, client: Client, observer: Observer, origin: RequestOrigin = {}) {
    super(request, client, origin);
    this.id = client.requestId === undefined ? randomUuid() : ownText(client.requestId);
    this.log = observer.log;
    this.#observer = observer;
  }

  /** The path for logs and traces: without the query, because it may hold a token. */
  get path(): string {
    return this.target.path || this.request.url.replace(/[?#].*$/s, "");
  }

  /** The span of the client's request; undefined without `tracing`. A getter, so that no untraced exchange has a field. */
  get trace(): ExchangeTrace | undefined {
    return undefined;
  }

  /** The spans of attempts to reach a backend; undefined without `tracing`. */
  get attemptTrace(): AttemptTrace | undefined {
    return undefined;
  }

  /** Fields that every response of this exchange carries, composed or relayed. */
  get ownFields(): readonly (readonly [name: string, value: string])[] {
    const own: (readonly [string, string])[] = [
      ["X-Request-Id", this.id],
      ...this.account.reportFields,
      ...debugFields(this),
    ];
    if (this.route?.cors !== undefined) own.push(...this.route.cors.fields(this.request.rawHeaders));
    if (this.route?.config.vary !== undefined) own.push(["Vary", this.route.config.vary]);
    return own;
  }

  /** Notes that the response is a stream under way: logs it, and releases the request's head. */
  streamOpened(): void {
    this.account.streamOpened();
    this.log.info(this.facts(), "stream opened");
    this.forgetHead();
  }

  /** Writes the exchange's log line; `reason` stands unless one was noted before. Later calls do nothing. */
  settle(reason: EndReason): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const { account } = this;
    const endReason = account.settle(reason);
    this.log[account.logLevel](this.facts(endReason, described(account.error)), "request");
    this.#observer.onSettled(this, endReason);
    this.#holdings.settle();
  }

  /** Whether everything it held was released: nothing more may be acquired for it. */
  get isEnded(): boolean {
    return this.#holdings.isEnded;
  }

  /**
   * Registers the release of what was acquired for this exchange. It is called once, when the exchange ends; at once if
   * it has ended already, because a client may leave while a place is being taken.
   */
  onEnd(release: () => void): void {
    this.#holdings.add(release);
  }

  /** Removes a release that is no longer needed. */
  offEnd(release: () => void): void {
    this.#holdings.remove(release);
  }

  /** Calls a registered release before the end; does nothing if it was called. */
  giveBack(release: () => void): void {
    this.#holdings.giveBack(release);
  }

  /**
   * Delays the end until the returned function is called, so that a backend may finish without its client
   * (`onClientGone: drain`). Calling the function again does nothing.
   */
  hold(): () => void {
    return this.#holdings.hold();
  }

  override readWhole(body: WholeBody): void {
    super.readWhole(body);
    this.account.addReceived(body.length);
  }

  /**
   * Sets how an error is answered: with a refusal before the response head, by aborting the body after it. `answer` gets
   * the response, since a closure for each exchange would take memory as long as its stream.
   */
  answerFaultsBy(answer: FaultAnswer, response?: ClientResponse): void {
    this.#answerFault = answer;
    this.#response = response;
  }

  /** Settles the exchange with the end of its response. */
  responseClosed(isWhole: boolean): void {
    this.settle(isWhole ? "completed" : "client_gone");
  }

  /** Wraps a callback that runs for this exchange: an error in it is this exchange's fault. */
  guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => this.fault(error), callback);
  }

  /**
   * Ends the exchange with an error, a ProxyError or one that no code expected: answers the client, cancels the backend
   * request and releases all it holds, without waiting until the client has read the response.
   */
  fault(error: unknown): void {
    if (this.#isSettled) this.#report(error);
    else runAll([() => this.#answerFault(error, this, this.#response)], (another) => this.#report(another));
    this.#holdings.end();
  }

  releaseFailed(error: unknown): void {
    this.#report(error);
  }

  /** Reports an error that came after the exchange's own log line. */
  #report(error: unknown): void {
    if (isExpected(error)) return;
    const ids = this.attemptTrace?.ids;
    this.#observer.onFault(error, { reqId: this.id, ...ids, route: this.route?.config.name });
  }

  /** Returns the fields of a log line. */
  facts(endReason?: EndReason, err?: unknown): Record<string, unknown> {
    const { account } = this;
    return {
      reqId: this.id,
      backendReqId: account.backendRequestId,
      route: this.route?.config.name,
      stage: this.route?.environment,
      method: this.request.method,
      path: this.path,
      status: account.status,
      preflightRefused: account.preflightRefused,
      client: this.client.address,
      app: this.principal?.app,
      backend: this.backend,
      decoded: account.decoded,
      bytesSent: account.bytesSent,
      events: account.events,
      firstByteMs: account.firstByteMs,
      inputTokens: account.tokens?.inputTokens,
      outputTokens: account.tokens?.outputTokens,
      firstTokenMs: account.tokens?.firstTokenMs,
      model: account.tokens?.model,
      durationMs: account.elapsedMs(),
      endReason,
      err,
    };
  }
}

/** Returns an error as the log shows it: a refusal without its stack, an unexpected error with it. */
function described(error: unknown): unknown {
  if (!(error instanceof ProxyError)) return error;
  const cause = error.cause instanceof Error ? error.cause : undefined;
  return {
    code: error.code,
    message: error.message,
    ...(cause !== undefined && { cause: error.code === "internal_error" ? cause.stack : cause.message }),
  };
}
