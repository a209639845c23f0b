import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";
import { StreamClient } from "../support/sse-client.ts";

// When a backend refused an upgrade, http-proxy wrote its fields unchanged and its body decoded: after
// `Transfer-Encoding: chunked` came no chunks. The client's connection stayed open as if it could be reused.

const CHUNKED_REFUSAL =
  "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n" +
  "X-Accel-Redirect: /internal\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n";

test("control: http-proxy announces chunks and sends none", async () => {
  const backend = await startBackend((request) => request.send(CHUNKED_REFUSAL));
  const { port } = await startBareHttpProxy(backend.url);
  const client = await openRaw(port);
  client.send(handshake());
  await client.received("second");
  expect(client.text).toMatch(/transfer-encoding: chunked/i);
  expect(client.text).toMatch(/\r\n\r\nfirstsecond$/);
});

async function refused(answer: string) {
  const backend = await startBackend((request) => request.send(answer));
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const raw = await openRaw(gateway.port);
  const client = new StreamClient(raw.socket, "GET");
  raw.send(handshake());
  const end = await client.ended();
  return { raw, client, end, line: await gateway.requestLine() };
}

test("a chunked refusal arrives complete, framed, and without the backend's hop-by-hop fields", async () => {
  const { raw, client, end, line } = await refused(CHUNKED_REFUSAL);
  expect([client.head?.status, client.text, end]).toEqual([403, "firstsecond", "clean"]);
  expect(client.fieldLines("connection")).toEqual(["close"]);
  expect(client.fieldLines("keep-alive")).toEqual([]);
  expect(client.fieldLines("x-accel-redirect")).toEqual([]);
  expect(client.fieldLines("x-request-id")).toHaveLength(1);
  expect(await raw.ended()).toBe("end");
  expect(line).toMatchObject({ status: 403, bytesSent: 11, endReason: "completed" });
});

test("a refusal with a length keeps its length", async () => {
  const { client, end } = await refused("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
  expect([client.head?.status, client.text, end]).toEqual([401, "no", "clean"]);
  expect(client.fieldLines("transfer-encoding")).toEqual([]);
});

test("a refusal that ends with its connection is framed for the client", async () => {
  const backend = await startBackend((request) => {
    request.send("HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\n\r\nwhole");
    request.halfClose();
  });
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const raw = await openRaw(gateway.port);
  const client = new StreamClient(raw.socket, "GET");
  raw.send(handshake());
  expect(await client.ended()).toBe("clean");
  expect([client.head?.status, client.text]).toEqual([500, "whole"]);
});

test.each([204, 304])("a refusal with %i has no body", async (status) => {
  const { client, raw, end } = await refused(`HTTP/1.1 ${status} Nothing\r\n\r\n`);
  expect([client.head?.status, client.text, end]).toEqual([status, "", "clean"]);
  expect(client.fieldLines("transfer-encoding")).toEqual([]);
  expect(await raw.ended()).toBe("end");
});

test("an aborted refusal does not look complete", async () => {
  const backend = await startBackend((request) => {
    request.send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  });
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const raw = await openRaw(gateway.port);
  const client = new StreamClient(raw.socket, "GET");
  raw.send(handshake());
  await client.received("first");
  backend.requests[0]?.reset();
  expect(await client.ended()).not.toBe("clean");
  // A warning: an error of level 50 would be a defect of sluice.
  expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_failed", level: 40 });
});

test("a stream in place of the switch is relayed as any other, for longer than a head may take", async () => {
  const backend = await startBackend((request) => request.openStream({}, 200));
  // Longer than this process may stall before the head, which the timeout bounds.
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: "1500ms" };
  const stream = { heartbeat: "400ms" };
  const gateway = await startGatewayTo(backend.url, { upstream, websocket: true, stream });
  const raw = await openRaw(gateway.port);
  const client = new StreamClient(raw.socket, "GET");
  raw.send(handshake());
  const request = await backend.nextRequest();
  await client.received(":\n".repeat(6));
  request.emit("data: late\n\n");
  await client.received("data: late");
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(client.fieldLines("x-accel-buffering")).toEqual(["no"]);
  expect(await gateway.requestLine()).toMatchObject({ status: 200, events: 1, endReason: "backend_ended" });
});

test("a client that does not read a refusal does not keep it open", async () => {
  const backend = await startBackend((request) => {
    request.send(`HTTP/1.1 403 No\r\nContent-Length: ${32 << 20}\r\n\r\n`);
    request.send(Buffer.alloc(32 << 20));
  });
  const gateway = await startGatewayTo(backend.url, { websocket: true, stream: { sendTimeout: "300ms" } });
  const client = await openRaw(gateway.port);
  client.socket.pause();
  client.send(handshake());
  await (await backend.nextRequest()).connection.closed;
  expect((await gateway.requestLine())["endReason"]).toBe("slow_client");
});

test.each(["leave", "reset", "halfClose"] as const)(
  "a refusal is cancelled when its client disconnects: %s",
  async (how) => {
    const backend = await startBackend((request) => request.openStream({}, 200));
    const gateway = await startGatewayTo(backend.url, { websocket: true });
    const client = await openRaw(gateway.port);
    client.send(handshake());
    const { connection } = await backend.nextRequest();
    await client.received("200");
    client[how]();
    await connection.closed;
    expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
  },
);

test("a client that keeps its end open after a refusal is closed", async () => {
  const { raw } = await refused(CHUNKED_REFUSAL);
  expect(await raw.ended()).toBe("end");
  // Only a closed socket responds with a reset.
  const sending = () => {
    if (!raw.socket.destroyed) raw.send("x");
    return raw.socket.destroyed;
  };
  await eventually(sending, "the end of the socket", { everyMs: 50 });
});

test.each([
  ["an unknown transfer coding", "HTTP/1.1 403 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
  ["no HTTP at all", "SSH-2.0-OpenSSH\r\n"],
  ["two lengths", "HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
  ["an invalid status", "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n"],
])("%s is a 502", async (_name, answer) => {
  const { client, line } = await refused(answer);
  expect(client.head?.status).toBe(502);
  expect(JSON.parse(client.text)).toMatchObject({ error_code: expect.any(String) });
  expect(line["endReason"]).toBe("backend_failed");
});
