import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

const plain = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const chunked = "Transfer-Encoding: chunked\r\n\r\n";

// The backend's first bytes, the part of them that the client gets, and how the backend then aborts.
const CUTS: Record<string, [sent: string, seen: string, cut: (request: BackendRequest) => void]> = {
  "a reset in the middle of an event": [`${stream}${chunked}8\r\ndata: ha\r\n`, "data: ha", (r) => r.reset()],
  "a close in the middle of an event": [
    `${stream}${chunked}8\r\ndata: ha\r\n`,
    "data: ha",
    (r) => r.halfClose(),
  ],
  "a close between two events": [
    `${stream}${chunked}9\r\ndata: 1\n\n\r\n`,
    "data: 1\n\n",
    (r) => r.halfClose(),
  ],
  "a reset between two events": [`${stream}${chunked}9\r\ndata: 1\n\n\r\n`, "data: 1\n\n", (r) => r.reset()],
  "a close inside a chunk": [`${stream}${chunked}ff\r\ndata: 1\n\n`, "data: 1\n\n", (r) => r.halfClose()],
  "a stream shorter than its Content-Length": [
    `${stream}Content-Length: 100\r\n\r\ndata: 1\n\n`,
    "data: 1\n\n",
    (r) => r.halfClose(),
  ],
  "a malformed chunk size": [
    `${stream}${chunked}9\r\ndata: 1\n\n\r\n`,
    "data: 1\n\n",
    (r) => r.send("zz\r\n"),
  ],
  "an ordinary body without its last chunk": [
    `${plain}${chunked}4\r\nhalf\r\n`,
    "half",
    (r) => r.halfClose(),
  ],
  "an ordinary body shorter than its Content-Length": [
    `${plain}Content-Length: 100\r\n\r\nhalf`,
    "half",
    (r) => r.halfClose(),
  ],
  "an ordinary body that ends with its connection, which is reset": [
    `${plain}Connection: close\r\n\r\nhalf`,
    "half",
    (r) => r.reset(),
  ],
  "a stream that ends with its connection, which is reset": [
    `${stream}Connection: close\r\n\r\ndata: 1\n\n`,
    "data: 1\n\n",
    (r) => r.reset(),
  ],
  "an ordinary body that is reset": [`${plain}Content-Length: 100\r\n\r\nhalf`, "half", (r) => r.reset()],
};

for (const [name, [sent, seen, cut]] of Object.entries(CUTS)) {
  test(name, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    const request = await backend.nextRequest();
    request.send(sent);
    await client.received(seen);
    cut(request);
    expect(await client.ended()).toMatch(/^(truncated|reset)$/);
    // The received bytes were forwarded, and nothing was added.
    expect(client.text.replace(/^:\n/, "")).toBe(seen);
    expect(await gateway.requestLine()).toMatchObject({ status: 200, endReason: "backend_failed" });
  });
}

for (const type of [plain, stream]) {
  test(`a body that is malformed from its first byte, in the same write as its head: ${type.slice(-20)}`, async () => {
    const backend = await startBackend((request) => request.send(`${type}${chunked}zz\r\n`));
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    expect(await client.ended()).toMatch(/^(truncated|reset|clean)$/);
    // Nothing has been sent yet, so a 502 is right too.
    if (client.end === "clean") expect(client.head?.status).toBe(502);
    expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_failed" });
  });
}

test("data directly before a break still arrives", async () => {
  const backend = await startBackend((request) => {
    request.send(`${stream}${chunked}9\r\ndata: 1\n\n\r\n`);
    request.halfClose();
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect(await client.ended()).toMatch(/^(truncated|reset)$/);
  expect(client.text).toBe(":\ndata: 1\n\n");
});

test("a body of the wrong length is aborted for each kind of client; control: a complete one ends cleanly", async () => {
  const { client, request, gateway } = await openRelay();
  request.emit("data: 1\n\n");
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(await gateway.requestLine()).toMatchObject({ status: 200, endReason: "backend_ended", events: 1 });
});

test("a stream that its backend delimits by closing ends cleanly", async () => {
  const backend = await startBackend((request) => {
    request.send(`${stream}Connection: close\r\n\r\ndata: 1\n\n`);
    request.halfClose();
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe(":\ndata: 1\n\n");
});
