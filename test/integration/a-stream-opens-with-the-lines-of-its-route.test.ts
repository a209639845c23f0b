import { createParser } from "eventsource-parser";
import { expect, test } from "vitest";
import { chunkOf, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { openRelay } from "../support/relay.ts";

test("retry is sent first, as a field that dispatches no event", async () => {
  const { client, request } = await openRelay({ route: { stream: { retry: "3s" } } });
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  const retries: number[] = [];
  const events: string[] = [];
  createParser({
    onRetry: (ms) => retries.push(ms),
    onEvent: ({ data }) => events.push(data),
  }).feed(client.text);
  expect(retries).toEqual([3000]);
  expect(events).toEqual(["1"]);
});

test("padding is one comment line of at least that many bytes", async () => {
  const { client, request } = await openRelay({ route: { stream: { padding: "2k" } } });
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  const opening = client.text.slice(0, client.text.indexOf("data"));
  expect(opening.length).toBeGreaterThanOrEqual(2048);
  expect(opening.split("\n").every((line) => line === "" || line.startsWith(":"))).toBe(true);
  expect(opening).toMatch(/(^|\n):[^\n]{2040,}\n/);
});

test("the opening lines are sent in one write with an event that came with the backend's head", async () => {
  const event = chunkOf("data: 1\n\n").toString();
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  const backend = await startBackend((request) => request.send(head + event));
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => client.text.includes("data: 1"), "the event");
  expect(client.text.split("\r\n\r\n")[1]).toBe(chunkOf(":\ndata: 1\n\n").toString());
});
