import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import {
  ACK,
  CODE,
  END_HEADERS,
  END_STREAM,
  FRAME,
  type FrameClient,
  frame,
  get,
  hpack,
  openFrames,
  uint32,
} from "../support/http2-frames.ts";

const HEAD = hpack(get());
const open = (stream: number) => frame(FRAME.headers, END_HEADERS | END_STREAM, stream, HEAD);
const reset = (stream: number, code: number = CODE.cancel) => frame(FRAME.reset, 0, stream, uint32(code));

/** The codes of a client's reset, and one that RFC 9113 does not define. */
const ANY_CODE = [
  ["NO_ERROR", CODE.none],
  ["CANCEL", CODE.cancel],
  ["REFUSED_STREAM", CODE.refused],
  ["a code of its own", 0xfeed],
] as const;

/** The interval of pings, for attacks that the pings end. */
const QUICK = "500ms";

/**
 * Runs an attack beside a stream of another client, which must get its next event. A flood may block this process for
 * long, so the other client has enough time for its pings.
 */
async function attack(
  run: (client: FrameClient, gateway: GatewayFixture) => Promise<void>,
  pingInterval = "1s",
) {
  const backend = await startBackend((request) => {
    if (request.target === "/probe") request.openStream();
  });
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { pingInterval } });
  const probe = (await openHttp2(gateway.port)).request({ ":path": "/probe", accept: "text/event-stream" });
  await probe.received(":\n");
  const client = await openFrames(gateway.port);
  const startedAt = performance.now();
  await run(client, gateway);
  const ms = performance.now() - startedAt;
  backend.requests[0]?.emit("data: alive\n\n");
  await probe.received("data: alive\n\n");
  expect(backend.openConnections).toBeLessThanOrEqual(101);
  return { backend, gateway, client, ms, dials: backend.requests.length - 1 };
}

const ROUNDS = 2000;

/** Sends until the connection ends, as fast as the other end reads. */
async function flood(client: FrameClient, piece: (round: number) => Buffer, rounds = ROUNDS): Promise<void> {
  for (let round = 0; round < rounds && !client.isClosed; round++) {
    if (client.socket.write(piece(round))) continue;
    await eventually(() => client.isClosed || client.socket.writableLength === 0, "the socket to drain");
  }
}

/** A stream that is older than a second, in ms, is not counted; with a margin for its way to the gateway. */
const YOUNG_MS = 800;

/** Opens streams one after the other until the connection ends, each ended before the next by `end`. */
async function endEach(client: FrameClient, begin: Frames, end: Frames): Promise<{ readonly late: number }> {
  let late = 0;
  for (let stream = 1; !client.isClosed && stream < ROUNDS; stream += 2) {
    const startedAt = performance.now();
    client.send(begin(stream));
    await new Promise((resolve) => setTimeout(resolve, 3));
    client.send(end(stream));
    if (performance.now() - startedAt > YOUNG_MS) late++;
  }
  await client.closed();
  return { late };
}

type Frames = (stream: number) => Buffer;

/** Returns how many streams may reach the backend: the gateway counts none that a slow machine has made old. */
const mostDials = (late: number, ms: number): number => (100 + 2 * late) * (1 + Math.floor(ms / 10_000));

test.each(ANY_CODE)(
  "requests reset in the same packet with %s dial no backend and end the connection",
  async (_, code) => {
    const { dials, gateway, client } = await attack(async (client) => {
      await flood(client, (round) => {
        const pairs = Array.from({ length: 50 }, (_, at) => (round * 50 + at) * 2 + 1);
        return Buffer.concat(pairs.flatMap((stream) => [open(stream), reset(stream, code)]));
      });
      await client.closed();
    });
    expect(dials).toBe(0);
    expect(client.goawayCode()).toBe(CODE.calm);
    // One log line for each request that was read: at most as many requests as the bound allows.
    expect(gateway.requestLines().length).toBeLessThanOrEqual(101);
  },
);

test.each(ANY_CODE)(
  "requests reset with %s after they were forwarded dial at most http2.maxResets times",
  async (_, code) => {
    let late = 0;
    const { dials, backend, ms } = await attack(async (client) => {
      ({ late } = await endEach(client, open, (stream) => reset(stream, code)));
    });
    expect(dials).toBeLessThanOrEqual(mostDials(late, ms));
    await eventually(
      () => backend.openConnections === 1,
      "all backend connections except the probe's to close",
    );
  },
);

test("a client that resets many streams over a longer time may continue", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxResets: 2 } });
  const client = await openHttp2(gateway.port);
  const streams = Array.from({ length: 20 }, () => client.request());
  await Promise.all(streams.map((stream) => stream.received(":\n")));
  await new Promise((resolve) => setTimeout(resolve, 1100));
  for (const { stream } of streams) stream.close(CODE.cancel);
  await Promise.all(streams.map((stream) => stream.closed()));
  await client.request().received(":\n");
});

test("a client may send many requests that get responses, even before their bodies are complete", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxResets: 2 } });
  const client = await openHttp2(gateway.port);
  for (let round = 0; round < 10; round++) {
    expect(await client.request().closed()).toBe(0);
    // The rest of a body is declined with NO_ERROR (RFC 9113 section 8.1).
    expect(await client.request({ ":method": "POST" }, { endStream: false }).closed()).toBe(0);
  }
});

const post = (stream: number) =>
  frame(FRAME.headers, END_HEADERS, stream, hpack([[":method", "POST"], ...get().slice(1)]));
const late = (fields: [string, string][]) => (stream: number) =>
  frame(FRAME.headers, END_HEADERS | END_STREAM, stream, hpack(fields));

test.each([
  ["an increment of 0", open, (stream: number) => frame(FRAME.windowUpdate, 0, stream, uint32(0))],
  [
    "a window beyond 2^31",
    open,
    (stream: number) => frame(FRAME.windowUpdate, 0, stream, uint32(0x7fffffff)),
  ],
  ["a pseudo-field among the trailers", post, late([[":path", "/"]])],
  [
    "trailers that go on",
    post,
    (stream: number) => frame(FRAME.headers, END_HEADERS, stream, hpack([["x-a", "1"]])),
  ],
  [
    "a priority of its own",
    open,
    (stream: number) => frame(FRAME.priority, 0, stream, Buffer.concat([uint32(stream), Buffer.from([1])])),
  ],
  ["a second end", open, (stream: number) => frame(FRAME.data, END_STREAM, stream, Buffer.from("x"))],
])(
  "resets that the client provokes (MadeYouReset) with %s count as the client's resets",
  async (_, begin, provoke) => {
    let late = 0;
    const { dials, ms } = await attack(async (client) => {
      ({ late } = await endEach(client, begin, provoke));
    });
    expect(dials).toBeLessThanOrEqual(mostDials(late, ms));
  },
);

test("a head without end, in CONTINUATION after CONTINUATION, ends the connection", async () => {
  const { client, dials } = await attack(async (client) => {
    client.send(frame(FRAME.headers, END_STREAM, 1, HEAD));
    const more = frame(FRAME.continuation, 0, 1, hpack([["x-a", "b".repeat(4000)]]));
    await flood(client, () => more);
    await client.closed();
  });
  expect(client.isClosed).toBe(true);
  expect(dials).toBe(0);
});

test("empty CONTINUATION frames end the connection", async () => {
  await attack(async (client) => {
    client.send(frame(FRAME.headers, END_STREAM, 1, HEAD));
    await flood(client, () => Buffer.concat(Array(100).fill(frame(FRAME.continuation, 0, 1))));
    await client.closed();
  });
});

test("pings whose acknowledgements are not read end the connection", async () => {
  await attack(async (client) => {
    client.socket.pause();
    const pings = Buffer.concat(Array(500).fill(frame(FRAME.ping, 0, 0, Buffer.alloc(8))));
    await flood(client, () => pings, 5000);
    client.socket.resume();
    await client.closed();
  });
});

test("settings whose acknowledgements are not read end the connection", async () => {
  await attack(async (client) => {
    client.socket.pause();
    const settings = Buffer.concat(Array(500).fill(frame(FRAME.settings, 0, 0)));
    await flood(client, () => settings, 5000);
    client.socket.resume();
    await client.closed();
  });
});

test("empty DATA frames end the connection", async () => {
  await attack(async (client) => {
    client.send(frame(FRAME.headers, END_HEADERS, 1, hpack([[":method", "POST"], ...get().slice(1)])));
    await flood(client, () => Buffer.concat(Array(100).fill(frame(FRAME.data, 0, 1))));
    await client.closed();
  });
});

test("obsolete PRIORITY frames do no harm", async () => {
  await attack(async (client) => {
    const priority = (stream: number) => frame(FRAME.priority, 0, stream, Buffer.from([0, 0, 0, 0, 16]));
    await flood(
      client,
      (round) => Buffer.concat(Array.from({ length: 100 }, (_, at) => priority((round * 100 + at) * 2 + 1))),
      200,
    );
  });
});

test.each([
  ["beyond 2^31 on the connection", [frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff))], CODE.flowControl],
  ["of nothing on the connection", [frame(FRAME.windowUpdate, 0, 0, uint32(0))], CODE.protocol],
])("a window %s ends the connection", async (_, frames, code) => {
  const { client } = await attack(async (client) => {
    client.send(...frames);
    await client.closed();
  });
  // Node sends INTERNAL_ERROR instead of nghttp2's own code.
  expect([code, CODE.internal]).toContain(client.goawayCode());
});

test("a window beyond 2^31 on a stream ends it", async () => {
  const { client } = await attack(async (client) => {
    client.send(open(1));
    client.send(frame(FRAME.windowUpdate, 0, 1, uint32(0x7fffffff)));
    await client.settled(1);
  });
  expect(client.isClosed || client.resetCode(1) === CODE.flowControl).toBe(true);
});

test("a head that grows when decoded (HPACK bomb) resets its stream and is not forwarded", async () => {
  const { client, dials } = await attack(async (client) => {
    // One field of 4000 bytes in the table, then one byte per further copy.
    const value = Buffer.concat([
      Buffer.from([0x40, 3]),
      Buffer.from("x-a"),
      Buffer.from([0x7f, 0xa1, 0x1e]),
    ]);
    const bomb = Buffer.concat([HEAD, value, Buffer.alloc(4000, "b"), Buffer.alloc(4000, 0xbe)]);
    client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, bomb));
    await client.settled(1);
  });
  expect(dials).toBe(0);
  expect(client.resetCode(1) ?? client.goawayCode()).toBe(CODE.calm);
});

test("a malformed head (CVE-2025-59465) ends only that connection", async () => {
  const { client } = await attack(async (client) => {
    client.send(
      frame(FRAME.headers, END_HEADERS | END_STREAM, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    );
    await client.closed();
  }, QUICK);
  expect(client.isClosed).toBe(true);
});

test.each([
  ["a GOAWAY with an error", [frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(CODE.internal)]))]],
  ["a reply to no PING", [frame(FRAME.ping, ACK, 0, Buffer.alloc(8))]],
  ["too many resets", Array.from({ length: 101 }, (_, at) => [open(at * 2 + 1), reset(at * 2 + 1)]).flat()],
])("a body in one packet with %s, which ends the connection, ends only that", async (_, frames) => {
  const { client, dials } = await attack(async (client) => {
    await eventually(() => client.of(FRAME.settings).length > 1, "the settings to be acknowledged");
    client.send(...frames, post(301), frame(FRAME.data, 0, 301, Buffer.from("x")));
    await client.closed();
  }, QUICK);
  expect(client.isClosed).toBe(true);
  expect(dials).toBe(0);
});

test.each([
  ["on stream 0", frame(FRAME.data, 0, 0, Buffer.from("x"))],
  ["longer than it may be", frame(FRAME.data, 0, 1, Buffer.alloc(20_000))],
  ["of settings with half an entry", frame(FRAME.settings, 0, 0, Buffer.alloc(3))],
  ["of an acknowledgement with a payload", frame(FRAME.settings, ACK, 0, Buffer.alloc(6))],
  ["of a push, which only servers send", frame(5, END_HEADERS, 1, uint32(2))],
  ["that is not HTTP/2", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
])("a frame %s ends only that connection", async (_, bytes) => {
  const { client } = await attack(async (client) => {
    client.send(bytes);
    await client.closed();
  }, QUICK);
  expect(client.isClosed).toBe(true);
});

test.each([
  ["a frame on stream 0", frame(FRAME.data, 0, 0, Buffer.from("x"))],
  ["a frame longer than it may be", frame(FRAME.data, 0, 1, Buffer.alloc(20_000))],
  ["a window of nothing", frame(FRAME.windowUpdate, 0, 0, uint32(0))],
  ["bytes that are not HTTP/2", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
])("requests in one packet with %s, a connection error, end only that connection", async (_, bytes) => {
  const { client } = await attack(async (client) => {
    await eventually(() => client.of(FRAME.settings).length > 1, "the settings to be acknowledged");
    client.send(Buffer.concat([open(1), open(3), open(5), bytes]));
    await client.closed();
  }, QUICK);
  expect(client.isClosed).toBe(true);
});

test("a connection that is reset in the middle of an attack causes no error", async () => {
  const { backend } = await attack(async (client) => {
    client.send(...Array.from({ length: 50 }, (_, at) => open(at * 2 + 1)));
    await eventually(() => client.of(FRAME.settings).length > 1, "the settings to be acknowledged");
    client.tcp.resetAndDestroy();
    await client.closed();
  });
  await eventually(() => backend.openConnections === 1, "every backend connection but the probe's to close");
});
