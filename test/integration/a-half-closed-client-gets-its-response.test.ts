import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually, SOON_MS } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw, RawClient } from "../support/raw-client.ts";

// A FIN behind a request means a client that has left, or one that has nothing more to send and reads on, as `nc -N`
// and HTTP/1.0 tools do. Measured with a response after 1.5 s: HAProxy serves both and cancels neither; nginx, Node and
// Caddy cancel both. sluice sends the first bytes of the head: the client that has left answers with a reset.

const PARSERS = [
  ["by the fast path", ""],
  ["by node:http", "\r\n"],
] as const;

describe.each(PARSERS)("a request that is read %s", (_name, prefix) => {
  const get = `${prefix}GET / HTTP/1.1\r\nHost: a\r\n\r\n`;

  test.each([
    ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"],
    ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlate\r\n0\r\n\r\n"],
    ["without a body", "HTTP/1.1 204 OK\r\nX-Late: late\r\n\r\n"],
  ])("gets a late response %s, and then the end of the connection", async (_how, response) => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    const request = await backend.nextRequest();
    await client.received("HT");
    request.send(response);
    expect(await client.ended()).toBe("end");
    expect(client.text).toMatch(/^HTTP\/1\.1 20[04] OK\r\n/);
    expect(client.text).toMatch(/late|X-Late/);
    expect(client.text).toContain("Connection: close\r\n");
    expect(await gateway.requestLine()).toMatchObject({ endReason: "completed" });
  });

  test("gets a refusal of sluice", async () => {
    const gateway = await startGatewayTo("http://127.0.0.1:1", { match: { path: "/other" } });
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    await client.ended();
    expect(client.text).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
  });

  test("gets a stream, whose heartbeats tell when the client has left", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { stream: { heartbeat: "100ms" } });
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    const request = await backend.nextRequest();
    await client.received("H");
    request.openStream();
    request.emit("data: 1\n\n");
    await client.received("data: 1\n\n");
    request.emit("data: 2\n\n");
    await client.received("data: 2\n\n");
    client.leave();
    await request.connection.closed;
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone", events: 2 });
  });

  test("is cancelled soon if its client leaves before the response", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    const request = await backend.nextRequest();
    client.leave();
    await eventually(() => !request.connection.isOpen, "the end of the backend's request", {
      timeoutMs: SOON_MS,
    });
    expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
  });

  test("is cancelled soon if its client leaves behind a TCP proxy", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(await startForwarder(gateway.port));
    client.send(get);
    const request = await backend.nextRequest();
    client.leave();
    await eventually(() => !request.connection.isOpen, "the end of the backend's request", {
      timeoutMs: SOON_MS,
    });
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });

  test("is cancelled at once if its client ends its half during the response", async () => {
    const backend = await startBackend((request) => request.openStream());
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    await client.received(":\n");
    client.halfClose();
    await client.ended(SOON_MS);
    const [connection] = backend.connections;
    await eventually(() => connection?.isOpen === false, "the end of the backend's request", {
      timeoutMs: SOON_MS,
    });
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });

  test.each([
    ["before the head", ""],
    ["in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"],
  ])("is cancelled after halfCloseTimeout of silence %s", async (_when, part) => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { limits: { halfCloseTimeout: "800ms" } });
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    const request = await backend.nextRequest();
    await client.received("HT");
    request.send(part);
    await client.ended();
    await request.connection.closed;
    expect(client.text.endsWith(part.slice(-4))).toBe(true);
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });

  test("is not cancelled while bytes keep coming", async () => {
    const backend = await startBackend();
    // Longer than a busy machine stands still.
    const gateway = await startGatewayTo(backend.url, { limits: { halfCloseTimeout: "1600ms" } });
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    const request = await backend.nextRequest();
    request.send("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n");
    for (let sent = 1; sent <= 30; sent++) {
      request.send("x");
      await client.received("x".repeat(sent));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await client.ended()).toBe("end");
    expect(await gateway.requestLine()).toMatchObject({ endReason: "completed", bytesSent: 30 });
  });

  test("gets no interim response: its first bytes are those of the response", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    client.halfClose();
    const request = await backend.nextRequest();
    await client.received("H");
    request.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    request.respond(200, {}, "late");
    await client.ended();
    expect(client.text).toMatch(/^HTTP\/1\.1 200 Scripted\r\n/);
    expect(client.text).not.toContain("103");
  });
});

test("an HTTP/1.0 request and a POST get their late responses", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  for (const [index, sent] of [
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
  ].entries()) {
    const client = await openRaw(gateway.port);
    client.send(sent);
    client.halfClose();
    const request = await backend.nextRequest();
    if (index > 0) expect((await request.wholeBody()).toString()).toBe("body");
    await client.received("HTT");
    request.respond(200, {}, "late");
    expect(await client.ended()).toBe("end");
    expect(client.text).toMatch(/^HTTP\/1\.1 200 Scripted\r\n.*late$/s);
  }
});

test("pipelined requests are all answered, in order", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  client.halfClose();
  (await backend.nextRequest()).respond(200, {}, "one");
  await client.received("one");
  const second = await backend.nextRequest();
  await client.received("oneHT");
  second.respond(200, {}, "two");
  expect(await client.ended()).toBe("end");
  expect(client.text.match(/^(?:one)?HTTP\/1\.1 200 .*|two$/gm)).toHaveLength(3);
});

test.each(["halfClose", "leave"] as const)(
  "by TLS, a client that ends its half and one that leaves: %s",
  async (how) => {
    const backend = await startBackend();
    const listen = [{ address: "127.0.0.1:0", tls: await certificateFiles() }];
    const gateway = await startGatewayTo(backend.url, {}, { listen });
    const options = { allowHalfOpen: true, rejectUnauthorized: false };
    const socket = connectTls({ port: gateway.port, host: "127.0.0.1", ...options });
    afterTest(() => void socket.destroy());
    const client = new RawClient(socket);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const request = await backend.nextRequest();
    client[how]();
    if (how === "halfClose") {
      await client.received("HT");
      request.respond(200, {}, "late");
      await client.received("late");
    } else {
      await request.connection.closed;
    }
    const endReason = how === "leave" ? "client_gone" : "completed";
    expect(await gateway.requestLine()).toMatchObject({ endReason });
  },
);

test("a client that ends its half inside its request reaches no backend", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("GET / HTTP/1.1\r\nHo");
  client.halfClose();
  await client.ended();
  expect(backend.requests).toEqual([]);
});

/** Starts a TCP proxy that passes the ends of both halves on, and learns of a client that has left only by a write. */
async function startForwarder(port: number): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const gateway = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    const close = () => [client, gateway].forEach((socket: Socket) => void socket.destroy());
    client.on("error", close);
    gateway.on("error", close);
    client.pipe(gateway).pipe(client);
    afterTest(close);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close());
  return (server.address() as { port: number }).port;
}
