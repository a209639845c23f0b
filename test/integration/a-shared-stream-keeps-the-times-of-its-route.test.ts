import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, startSharing, streaming, subscribe } from "../support/shared.ts";

test("it opens with the lines of its route, and gets heartbeats when silent", async () => {
  const backend = await startBackend(streaming());
  const { port } = await startSharing(
    backend.url,
    {},
    { stream: { heartbeat: "50ms", padding: 16, retry: "5s" } },
  );
  const client = subscribe(port);
  await client.received(":\n:              \nretry: 5000\n\n:\n:\n");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.field("cache-control")).toBe("no-cache, no-transform");
});

test("an event resets the heartbeat for all clients", async () => {
  const backend = await startBackend();
  // Longer than a busy machine stands still, during which this process sends nothing.
  const { port } = await startSharing(backend.url, {}, { stream: { heartbeat: "1500ms", prelude: false } });
  const client = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  const begun = performance.now();
  for (let n = 0; performance.now() - begun < 2_200; n++) {
    request.emit(event(String(n)));
    await client.received(`data: ${n}\n\n`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  expect(client.text).not.toContain(":\n:");
  expect(client.text).not.toMatch(/^:$/m);
});

test("the backend's reconnection time reaches connected and later clients, once each", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, {}, { stream: { prelude: false } });
  const client = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  request.emit(`retry: 2500\n\n${event("1")}`);
  await client.received("data: 1\n\n");
  await client.received("retry: 2500\n\n");
  const late = subscribe(port);
  await late.received("retry: 2500\n\n");
  request.emit(`retry: 2500\n\n${event("2")}`);
  await late.received("data: 2\n\n");
  expect(late.text.match(/retry/g)).toHaveLength(1);
});

test("maxDuration ends each client between two events, and the stream goes on", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, {}, { stream: { maxDuration: "1500ms" } });
  const client = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(event("1", "1"));
  expect(await client.ended()).toBe("clean");
  const next = subscribe(port, "/news", "1");
  await next.opened();
  request.emit(event("2", "2"));
  await next.received("data: 2\n\n");
  expect(dataOf(next)).toEqual(["2"]);
  expect(backend.requests).toHaveLength(1);
});

test("closing the gateway ends every client cleanly, and the backend request", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(backend.url);
  const clients = Array.from({ length: 20 }, () => subscribe(gateway.port));
  const request = await backend.nextRequest();
  request.openStream();
  for (const client of clients) await client.opened();
  await gateway.close();
  for (const client of clients) expect(await client.ended()).toBe("clean");
  await eventually(() => !request.connection.isOpen, "the end of the backend request");
  expect(new Set(gateway.requestLines().map(({ endReason }) => endReason))).toEqual(new Set(["drained"]));
});

test("each client logs one line when its stream opens and one at its end, and the channel two", async () => {
  const backend = await startBackend(streaming(event("1")));
  const gateway = await startSharing(backend.url, { linger: "20ms" });
  const clients = [subscribe(gateway.port), subscribe(gateway.port)];
  for (const client of clients) await client.opened();
  for (const client of clients) client.leave();
  const lines = (msg: string) => gateway.log.filter((line) => line.msg === msg);
  await eventually(() => lines("shared stream closed").length === 1, "the channel's last line");
  expect(lines("shared stream opened")).toHaveLength(1);
  expect(lines("stream opened")).toHaveLength(2);
  expect(gateway.requestLines()).toHaveLength(2);
  expect(gateway.requestLines()[0]).toMatchObject({ endReason: "client_gone", status: 499, route: "main" });
});

test("a shared stream is parsed as WHATWG says: any line ends, a mark, comments and unknown fields", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, { ids: "never" }, { stream: { prelude: false } });
  const client = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  const sent = [
    "\uFEFFdata: a\r\n\r\n",
    ": of the backend\n\n",
    "data: b\r\r",
    "retry: soon\ndata: c\n\n",
    "id: 7\n\n",
    "data\n\n",
    "data: d\n\n",
  ];
  for (const part of sent) request.emit(part);
  await client.received("data: d\n\n");
  expect(client.text).toBe("data: a\r\n\r\ndata: b\r\rretry: soon\ndata: c\n\nid: 7\n\ndata\n\ndata: d\n\n");
});
