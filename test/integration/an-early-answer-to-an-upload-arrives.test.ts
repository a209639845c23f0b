import { once } from "node:events";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const MiB = 1024 ** 2;

for (const closes of [true, false]) {
  test(`413 in the middle of an upload, from a backend that ${closes ? "then closes" : "stays"}`, async () => {
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
    // The answer is whole and the request is not: what is left of it has no reader, so the connection goes.
    const [request] = backend.requests;
    request?.resume();
    await eventually(() => backend.openConnections === 0, "the close towards the backend");
    expect(request?.isComplete).toBe(false);
    expect(gateway.requestLines()[0]).toMatchObject({ status: 413 });
  });
}

test("a connection whose upload was answered early is not used for another request", async () => {
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
  // Had it gone out behind the half upload, the backend would have taken it for the other half.
  expect(second?.connection).not.toBe(backend.requests[0]?.connection);
});

test("an upload is throttled by a backend that does not read", async () => {
  const backend = await startBackend((request) => request.stall());
  const gateway = await startGatewayTo(backend.url);
  const total = 128 * MiB;
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": String(total) } });
  await backend.nextRequest();
  const piece = Buffer.alloc(MiB);
  let rests = 0;
  // The client stops when its own socket does; the kernel's buffers take some MiB.
  while (rests < 10 && client.socket.bytesWritten - client.socket.writableLength < total) {
    if (client.socket.writableLength < 2 * MiB) client.socket.write(piece);
    const before = client.socket.bytesWritten - client.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 20));
    rests = client.socket.bytesWritten - client.socket.writableLength === before ? rests + 1 : 0;
  }
  expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(40 * MiB);
  backend.requests[0]?.resume();
  await once(client.socket, "drain");
});
