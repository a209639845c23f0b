import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { chunkOf, startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

const MiB = 1024 ** 2;

for (const closes of [true, false]) {
  test(`413 during an upload arrives, from a backend that ${closes ? "then closes" : "keeps its connection"}`, async () => {
    const backend = await startBackend((request) => {
      request.stall();
      request.respond(413, { "Content-Type": "text/plain" }, "too large");
      if (closes) request.halfClose();
    });
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, {
      method: "POST",
      headers: { "Content-Length": String(64 * MiB) },
    });
    client.socket.on("error", () => undefined);
    client.socket.write(Buffer.alloc(4 * MiB));
    expect(await client.ended()).toBe("clean");
    expect([client.head?.status, client.text]).toEqual([413, "too large"]);
    // The response is complete but the request is not: the rest of it has no reader, so the connection closes.
    const [request] = backend.requests;
    request?.resume();
    await eventually(() => backend.openConnections === 0, "the close towards the backend");
    expect(request?.isComplete).toBe(false);
    expect(gateway.requestLines()[0]).toMatchObject({ status: 413 });
  });
}

/** Uploads until the response ends, to a backend that answers at the first bytes and closes with the rest unread. */
async function uploadTo(gateway: GatewayFixture, isChunked: boolean): Promise<StreamClient> {
  const headers = isChunked ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(64 * MiB) };
  const client = openStream(gateway.port, { method: "POST", headers });
  client.socket.on("error", () => undefined);
  const piece = Buffer.alloc(64 * 1024);
  const part = isChunked ? chunkOf(piece) : piece;
  for (let count = 0; count < 64; count++) client.socket.write(part);
  await client.ended();
  return client;
}

const closingBackend = (response: string) =>
  startBackend(({ connection: { socket } }) => {
    socket.pause();
    // Bytes are unread, so the kernel sends a reset behind the response.
    socket.write(response, () => socket.destroy());
  });

test.each([false, true])(
  "413 arrives from a backend that resets the upload, chunked: %s",
  async (isChunked) => {
    const backend = await closingBackend("HTTP/1.1 413 Large\r\nContent-Length: 9\r\n\r\ntoo large");
    const gateway = await startGatewayTo(backend.url);
    // Node's own order of events gave the response in a quarter of these, and 502 in the others.
    for (let times = 0; times < 12; times++) {
      const { head, text } = await uploadTo(gateway, isChunked);
      expect([head?.status, text]).toEqual([413, "too large"]);
    }
  },
);

test("a response without a length that is cut by the reset of an upload does not look complete", async () => {
  const backend = await closingBackend("HTTP/1.1 200 OK\r\n\r\npart");
  const gateway = await startGatewayTo(backend.url);
  for (let times = 0; times < 12; times++) {
    const client = await uploadTo(gateway, false);
    expect([200, 502]).toContain(client.head?.status);
    if (client.head?.status === 200) expect(await client.ended()).not.toBe("clean");
  }
});

test.each(["tcp", "tls"])(
  "a client that asks for the close of its %s connection may write on behind an early response",
  async (transport) => {
    const tls = transport === "tls" ? { tls: await certificateFiles() } : {};
    const backend = await startBackend((request) => request.respond(413, {}, "too large"));
    const gateway = await startGatewayTo(backend.url, {}, { listen: { address: "127.0.0.1:0", ...tls } });
    const { port } = gateway;
    const client =
      transport === "tls"
        ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
        : connect(port, "127.0.0.1");
    afterTest(() => void client.destroy());
    const errors: Error[] = [];
    client.on("error", (error) => errors.push(error));
    // As nginx, which reads nothing while it writes.
    client.pause();
    client.write("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n");
    await gateway.requestLine();
    for (let part = 0; part < 10; part++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      client.write(Buffer.alloc(100));
    }
    const received: Buffer[] = [];
    client.on("data", (bytes) => received.push(bytes));
    client.resume();
    await eventually(() => client.readableEnded, "the end of the response");
    expect(errors).toEqual([]);
    expect(Buffer.concat(received).toString()).toMatch(/^HTTP\/1\.1 413 [\s\S]*\r\n\r\ntoo large$/);
  },
);

test("a connection with an early response to an upload is not reused", async () => {
  const backend = await startBackend((request) => {
    request.respond(request.method === "POST" ? 413 : 200, {}, "answer");
  });
  const gateway = await startGatewayTo(backend.url);
  const upload = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "1000" } });
  upload.socket.write("half");
  expect(await upload.ended()).toBe("clean");
  const next = openStream(gateway.port, { path: "/next" });
  expect(await next.ended()).toBe("clean");
  expect(next.head?.status).toBe(200);
  const second = backend.requests.find(({ target }) => target === "/next");
  // After the incomplete upload the backend would read the next request as the rest of it.
  expect(second?.connection).not.toBe(backend.requests[0]?.connection);
});

test("a backend that does not read puts back-pressure on the upload", async () => {
  const backend = await startBackend((request) => request.stall());
  const gateway = await startGatewayTo(backend.url);
  const total = 128 * MiB;
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": String(total) } });
  const request = await backend.nextRequest();
  const piece = Buffer.alloc(MiB);
  const taken = () => client.socket.bytesWritten - client.socket.writableLength;
  let [written, rests] = [0, 0];
  // The upload pauses when all socket buffers are full, which takes some MiB.
  while (rests < 10 && written < total) {
    const before = taken();
    if (client.socket.writableLength < 2 * MiB) {
      client.socket.write(piece);
      written += piece.length;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    rests = taken() === before ? rests + 1 : 0;
  }
  expect(taken()).toBeLessThan(40 * MiB);
  request.resume();
  await eventually(() => request.body.length === written, "all that was written", { everyMs: 50 });
});
