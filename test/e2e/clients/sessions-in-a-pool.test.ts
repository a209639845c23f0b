import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { io, type Socket as SocketClient } from "socket.io-client";
import { expect, test } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewaySetup, startGateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { startRedis } from "../../support/redis.ts";
import { type SessionBackend, startMcpBackend, startSocketBackend } from "../../support/session-backends.ts";
import { fetchOnce, serveWorkers } from "../../support/workers.ts";

/** socket.io's and MCP's own clients and servers: three backends, each with its sessions in its own memory. */

/** Starts the gateway; returns its URL. */
const WAYS: Record<string, (setup: GatewaySetup) => Promise<string>> = {
  "one process": async (setup) => (await startGateway(setup)).url,
  "behind nginx with its defaults": async (setup) =>
    (await startNginx({ upstream: (await startGateway(setup)).host, httpVersion: "1.0" })).url,
  "two workers": async (setup) => (await serveWorkers(setup)).url,
  "two instances with Redis": async (setup) => {
    const redis = await startRedis();
    const shared = { ...setup, server: { redis: { url: redis.url, timeout: "5s" }, admin: 0 } };
    const gateways = [await startGateway(shared), await startGateway(shared)];
    for (const { adminUrl } of gateways) {
      const metrics = async () => (await fetch(`${adminUrl}/metrics`)).text();
      await eventually(async () => /^sluice_redis_up 1$/m.test(await metrics()), "Redis to be found");
    }
    return inTurns(gateways.map(({ port }) => port));
  },
};

/** Starts a load balancer that gives each connection to the next port; returns its URL. */
async function inTurns(ports: readonly number[]): Promise<string> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((client) => {
    const gateway = connect({ host: "127.0.0.1", port: ports[count++ % ports.length] ?? 0 });
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    client.pipe(gateway).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const startThree = (start: (number: number) => Promise<SessionBackend>) => Promise.all([0, 1, 2].map(start));

const setupOf = (backends: readonly SessionBackend[], upstream: Readonly<Record<string, unknown>>) => ({
  routes: {
    main: {
      match: { path: "/*" },
      upstream: { backends: backends.map(({ url }) => ({ url })), balance: "roundRobin", ...upstream },
      websocket: true,
    },
  },
});

function open(url: string, transports: readonly string[]): SocketClient {
  // In Node the client keeps cookies only with `withCredentials`, as a browser does for another origin.
  const options = { transports: [...transports], withCredentials: true, forceNew: true, reconnection: false };
  const socket = io(url, options);
  afterTest(() => void socket.disconnect());
  return socket;
}

/** Returns the text with the number of the backend. */
const echo = (socket: SocketClient, text: string): Promise<string> =>
  socket.timeout(9_000).emitWithAck("echo", text);

async function opened(url: string, transports: readonly string[]): Promise<SocketClient> {
  const socket = open(url, transports);
  await eventually(() => socket.connected, "a socket.io connection");
  return socket;
}

test.each(Object.entries(WAYS))("socket.io polls with a sticky cookie: %s", async (_, start) => {
  const backends = await startThree(startSocketBackend);
  const url = await start(setupOf(backends, { sticky: { cookie: "home" } }));
  const sockets: SocketClient[] = [];
  for (let n = 0; n < 6; n++) sockets.push(await opened(url, ["polling"]));
  for (const socket of sockets) {
    const first = await echo(socket, "0");
    expect(first).toMatch(/^0@[012]$/);
    for (let n = 1; n <= 5; n++) expect(await echo(socket, String(n))).toBe(`${n}${first.slice(1)}`);
  }
  const begun = backends.map((backend) => backend.begun());
  expect(begun.reduce((sum, count) => sum + count)).toBe(6);
  expect(Math.max(...begun)).toBeLessThan(6);
  for (const { cookies } of backends) expect([...cookies].join()).not.toContain("home");
});

test("socket.io changes from polling to a WebSocket at the same backend", async () => {
  const backends = await startThree(startSocketBackend);
  const { url } = await startGateway(setupOf(backends, { sticky: { cookie: "home" } }));
  const socket = await opened(url, ["polling", "websocket"]);
  await eventually(() => socket.io.engine.transport.name === "websocket", "the upgrade");
  expect(await echo(socket, "a")).toMatch(/^a@[012]$/);
});

test("socket.io polls with a hash of the client's address", async () => {
  const backends = await startThree(startSocketBackend);
  const { url } = await startGateway(setupOf(backends, { balance: "hash" }));
  const socket = await opened(url, ["polling"]);
  const first = await echo(socket, "0");
  for (let n = 1; n <= 5; n++) expect(await echo(socket, String(n))).toBe(`${n}${first.slice(1)}`);
});

test("without any of it socket.io's polling fails in a pool", async () => {
  const backends = await startThree(startSocketBackend);
  const { url } = await startGateway(setupOf(backends, {}));
  const socket = open(url, ["polling"]);
  const ends: string[] = [];
  socket.on("connect_error", ({ message }) => ends.push(message));
  socket.on("disconnect", (reason) => ends.push(reason));
  await eventually(() => ends.length > 0, "the end of the session");
});

async function connectMcp(url: string): Promise<Client> {
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", url), {
    // On a new connection each, so that the requests reach all workers and instances.
    fetch: (input, init) => fetchOnce(input, init),
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  afterTest(() => client.close());
  return client;
}

const whereIs = async (client: Client): Promise<unknown> => {
  const { content } = await client.callTool({ name: "where" });
  return (content as { text: string }[])[0]?.text;
};

test.each(Object.entries(WAYS))(
  "MCP sessions stay at the backend that has named them: %s",
  async (_, start) => {
    const backends = await startThree(startMcpBackend);
    const url = await start(setupOf(backends, { sticky: { learn: "Mcp-Session-Id" } }));
    const clients: Client[] = [];
    for (let n = 0; n < 6; n++) clients.push(await connectMcp(url));
    const homes = new Set<unknown>();
    for (const client of clients) {
      const home = await whereIs(client);
      homes.add(home);
      for (let n = 0; n < 4; n++) expect(await whereIs(client)).toBe(home);
    }
    expect(homes.size).toBeGreaterThan(1);
    expect(backends.reduce((sum, backend) => sum + backend.begun(), 0)).toBe(6);
  },
);

test("a new MCP session works after the backend of the old one went down", async () => {
  const backends = await startThree(startMcpBackend);
  const { url } = await startGateway(setupOf(backends, { sticky: { learn: "Mcp-Session-Id" } }));
  const client = await connectMcp(url);
  const home = Number(await whereIs(client));
  await backends[home]?.close();
  // The other backends do not know the session, and say so with 404: the client has to begin anew.
  await expect(whereIs(client)).rejects.toMatchObject({ code: 404 });
  const next = await connectMcp(url);
  const there = Number(await whereIs(next));
  expect(there).not.toBe(home);
  for (let n = 0; n < 4; n++) expect(await whereIs(next)).toBe(String(there));
});
