import { createParser } from "eventsource-parser";
import { expect, test } from "vitest";
import { openRelay } from "../support/relay.ts";

test("retry is sent first, as a field that dispatches nothing", async () => {
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
