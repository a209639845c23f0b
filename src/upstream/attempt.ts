import { ProxyError, refusalOf } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { WholeBody } from "../exchange/whole-body.ts";
import type { Source, SourceHead } from "../http/source.ts";
import type { Backend } from "./backend.ts";
import { bodyFraming, type DialOptions, type DialOutcome, dial } from "./dial.ts";
import { DialError, dialError } from "./dial-error.ts";
import { pinnedBackend } from "./pinned-connections.ts";
import type { Stay } from "./sticky.ts";
import type { Upstream } from "./upstream.ts";

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** A request for a backend of an upstream, and how it is sent. */
export interface Attempt<T> {
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  /** Whether it may be sent twice: its method is idempotent (RFC 9110 section 9.2.2), and its body is held here. */
  readonly isRepeatable: boolean;
  isClientGone(): boolean;
  /** Sends it to one backend, with `isAlone` on a new connection; without a response it fails with a DialError. */
  send(backend: Backend, isAlone: boolean, outcome: Outcome<T>): void;
}

/** Receives the outcome of sending a request to one backend. */
export interface Outcome<T> {
  /** Takes the head of the response before the client gets one; the client's head waits for a returned promise. */
  heard(head: SourceHead): Promise<void> | undefined;
  answered(response: T | Promise<T>): void;
  failed(error: unknown): void;
}

/**
 * Sends a request to a backend of the upstream, and to up to `upstream.retries` others if that one does not respond.
 * No backend gets it twice, so a single backend gets it once, as with nginx.
 *
 * A request of which no byte was sent may go to another backend. One that was sent may do so only if it is repeatable
 * and no byte came back. If the client has left, the failure counts against no backend and ends the attempts.
 */
export function attempt<T>(details: Attempt<T>): Promise<T> {
  return new Promise((resolve, reject) => new Attempts(details, resolve, reject).begin());
}

/** All attempts of a request, with one promise: most requests are answered by the first backend. */
class Attempts<T> implements Outcome<T> {
  readonly #details: Attempt<T>;
  readonly #resolve: (response: T | Promise<T>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #tried: Backend[] = [];
  /** The backend to which the request belongs; undefined if the upstream is not sticky. */
  #stay: Stay | undefined;
  #retriesLeft: number;
  /** The attempt that is under way. */
  #present: Destination | undefined;

  constructor(
    details: Attempt<T>,
    resolve: (response: T | Promise<T>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#details = details;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#retriesLeft = details.upstream.retries;
  }

  begin(): void {
    const { upstream, exchange } = this.#details;
    const stay = upstream.sticky?.stayOf(exchange);
    if (!(stay instanceof Promise)) {
      this.#begin(stay);
      return;
    }
    const begun = stay.then((found) => {
      // A kept connection would send the request at once.
      if (this.#details.isClientGone()) throw dialError(new Error("the client has left"), "unsent");
      this.#begin(found);
    });
    begun.catch(this.#reject);
  }

  #begin(stay: Stay | undefined): void {
    this.#stay = stay;
    const backend = this.#choose();
    if (backend === undefined) this.#reject(new ProxyError("no_backend", "every backend is unhealthy"));
    else this.#send({ backend, isAlone: false });
  }

  #choose(): Backend | undefined {
    const { upstream, exchange } = this.#details;
    const pinned = pinnedBackend(exchange, upstream.backends, this.#tried);
    return pinned ?? upstream.choose(exchange, this.#tried, this.#stay?.home);
  }

  #send(destination: Destination): void {
    this.#present = destination;
    const { backend, isAlone } = destination;
    const { exchange } = this.#details;
    exchange.dialling(backend.address);
    exchange.attemptTrace?.attemptBegins(backend.address);
    try {
      this.#details.send(backend, isAlone, this);
    } catch (error) {
      this.#traceFailure(error);
      this.#reject(error);
    }
  }

  heard({ status, rawHeaders }: SourceHead): Promise<void> | undefined {
    this.#details.exchange.attemptTrace?.attemptAnswered(status);
    return this.#present && this.#stay?.answeredBy(this.#present.backend, rawHeaders);
  }

  answered(response: T | Promise<T>): void {
    if (this.#present !== undefined) this.#details.upstream.succeeded(this.#present.backend);
    this.#resolve(response);
  }

  #traceFailure(error: unknown): void {
    const { attemptTrace } = this.#details.exchange;
    if (attemptTrace === undefined) return;
    attemptTrace.attemptFailed(this.#details.isClientGone() ? "client_gone" : refusalOf(error).code);
  }

  failed(error: unknown): void {
    this.#traceFailure(error);
    const next = this.#present && this.#nextAfter(this.#present, error);
    if (next === undefined) this.#reject(error);
    else this.#send(next);
  }

  /** Returns where the request goes after a failure; undefined if that was the last attempt. */
  #nextAfter({ backend, isAlone: wasAlone }: Destination, error: unknown): Destination | undefined {
    const { upstream, isRepeatable } = this.#details;
    if (!(error instanceof DialError)) return undefined;
    if (this.#details.isClientGone()) {
      backend.record.count("client_gone");
      return undefined;
    }
    // The backend closed a kept connection at the same moment: no failure. It gets the request on a new connection.
    const { progress } = error;
    if (isBackendsFault(error)) upstream.failed(backend, error);
    else backend.record.count(progress === "stale" || progress === "unused" ? "stale" : error.code);
    const maySendAgain = progress === "unused" || (progress === "stale" && isRepeatable);
    if (maySendAgain && !wasAlone) return { backend, isAlone: true };
    this.#tried.push(backend);
    const maySend = progress === "unsent" || (isRepeatable && progress !== "answered");
    const next = maySend && this.#retriesLeft > 0 ? this.#choose() : undefined;
    if (next === undefined) return undefined;
    this.#retriesLeft--;
    const { exchange } = this.#details;
    const facts = { reqId: exchange.id, ...exchange.attemptTrace?.ids, route: exchange.route?.config.name };
    const failure = { backend: backend.url, code: error.code, reason: error.message };
    exchange.log.warn({ ...facts, ...failure }, "attempt failed");
    return { backend: next, isAlone: false };
  }
}

interface Destination {
  readonly backend: Backend;
  /** On a new connection. */
  readonly isAlone: boolean;
}

/**
 * A backend may close an idle connection at any time, and a shortage or an error of this process is no failure of it.
 */
function isBackendsFault({ progress, code }: DialError): boolean {
  return (
    progress !== "stale" &&
    progress !== "unused" &&
    code !== "connections_exhausted" &&
    code !== "internal_error"
  );
}

/** A client's request for an upstream; `requestFor` renders it for each backend. */
export interface UpstreamDial extends Pick<DialOptions, "exchange" | "response" | "onInterim"> {
  readonly upstream: Upstream;
  requestFor(backend: Backend): DialOptions["request"];
}

/** Sends the client's request to the upstream and resolves with the first response whose head comes. */
export function dialUpstream(options: UpstreamDial): Promise<Source> {
  const { exchange } = options;
  const source = attempt<Source>(new UpstreamAttempt(options));
  if (exchange.body !== undefined) holdBody(exchange, exchange.body, source);
  const { body } = exchange.request;
  // A body that no backend took is read and dropped: a client that is still sending may not read the refusal.
  if (body !== undefined) source.catch(() => body.stream.resume());
  return source;
}

class UpstreamAttempt implements Attempt<Source>, DialOutcome {
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  readonly isRepeatable: boolean;
  readonly #options: UpstreamDial;
  readonly #keepMs: number;
  /** That of the backend that was dialled last. */
  #outcome: Outcome<Source> | undefined;

  constructor(options: UpstreamDial) {
    const { exchange, upstream } = options;
    this.exchange = exchange;
    this.upstream = upstream;
    this.#options = options;
    const framing = bodyFraming(exchange);
    const hasBodyAtHand = framing === "none" || framing === "buffered";
    this.isRepeatable = hasBodyAtHand && IDEMPOTENT.has(exchange.request.method);
    // A chunked body is sent on a connection of its own: a backend that misreads its end cannot read the rest as another
    // client's request (request smuggling).
    this.#keepMs = framing === "chunked" ? 0 : (upstream.keepAliveMs ?? 0);
  }

  isClientGone(): boolean {
    return this.#options.response.isClosed || this.exchange.isEnded;
  }

  send(backend: Backend, isAlone: boolean, outcome: Outcome<Source>): void {
    this.#outcome = outcome;
    const { exchange, upstream, isRepeatable } = this;
    const { response, requestFor, onInterim } = this.#options;
    const { timeouts } = upstream;
    const request = requestFor(backend);
    const details = { exchange, response, backend, timeouts, request, onInterim, outcome: this };
    const mayPin = upstream.keepAliveMs !== undefined;
    dial(details, { isAlone, keepMs: this.#keepMs, mayPin, isRepeatable });
  }

  responded(source: Source): void {
    const noted = this.#outcome?.heard(source.head);
    this.#outcome?.answered(noted === undefined ? source : sourceAfter(noted, source));
  }

  failed(error: DialError): void {
    this.#outcome?.failed(error);
  }
}

async function sourceAfter(noted: Promise<void>, source: Source): Promise<Source> {
  try {
    await noted;
    return source;
  } catch (error) {
    source.cancel();
    throw error;
  }
}

/** Holds a body while it may be sent to another backend; a connection that sends it holds it too. */
function holdBody(exchange: Exchange, body: WholeBody, source: Promise<Source>): void {
  const release = body.hold();
  const over = () => {
    release();
    exchange.forgetBody();
  };
  source.then(over, over);
}
