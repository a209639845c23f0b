import type { BackendRequest } from "./backend.ts";
import { type GatewayFixture, startGateway } from "./gateway.ts";
import { openStream, type StreamClient } from "./sse-client.ts";

/** Waits as short as they may be, so that redials do not hold a test up. */
export const QUICK = { redial: { min: "20ms", max: "100ms" } };

/** A gateway whose one route, for every path, is shared; `shared` and `route` complete it. */
export const startSharing = (
  upstream: string,
  shared: Readonly<Record<string, unknown>> = {},
  route: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
): Promise<GatewayFixture> =>
  startGateway({
    routes: { main: { match: { path: "/*" }, upstream, shared: { ...QUICK, ...shared }, ...route } },
    server,
  });

/** A client of a stream; with an id, one that comes back. */
export const subscribe = (port: number, path = "/news", lastEventId?: string): StreamClient =>
  openStream(port, {
    path,
    headers: {
      Accept: "text/event-stream",
      ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }),
    },
  });

/** One event block. */
export const event = (data: string, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`;

/** The `data` of each event that a client got, in order. */
export const dataOf = ({ text }: StreamClient): string[] =>
  [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data ?? "");

/** The ids that a client got, in order. */
export const idsOf = ({ text }: StreamClient): string[] =>
  [...text.matchAll(/^id: ?(.*)$/gm)].map(([, id]) => id ?? "");

/** The answer to a poll. */
export interface Polled {
  readonly events: readonly { readonly id: string; readonly event: string; readonly data: string }[];
  readonly lastEventId: string;
  readonly gap: boolean;
}

/** Answers each request of a backend with a stream that begins with these blocks. */
export const streaming =
  (...blocks: readonly string[]) =>
  (request: BackendRequest): void => {
    request.openStream();
    for (const block of blocks) request.emit(block);
  };
