import type { BackendRequest } from "./backend.ts";
import { type GatewayFixture, startGatewayTo } from "./gateway.ts";
import { openStream, type StreamClient } from "./sse-client.ts";

/** The shortest allowed waits, so that redials do not delay a test. */
export const QUICK = { redial: { min: "20ms", max: "100ms" } };

/** Starts a gateway with one shared route for all paths; `shared` and `route` complete it. The prelude is sent at once. */
export const startSharing = (
  upstream: string,
  shared: Readonly<Record<string, unknown>> = {},
  route: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
): Promise<GatewayFixture> => startGatewayTo(upstream, { shared: { ...QUICK, ...shared }, ...route }, server);

/** Opens a client of a stream; with an id, a reconnecting client. */
export const subscribe = (port: number, path = "/news", lastEventId?: string): StreamClient =>
  openStream(port, {
    path,
    headers: {
      Accept: "text/event-stream",
      ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }),
    },
  });

/** Returns one event block. */
export const event = (data: string, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`;

/** Returns the `data` of each received event, in order. */
export const dataOf = ({ text }: StreamClient): string[] =>
  [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data ?? "");

/** Returns the received ids, in order. */
export const idsOf = ({ text }: StreamClient): string[] =>
  [...text.matchAll(/^id: ?(.*)$/gm)].map(([, id]) => id ?? "");

/** The response to a poll. */
export interface Polled {
  readonly events: readonly { readonly id: string; readonly event: string; readonly data: string }[];
  readonly lastEventId: string;
  readonly gap: boolean;
}

/** Answers each request at a backend with a stream that begins with these blocks. */
export const streaming =
  (...blocks: readonly string[]) =>
  (request: BackendRequest): void => {
    request.openStream();
    for (const block of blocks) request.emit(block);
  };
