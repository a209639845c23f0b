import { type Backend, type BackendRequest, startBackend } from "./backend.ts";
import { type GatewayFixture, startGateway } from "./gateway.ts";
import { openStream, type StreamClient } from "./sse-client.ts";

/** A gateway whose route keeps named answers, and its backend. */
export interface ResumingFixture {
  readonly gateway: GatewayFixture;
  readonly port: number;
  readonly backend: Backend;
  /** The requests that the backend has got, in order. */
  readonly requests: readonly BackendRequest[];
}

export interface ResumingSetup {
  readonly resume?: Readonly<Record<string, unknown>>;
  readonly route?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
  onRequest?(request: BackendRequest): void;
}

/** Clients are told apart by X-User; sluice adds no lines to a stream. */
export async function startResuming(setup: ResumingSetup = {}): Promise<ResumingFixture> {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    setup.onRequest?.(request);
  });
  const gateway = await startGateway({ routes: { main: resumingRoute(backend.url, setup) }, ...setup });
  return { gateway, port: gateway.port, backend, requests };
}

export function resumingRoute(upstream: string, { resume, route }: ResumingSetup) {
  return {
    match: { path: "/*" },
    upstream,
    stream: { comments: "off" },
    resume: { by: ["header:X-User"], ...resume },
    ...route,
  };
}

export interface AskOptions {
  readonly key?: string;
  readonly user?: string;
  readonly body?: string;
  readonly path?: string;
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly paused?: boolean;
}

const fieldsOf = ({ key = "k1", user = "ann", lastEventId, headers }: AskOptions) => ({
  "X-User": user,
  ...(key !== "" && { "Idempotency-Key": key }),
  ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }),
  ...headers,
});

/** Sends a named POST. */
export function ask(port: number, options: AskOptions = {}): StreamClient {
  const { path = "/v1/chat", body = "{}", paused = false } = options;
  return openStream(port, { method: "POST", path, body, paused, headers: fieldsOf(options) });
}

/** Sends a named GET, which attaches to an answer. */
export function attach(port: number, options: AskOptions = {}): StreamClient {
  const { path = "/v1/chat" } = options;
  return openStream(port, { path, headers: { Accept: "text/event-stream", ...fieldsOf(options) } });
}

/** Sends a named DELETE, which cancels an answer; waits for its response. */
export async function cancel(port: number, options: AskOptions = {}): Promise<number> {
  const { path = "/v1/chat" } = options;
  const client = openStream(port, { method: "DELETE", path, headers: fieldsOf(options) });
  return (await client.opened()).status;
}

/** Sends a request without a body and waits for its whole response. */
export function send(
  port: number,
  method: "GET" | "DELETE" | "POST",
  options: AskOptions = {},
): Promise<Response> {
  const { path = "/v1/chat", body } = options;
  return fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: fieldsOf(options),
    ...(body !== undefined && { body }),
  });
}

/** Returns the texts of the tokens, in order. */
export const tokensOf = ({ text }: { readonly text: string }): string[] =>
  [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data ?? "");

/** Returns the id of the last received event. */
export const lastIdOf = ({ text }: { readonly text: string }): string =>
  [...text.matchAll(/^id: ?(.*)$/gm)].at(-1)?.[1] ?? "";

/** Sends a token as an event. */
export const emitToken = (request: BackendRequest | undefined, token: string): void =>
  request?.emit(`data: ${token}\n\n`);
