import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  type EventStore,
  StreamableHTTPServerTransport,
} from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

/** Keeps every message of a session, so that a cut stream can be resumed. */
function createHistory(): EventStore {
  const events: { readonly id: string; readonly streamId: string; readonly message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(streamId, message) {
      const id = String(events.length + 1);
      events.push({ id, streamId, message });
      return id;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = events.find(({ id }) => id === lastEventId);
      if (last === undefined) throw new Error(`no event ${lastEventId}`);
      const missed = events.slice(Number(lastEventId)).filter(({ streamId }) => streamId === last.streamId);
      for (const { id, message } of missed) await send(id, message);
      return last.streamId;
    },
  };
}

/** One call of the tool `count` at the server. */
export interface Call {
  progress(done: number): Promise<void>;
  finish(text: string): void;
  /** Cuts the connection with the response to this call. */
  cut(): void;
  readonly signal: AbortSignal;
}

/** One HTTP request at the server. */
export interface Seen {
  readonly method: string;
  readonly sessionId: string | undefined;
  readonly lastEventId: string | undefined;
  isOver: boolean;
}

/** A server with one tool; its calls wait in `calls` until the test answers them. */
function createScriptedServer(calls: Call[], cuts: ReadonlyMap<string, () => void>): McpServer {
  const server = new McpServer({ name: "scripted", version: "1.0.0" });
  server.registerTool("count", { description: "Counts." }, async ({ _meta, requestId, signal, ...extra }) => {
    const progressToken = _meta?.progressToken ?? 0;
    const text = await new Promise<string>((resolve) => {
      calls.push({
        signal,
        progress: (progress) =>
          extra.sendNotification({
            method: "notifications/progress",
            params: { progressToken, progress, total: 3 },
          }),
        finish: resolve,
        cut: () => cuts.get(String(requestId))?.(),
      });
    });
    return { content: [{ type: "text", text }] };
  });
  return server;
}

/** Puts the SDK's server behind Node's HTTP; `cuts` gets, by JSON-RPC id, a function that cuts the connection. */
function createHttpServer(
  transport: StreamableHTTPServerTransport,
  seen: Seen[],
  cuts: Map<string, () => void>,
) {
  return createServer(async (request, response) => {
    const one: Seen = {
      method: request.method ?? "",
      sessionId: request.headers["mcp-session-id"]?.toString(),
      lastEventId: request.headers["last-event-id"]?.toString(),
      isOver: false,
    };
    seen.push(one);
    response.once("close", () => {
      one.isOver = true;
    });
    if (request.method !== "POST") return transport.handleRequest(request, response);
    const body = JSON.parse(Buffer.concat(await request.toArray()).toString("utf8")) as { id?: number };
    if (body.id !== undefined) cuts.set(String(body.id), () => response.destroy());
    return transport.handleRequest(request, response, body);
  });
}

/** Starts an MCP server with one session that keeps its events; closes it when the test ends. */
export async function startMcpServer() {
  const calls: Call[] = [];
  const seen: Seen[] = [];
  const closedSessions: string[] = [];
  const cuts = new Map<string, () => void>();
  const server = createScriptedServer(calls, cuts);
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessionclosed: (id) => {
      closedSessions.push(id);
    },
    eventStore: createHistory(),
    retryInterval: 20,
  });
  // The SDK's Transport type has optional members without undefined, but its class declares undefined.
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  const http = createHttpServer(transport, seen, cuts);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  afterTest(async () => {
    await server.close();
    http.closeAllConnections();
    http.close();
  });
  const nextCall = async () => (await eventually(() => calls.shift(), "a tool call at the server")) as Call;
  const { port } = http.address() as AddressInfo;
  return { server, seen, closedSessions, nextCall, url: `http://127.0.0.1:${port}` };
}
