import { createParser } from "eventsource-parser";
import { expect, test } from "vitest";
import { type BackendRequest, chunkOf, startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { event, startSharing, subscribe } from "../support/shared.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

// After a comment line, @google/genai loses the next event without an error, and @google/generative-ai fails. Both send
// X-Goog-Api-Client.

const GOOGLE: StreamRequest = {
  method: "POST",
  body: "{}",
  headers: { "X-Goog-Api-Client": "google-genai-sdk/2.32.0 gl-node/v24" },
};

/** Reads a stream as @google/genai 2.32 does: of each block, only what begins with `data:` counts. */
const readAsGenai = (text: string) =>
  text
    .split("\n\n")
    .map((block) => block.trim())
    .filter((block) => block.startsWith("data:"))
    .map((block) => block.slice(5).trim());

/** Reads a stream as @google/generative-ai 0.24 does: with any other line it fails. */
function readAsGenerativeAi(text: string) {
  const events: string[] = [];
  let rest = text;
  for (let match = /^data: (.*)\n\n/.exec(rest); match !== null; match = /^data: (.*)\n\n/.exec(rest)) {
    events.push(match[1] ?? "");
    rest = rest.slice(match[0].length);
  }
  if (rest.trim() !== "") throw new Error("Failed to parse stream");
  return events;
}

async function start(stream: object, request: StreamRequest = {}) {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { stream });
  const client = openStream(gateway.port, request);
  const received = await backend.nextRequest();
  received.openStream();
  await client.opened();
  return { client, request: received, gateway, backend };
}

/** Waits until another stream of the same route got its third heartbeat. */
async function passSilence(port: number, requests: () => Promise<BackendRequest>) {
  const witness = openStream(port);
  (await requests()).openStream();
  await witness.received(":\n:\n:\n");
  witness.leave();
}

test("auto: Google's SDKs get no added line, and read every event", async () => {
  const { client, request, gateway, backend } = await start({ comments: "auto", heartbeat: "50ms" }, GOOGLE);
  await passSilence(gateway.port, () => backend.nextRequest());
  request.emit('data: {"n":1}\n\n');
  await passSilence(gateway.port, () => backend.nextRequest());
  request.emit('data: {"n":2}\n\n');
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(readAsGenai(client.text)).toEqual(['{"n":1}', '{"n":2}']);
  expect(readAsGenerativeAi(client.text)).toEqual(['{"n":1}', '{"n":2}']);
});

test("control: with on, the one SDK loses an event, and the other fails", async () => {
  const { client, request } = await start({ comments: "on" }, GOOGLE);
  request.emit('data: {"n":1}\n\ndata: {"n":2}\n\n');
  request.endStream();
  await client.ended();
  expect(readAsGenai(client.text)).toEqual(['{"n":2}']);
  expect(() => readAsGenerativeAi(client.text)).toThrow("Failed to parse stream");
});

test("auto: Google's SDKs get no padding, and no named heartbeat", async () => {
  const stream = {
    comments: "auto",
    padding: "2k",
    retry: "3s",
    heartbeat: { every: "20ms", event: "ping" },
  };
  const { client, request, gateway, backend } = await start(stream, GOOGLE);
  const witness = openStream(gateway.port);
  (await backend.nextRequest()).openStream();
  await witness.received("event: ping\ndata: {}\n\nevent: ping\ndata: {}\n\n");
  request.emit("data: 1\n\n");
  request.endStream();
  await client.ended();
  expect(client.text).toBe("data: 1\n\n");
});

test("auto: the head is sent at once, and the prelude only after a second without an event", async () => {
  const startedAt = performance.now();
  const { client } = await start({ comments: "auto", heartbeat: "off" });
  expect(client.text).toBe("");
  await client.received(":\n");
  expect((client.arrivals[0]?.at ?? 0) - startedAt).toBeGreaterThan(990);
  expect(client.text).toBe(":\n");
});

test("auto: an event that came with the head is sent without a line before it", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  const backend = await startBackend((request) =>
    request.send(`${head}${chunkOf("data: 1\n\n").toString()}`),
  );
  const gateway = await startGatewayTo(backend.url, { stream: { comments: "auto", heartbeat: "1500ms" } });
  const client = await openRaw(gateway.port);
  client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  // A prelude would come before the heartbeat.
  await client.received(chunkOf(":\n").toString());
  expect(client.text.split("\r\n\r\n")[1]).toBe(
    `${chunkOf("data: 1\n\n").toString()}${chunkOf(":\n").toString()}`,
  );
});

test("off: no client gets a comment line, neither prelude nor padding nor heartbeat", async () => {
  const { client, request, gateway, backend } = await start({
    comments: "off",
    padding: "2k",
    heartbeat: "20ms",
    retry: "3s",
  });
  const other = await startGatewayTo(backend.url, { stream: { heartbeat: "100ms" } });
  await passSilence(other.port, () => backend.nextRequest());
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  expect(client.text).toBe("retry: 3000\n\ndata: 1\n\n");
  client.leave();
  await gateway.close();
});

test("a heartbeat that is an event comes between two events only, and keeps the last event id", async () => {
  const { client, request } = await start({ comments: "off", heartbeat: { every: "30ms", event: "ping" } });
  request.emit("id: 7\ndata: a\n\n");
  await client.received("event: ping");
  request.emit("id: 8\ndata: be");
  await client.received("data: be");
  const length = client.bodyLength;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(client.bodyLength).toBe(length);
  request.emit("gun\n\n");
  await client.received("begun\n\nevent: ping\ndata: {}\n\n");
  const seen: [event: string | undefined, data: string, id: string | undefined][] = [];
  createParser({ onEvent: ({ event: type, data, id }) => seen.push([type, data, id]) }).feed(client.text);
  expect(seen.filter(([type]) => type !== "ping")).toEqual([
    [undefined, "a", "7"],
    [undefined, "begun", "8"],
  ]);
  expect(seen.filter(([type]) => type === "ping").every(([, data]) => data === "{}")).toBe(true);
  expect(client.text).not.toMatch(/^:/m);
  expect(client.text.match(/^id:/gm)).toHaveLength(2);
});

test("a shared stream gives each client the lines that it can read", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { port } = await startSharing(
    backend.url,
    {},
    { stream: { comments: "auto", heartbeat: { every: "1500ms", event: "ping" } } },
  );
  const google = openStream(port, { path: "/news", headers: GOOGLE.headers ?? {} });
  const client = subscribe(port);
  const startedAt = performance.now();
  await client.opened();
  await client.received(":\n");
  expect((client.arrivals[0]?.at ?? 0) - startedAt).toBeGreaterThan(900);
  await client.received(":\nevent: ping\ndata: {}\n\n");
  const [request] = backend.requests;
  request?.emit(event("1", "1"));
  await client.received("data: 1\n\n");
  await google.received("data: 1\n\n");
  expect(google.text).toBe("id: 1\ndata: 1\n\n");
  request?.emit(event("2", "2"));
  await client.received("data: 2\n\n");
  const late = subscribe(port, "/news", "1");
  await late.received("data: 2\n\n");
  // It got an event at once, so the next line is the heartbeat.
  await late.received("event: ping\n");
  expect(late.text).not.toMatch(/^:/m);
});

test("with off, a shared stream has no comment line, and polls answer as before", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { port, url } = await startSharing(
    backend.url,
    { polling: true },
    { stream: { comments: "off", heartbeat: "20ms" } },
  );
  const client = subscribe(port);
  await client.opened();
  const poll = fetch(`${url}/news?transport=long-polling&timeout=2s`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  backend.requests[0]?.emit(event("1", "1"));
  await client.received("data: 1\n\n");
  expect(client.text).toBe("id: 1\ndata: 1\n\n");
  expect(await (await poll).json()).toMatchObject({ events: [{ data: "1" }] });
});
