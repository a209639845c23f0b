import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../../support/gateway.ts";
import { type Seen, startMcpServer } from "../../support/mcp-server.ts";

/** The official MCP SDK on both sides: a POST with a stream as its response, a GET stream, sessions, resumption. */

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

it("gets the server's notifications on the GET stream", async () => {
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

it("forwards the cancellation of a call to the server", async () => {
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

it("closes every stream at the server when the client leaves without notice", async () => {
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
