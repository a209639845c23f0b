import { expect, test } from "vitest";
import { openRelay } from "../support/relay.ts";

const BODIES: Record<string, Buffer> = {
  "LF, CR and CRLF line ends": Buffer.from("data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d\n\r\ndata: e\r\n\n"),
  "a NUL and control characters": Buffer.from("data: \0\x01\x7f\x1b[0m\n\nid: a\0b\n\n"),
  "bytes that are not UTF-8": Buffer.from([
    0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0xfe, 0xc3, 0x28, 0x80, 10, 10,
  ]),
  "a byte order mark inside": Buffer.from("data: 1\n\n\ufeffdata: 2\n\n"),
  "every byte": Buffer.from([...Array(256).keys(), 10, 10]),
  "comments and unknown fields": Buffer.from(": hello\n\nfoo: bar\nretry: x\nevent\n:\n:\n\n"),
  "an event without an end": Buffer.from("data: the rest is"),
  "nothing but empty lines": Buffer.from("\n\n\r\n\r\r\n"),
};

for (const [name, body] of Object.entries(BODIES)) {
  test(`a stream with ${name} is relayed byte for byte`, async () => {
    const { client, request } = await openRelay({ route: { stream: { heartbeat: "off" } } });
    request.emit(body);
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.body.subarray(2).equals(body)).toBe(true);
    expect(client.body.toString("latin1", 0, 2)).toBe(":\n");
  });
}

test("an event of 8 MiB is relayed byte for byte", async () => {
  const { client, request } = await openRelay();
  const event = Buffer.from(`data: ${"x".repeat(8 * 1024 ** 2)}\n\n`);
  request.emit(event);
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(client.body.subarray(2).equals(event)).toBe(true);
});

test("a byte order mark at the start is not placed after the comment line", async () => {
  // A decoder removes the mark only at the start; after a comment it would become part of the first field's name, and
  // the first event would be lost.
  const { client, request } = await openRelay();
  request.emit(Buffer.from([0xef]));
  request.emit(Buffer.from([0xbb, 0xbf, ...Buffer.from("data: 1\n\n")]));
  await client.received("data: 1\n\n");
  expect(client.text).toBe(":\ndata: 1\n\n");
});

test("a byte order mark is kept if no comment line precedes it", async () => {
  const { client, request } = await openRelay({ route: { stream: { prelude: false } } });
  request.emit(Buffer.from([0xef, 0xbb, 0xbf, ...Buffer.from("data: 1\n\n")]));
  await client.received("data: 1\n\n");
  expect(client.body.subarray(0, 4).equals(Buffer.from([0xef, 0xbb, 0xbf, 0x64]))).toBe(true);
});

test("the start of an incomplete byte order mark still arrives at the end", async () => {
  const { client, request } = await openRelay();
  request.emit(Buffer.from([0xef, 0xbb]));
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect([...client.body]).toEqual([0x3a, 0x0a, 0xef, 0xbb]);
});
