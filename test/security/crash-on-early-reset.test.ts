import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy listened for errors of the client's socket only once the backend had switched protocols. A reset
// before that was an uncaught ECONNRESET: any client could end the process.

const BARE = `
  const proxy = require(process.argv[1]).createProxyServer({ target: process.argv[2] });
  const server = require("node:http").createServer();
  server.on("upgrade", (request, socket, head) => proxy.ws(request, socket, head));
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

test("control: a reset before the 101 ends a process with bare http-proxy", async () => {
  const backend = await startBackend();
  const modulePath = createRequire(import.meta.url).resolve("http-proxy");
  const child = spawn(process.execPath, ["-e", BARE, modulePath, backend.url]);
  afterTest(() => void child.kill());
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const [line] = await once(child.stdout, "data");
  const client = await openRaw(Number(line));
  client.send(handshake());
  await backend.nextRequest();
  client.reset();
  await eventually(() => child.exitCode !== null, "the end of the process");
  expect(child.exitCode).not.toBe(0);
  // The output of a process may arrive after its exit.
  await eventually(() => /ECONNRESET/.test(stderr), "the error that ended it");
});

test("a reset before, with or right after the 101 ends only that client", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const reset = async (act: (client: Awaited<ReturnType<typeof openRaw>>) => Promise<void>) => {
    const client = await openRaw(gateway.port);
    client.send(handshake());
    await act(client);
  };
  // An uncaught error here would fail the whole run.
  await reset(async (client) => client.reset());
  for (const answer of ["", switching()]) {
    await reset(async (client) => {
      const request = await backend.nextRequest();
      request.send(answer);
      client.reset();
      await request.connection.closed;
    });
  }
  await eventually(() => gateway.requestLines().length === 3, "a log line each");
  await eventually(() => backend.openConnections === 0, "no backend connection left");
});

test("a reset while the refusal is written ends only that client", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  for (let count = 0; count < 20; count++) {
    const client = await openRaw(gateway.port);
    client.send(handshake("/", { "Sec-WebSocket-Version": "8" }));
    client.reset();
  }
  const client = await openRaw(gateway.port);
  client.send(handshake("/", { "Sec-WebSocket-Version": "8" }));
  await client.ended();
  expect(client.status).toBe(426);
  expect(client.text).toContain("Sec-WebSocket-Version: 13\r\n");
});
