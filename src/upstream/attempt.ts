import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { WholeBody } from "../exchange/whole-body.ts";
import type { Source } from "../http/source.ts";
import type { Backend } from "./backend.ts";
import { bodyFraming, type Dial, dial } from "./dial.ts";
import { DialError } from "./dial-error.ts";
import type { Upstream } from "./upstream.ts";

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** What is sent, and what is known of it. */
export interface Attempt<T> {
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  /** Sent twice, it has the effect of once, and the body it needs is at hand. */
  readonly isRepeatable: boolean;
  isClientGone(): boolean;
  /** Sends it to one backend, `isAlone` on a connection made for it; without an answer it fails with a DialError. */
  send(
    backend: Backend,
    isAlone: boolean,
    answered: (answer: T) => void,
    failed: (error: unknown) => void,
  ): void;
}

/**
 * Sends a request to a backend of the group, and to `upstream.retries` others when the first gives no answer;
 * never to one twice, so a backend that is alone is asked once, as by nginx.
 *
 * What has not left may go to another backend whatever it is; what has left, only if it is repeatable and
 * not a byte came back. A client that has left is no backend's failure, and nobody is tried for it.
 */
export function attempt<T>(details: Attempt<T>): Promise<T> {
  return new Promise((resolve, reject) => new Attempts(details, resolve, reject).begin());
}

/** One promise for all of them: most requests are answered by the first. */
class Attempts<T> {
  readonly #details: Attempt<T>;
  readonly #resolve: (answer: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #tried: Backend[] = [];
  #retriesLeft: number;

  constructor(details: Attempt<T>, resolve: (answer: T) => void, reject: (error: unknown) => void) {
    this.#details = details;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#retriesLeft = details.upstream.retries;
  }

  begin(): void {
    const backend = this.#choose();
    if (backend === undefined) this.#reject(new ProxyError("no_backend", "every backend is unhealthy"));
    else this.#send(backend, false);
  }

  #choose(): Backend | undefined {
    const { upstream, exchange } = this.#details;
    return upstream.choose(exchange.client.address, this.#tried);
  }

  #send(backend: Backend, isAlone: boolean): void {
    const { exchange, upstream, send } = this.#details;
    exchange.dialling(backend.url);
    const answered = (answer: T) => {
      upstream.succeeded(backend);
      this.#resolve(answer);
    };
    const failed = (error: unknown) => this.#failed(backend, isAlone, error);
    try {
      send(backend, isAlone, answered, failed);
    } catch (error) {
      this.#reject(error);
    }
  }

  #failed(backend: Backend, wasAlone: boolean, error: unknown): void {
    const next = this.#nextAfter(backend, wasAlone, error);
    if (next === undefined) this.#reject(error);
    else this.#send(next.backend, next.isAlone);
  }

  /** Where it goes after a failure; undefined when that was the last one. */
  #nextAfter(backend: Backend, wasAlone: boolean, error: unknown): Destination | undefined {
    const { upstream, isRepeatable, isClientGone } = this.#details;
    if (!(error instanceof DialError) || isClientGone()) return undefined;
    // A kept connection that the backend closed in the same moment is no answer and no failure.
    if (error.progress === "stale" && isRepeatable && !wasAlone) return { backend, isAlone: true };
    if (isBackendsFault(error)) upstream.failed(backend, error.message);
    this.#tried.push(backend);
    const maySend = error.progress === "unsent" || (isRepeatable && error.progress !== "answered");
    const next = maySend && this.#retriesLeft > 0 ? this.#choose() : undefined;
    if (next === undefined) return undefined;
    this.#retriesLeft--;
    const { exchange } = this.#details;
    const facts = { reqId: exchange.id, route: exchange.route?.config.name, backend: backend.url };
    exchange.log.warn({ ...facts, code: error.code, reason: error.message }, "attempt failed");
    return { backend: next, isAlone: false };
  }
}

interface Destination {
  readonly backend: Backend;
  /** On a connection made for it. */
  readonly isAlone: boolean;
}

/** Closing an idle connection is every backend's right; what we lack, or do wrong ourselves, is not its fault. */
function isBackendsFault({ progress, code }: DialError): boolean {
  return progress !== "stale" && code !== "connections_exhausted" && code !== "internal_error";
}

/** What `dialUpstream` is told; the request is made anew for each backend. */
export interface UpstreamDial extends Pick<Dial, "exchange" | "response"> {
  readonly upstream: Upstream;
  requestFor(backend: Backend): Dial["request"];
}

/** Sends the client's request to the group and resolves with the first response head that comes. */
export function dialUpstream({ exchange, response, upstream, requestFor }: UpstreamDial): Promise<Source> {
  const framing = bodyFraming(exchange);
  const hasBodyAtHand = framing === "none" || framing === "buffered";
  const isRepeatable = hasBodyAtHand && IDEMPOTENT.has(exchange.request.method);
  // Chunked bodies travel on connections of their own: a backend that misreads where one ends
  // can then not take its rest for another client's request.
  const reuse = framing !== "chunked";
  const isClientGone = () => response.isClosed;
  const answer = attempt<Source>({
    exchange,
    upstream,
    isRepeatable,
    isClientGone,
    send(backend, isAlone, answered, failed) {
      const { timeouts } = upstream;
      const request = requestFor(backend);
      const details = { exchange, response, backend, timeouts, request, answered, failed };
      dial(details, reuse && !isAlone);
    },
  });
  if (exchange.body !== undefined) holdBody(exchange, exchange.body, answer);
  const { body } = exchange.request;
  // A body that nobody took is read and dropped, or the client would not come to read the refusal.
  if (body !== undefined) answer.catch(() => body.stream.resume());
  return answer;
}

/** Holds a body while it may go to another backend; a connection that sends it holds it for itself. */
function holdBody(exchange: Exchange, body: WholeBody, answer: Promise<Source>): void {
  const release = body.hold();
  const over = () => {
    release();
    exchange.forgetBody();
  };
  answer.then(over, over);
}
