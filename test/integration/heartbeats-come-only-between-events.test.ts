import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openRelay } from "../support/relay.ts";

const BEAT = ":\n";
const quick = { stream: { heartbeat: "30ms" } };

test("a silent stream gets one comment line for each heartbeat", async () => {
  const { client } = await openRelay({ route: quick });
  await eventually(() => client.text.startsWith(BEAT.repeat(5)), "five comment lines");
  expect(client.text.replaceAll(BEAT, "")).toBe("");
});

for (const [name, open, close] of [
  ["LF", "data: 1\n", "\n"],
  ["CRLF", "data: 1\r\n", "\r\n"],
  ["CR", "data: 1\r", "\r"],
] as const) {
  test(`no heartbeat comes inside an event whose lines end with ${name}`, async () => {
    const { client, request } = await openRelay({ route: quick });
    request.emit(open);
    await eventually(() => client.text.endsWith(open), "the first line");
    // Silence of several heartbeat intervals inside an event: nothing may come.
    await delay(150);
    expect(client.text.endsWith(open)).toBe(true);
    request.emit(close);
    await eventually(() => client.text.includes(open + close + BEAT), "a heartbeat after the event");
  });
}

test("no heartbeat comes between a CR and its LF", async () => {
  const { client, request } = await openRelay({ route: quick });
  request.emit("data: 1\r\n\r");
  await eventually(() => client.text.endsWith("\r\n\r"), "the first CR");
  await delay(150);
  expect(client.text.endsWith("\r\n\r")).toBe(true);
  request.emit("\n");
  await eventually(() => client.text.includes("data: 1\r\n\r\n:\n"), "a heartbeat after the LF");
});

test("no heartbeat comes inside a line", async () => {
  const { client, request } = await openRelay({ route: quick });
  request.emit('data: {"half":');
  await client.received("half");
  await delay(150);
  expect(client.text.endsWith('data: {"half":')).toBe(true);
});

test("a comment of the backend begins no event, so heartbeats follow it", async () => {
  // Other servers send `:` and a line end as their prelude and may then be silent for minutes.
  const { client, request } = await openRelay({ route: quick });
  request.emit(": hello\n");
  await eventually(() => client.text.includes(`: hello\n${BEAT.repeat(2)}`), "heartbeats after the comment");
});

test("traffic delays the heartbeat", async () => {
  const { client, request } = await openRelay({ route: { stream: { heartbeat: "1500ms" } } });
  // Longer than a heartbeat, which is longer than a busy machine stands still.
  for (let n = 0; n < 30; n++) {
    request.emit(`data: ${n}\n\n`);
    await delay(65);
  }
  await client.received("data: 29\n\n");
  expect(client.text.slice(2)).not.toContain(":\ndata");
  expect(client.text.split("\n").filter((line) => line === ":")).toHaveLength(1);
});

test("heartbeat: off sends none", async () => {
  const { client } = await openRelay({ route: { stream: { heartbeat: "off" } } });
  const control = await openRelay({ route: quick });
  await eventually(() => control.client.text.length >= 2 * 5, "heartbeats on the other stream");
  expect(client.text).toBe(BEAT);
});

test("a byte order mark that comes after a heartbeat is removed", async () => {
  const { client, request } = await openRelay({ route: { stream: { heartbeat: "30ms", prelude: false } } });
  await client.received(BEAT);
  request.emit("\ufeffdata: 1\n\n");
  await client.received("data: 1\n\n");
  expect(client.text).not.toContain("\ufeff");
});

test("media types other than text/event-stream get no comment lines", async () => {
  const contentTypes = ["text/event-stream", "application/x-ndjson"];
  const { client, request } = await openRelay({
    route: { stream: { heartbeat: "30ms", padding: "1k", retry: "1s", contentTypes } },
    fields: { "Content-Type": "application/x-ndjson" },
  });
  request.emit('{"n":1}\n');
  await client.received('{"n":1}\n');
  await delay(150);
  request.emit('{"n":2}\n');
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe('{"n":1}\n{"n":2}\n');
});
