import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  type EventStore,
  StreamableHTTPServerTransport,
} from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../../support/gateway.ts";

/** The official MCP SDK on both sides: POST answered with a stream, a GET stream, sessions, resumption. */

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

/** One call of the tool `count`, as the server sees it. */
interface Call {
  progress(done: number): Promise<void>;
  finish(text: string): void;
  /** Cuts the connection on which this call is answered. */
  cut(): void;
  readonly signal: AbortSignal;
}

interface Seen {
  readonly method: string;
  readonly sessionId: string | undefined;
  readonly lastEventId: string | undefined;
  isOver: boolean;
}

/** A server with one session and one tool, whose calls the test answers by hand. */
async function startMcpServer() {
  const calls: Call[] = [];
  const seen: Seen[] = [];
  const closedSessions: string[] = [];
  const server = new McpServer({ name: "scripted", version: "1.0.0" });
  const cuts = new Map<string, () => void>();
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
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessionclosed: (id) => {
      closedSessions.push(id);
    },
    eventStore: createHistory(),
    retryInterval: 20,
  });
  // The SDK's own Transport type wants optional members without undefined, which its class declares.
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  const http = createServer(async (request, response) => {
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

async function connectClient(gateway: GatewayFixture) {
  const transport = new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), {
    reconnectionOptions: {
      initialReconnectionDelay: 20,
      maxReconnectionDelay: 20,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 5,
    },
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  afterTest(() => client.close());
  return { client, transport };
}

const isOpenGet = ({ method, isOver }: Seen) => method === "GET" && !isOver;

it("initializes, lists tools, and streams the progress of a call one by one", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url, { stream: { heartbeat: "5ms" } });
  const { client, transport } = await connectClient(gateway);
  expect(transport.sessionId).toMatch(/^[0-9a-f-]{36}$/);
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["count"]);
  expect(backend.seen.at(-1)?.sessionId).toBe(transport.sessionId);

  const progress: number[] = [];
  const result = client.callTool({ name: "count" }, undefined, {
    onprogress: (step) => progress.push(step.progress),
  });
  const call = await backend.nextCall();
  for (const step of [1, 2, 3]) {
    await call.progress(step);
    await eventually(() => progress.length === step, `progress ${step} at the client`);
  }
  call.finish("done");
  expect(await result).toMatchObject({ content: [{ type: "text", text: "done" }] });
  expect(progress).toEqual([1, 2, 3]);
});

it("carries the server's notifications on the GET stream", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url);
  const { client } = await connectClient(gateway);
  let changes = 0;
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    changes += 1;
  });
  await eventually(() => backend.seen.some(isOpenGet), "the GET stream at the server");
  for (const count of [1, 2, 3]) {
    backend.server.sendToolListChanged();
    await eventually(() => changes === count, `notification ${count}`);
  }
});

it("brings a cancelled call to the server", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url);
  const { client } = await connectClient(gateway);
  const controller = new AbortController();
  const result = client.callTool({ name: "count" }, undefined, { signal: controller.signal });
  const call = await backend.nextCall();
  expect(call.signal.aborted).toBe(false);
  controller.abort("changed my mind");
  await expect(result).rejects.toThrow("changed my mind");
  await eventually(() => call.signal.aborted, "the cancellation at the server");
});

it("closes every stream at the server when the client leaves without a word", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url);
  const { client } = await connectClient(gateway);
  await eventually(() => backend.seen.some(isOpenGet), "the GET stream at the server");
  const result = client.callTool({ name: "count" });
  const gone = expect(result).rejects.toThrow();
  await backend.nextCall();
  expect(backend.seen.filter(({ isOver }) => !isOver).map(({ method }) => method)).toEqual(["GET", "POST"]);
  await client.close();
  await gone;
  await eventually(() => backend.seen.every(({ isOver }) => isOver), "the end of every stream");
});

it("ends its session with DELETE", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url);
  const { transport } = await connectClient(gateway);
  const { sessionId } = transport;
  await transport.terminateSession();
  expect(backend.seen.at(-1)).toMatchObject({ method: "DELETE", sessionId });
  expect(backend.closedSessions).toEqual([sessionId]);
});

it("resumes a call whose stream was cut, with Last-Event-ID", async () => {
  const backend = await startMcpServer();
  const gateway = await startGatewayTo(backend.url);
  const { client } = await connectClient(gateway);
  const progress: number[] = [];
  const result = client.callTool({ name: "count" }, undefined, {
    onprogress: (step) => progress.push(step.progress),
  });
  const call = await backend.nextCall();
  await call.progress(1);
  await eventually(() => progress.length === 1, "the first progress");
  const isResumption = ({ method, lastEventId }: Seen) => method === "GET" && lastEventId !== undefined;
  call.cut();
  await eventually(() => backend.seen.some(isResumption), "the resumption at the server");
  await call.progress(2);
  call.finish("done after all");
  expect(await result).toMatchObject({ content: [{ text: "done after all" }] });
  expect(progress).toEqual([1, 2]);
});
