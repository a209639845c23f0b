import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { Backend } from "./backend.ts";
import { bodyFraming, type Dial, dial } from "./dial.ts";
import { DialError } from "./dial-error.ts";
import type { Source } from "./source.ts";
import type { Upstream } from "./upstream.ts";

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** What is sent, and what is known of it. */
export interface Attempt<T> {
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  /** Sent twice, it has the effect of once, and the body it needs is at hand. */
  readonly isRepeatable: boolean;
  isClientGone(): boolean;
  /** Sends it to one backend, `isAlone` on a connection made for it; rejects with a DialError without an answer. */
  send(backend: Backend, isAlone: boolean): Promise<T>;
}

/**
 * Sends a request to a backend of the group, and to `upstream.retries` others when the first gives no answer;
 * never to one twice, so a backend that is alone is asked once, as by nginx.
 *
 * What has not left may go to another backend whatever it is; what has left, only if it is repeatable and
 * not a byte came back. A client that has left is no backend's failure, and nobody is tried for it.
 */
export async function attempt<T>({
  exchange,
  upstream,
  isRepeatable,
  isClientGone,
  send,
}: Attempt<T>): Promise<T> {
  const tried = new Set<Backend>();
  let backend = upstream.choose(exchange.client.address, tried);
  if (backend === undefined) throw new ProxyError("no_backend", "every backend is unhealthy");
  let isAlone = false;
  for (let left = upstream.retries; ; ) {
    tried.add(backend);
    exchange.backend = backend.url;
    try {
      const answer = await send(backend, isAlone);
      upstream.succeeded(backend);
      return answer;
    } catch (error) {
      if (!(error instanceof DialError) || isClientGone()) throw error;
      // A kept connection that the backend closed in the same moment is no answer and no failure.
      if (error.progress === "stale" && isRepeatable && !isAlone) {
        isAlone = true;
        continue;
      }
      if (isBackendsFault(error)) upstream.failed(backend, error.message);
      const maySend = error.progress === "unsent" || (isRepeatable && error.progress !== "answered");
      const next: Backend | undefined =
        maySend && left > 0 ? upstream.choose(exchange.client.address, tried) : undefined;
      if (next === undefined) throw error;
      const { code, message: reason } = error;
      const facts = { reqId: exchange.id, route: exchange.route?.config.name, backend: backend.url };
      exchange.log.warn({ ...facts, code, reason }, "attempt failed");
      backend = next;
      isAlone = false;
      left--;
    }
  }
}

/** Closing an idle connection is every backend's right, and what we lack ourselves is nobody else's fault. */
function isBackendsFault({ progress, code }: DialError): boolean {
  return progress !== "stale" && code !== "connections_exhausted";
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
  const answer = attempt({
    exchange,
    upstream,
    isRepeatable,
    isClientGone,
    send(backend, isAlone) {
      const { timeouts } = upstream;
      const request = requestFor(backend);
      return dial({ exchange, response, backend, timeouts, request }, reuse && !isAlone);
    },
  });
  const { body } = exchange.request;
  // A body that nobody took is read and dropped, or the client would not come to read the refusal.
  if (body !== undefined) answer.catch(() => body.stream.resume());
  return answer;
}
