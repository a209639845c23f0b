import { pino } from "pino";
import { expect, test } from "vitest";
import type { Release } from "../../src/base/release.ts";
import { RunningGateway } from "../../src/gateway/gateway.ts";
import { MemoryCounterStore } from "../../src/limits/memory-counter-store.ts";
import type { MemoryPlaces } from "../../src/limits/memory-places.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { inlineConfig, startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

// With workers a place is requested over IPC. Clients that left meanwhile left places taken, and backend streams that
// were read for ever without a client.

/** Counters that grant places when the test says so, like those of another process. */
class SlowCounters extends MemoryCounterStore {
  readonly asked: (() => void)[] = [];
  given = 0;
  returned = 0;

  override places(): MemoryPlaces {
    const take = () =>
      new Promise<Release>((resolve) => {
        this.asked.push(() => {
          this.given++;
          resolve(() => {
            this.returned++;
          });
        });
      });
    return { take } as unknown as MemoryPlaces;
  }
}

async function start(route: Readonly<Record<string, unknown>>) {
  const backend = await startBackend((request) => request.openStream());
  const counters = new SlowCounters(100);
  const config = inlineConfig({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, limits: { streams: 10 }, ...route } },
  });
  const gateway = new RunningGateway(config, pino({ level: "silent" }), counters);
  const [address] = await gateway.listen();
  afterTest(() => gateway.close({ now: true }));
  const port = Number(address?.split(":").at(-1));
  const giveWhenAsked = async () => {
    await eventually(() => counters.asked.length > 0, "a requested place");
    counters.asked.shift()?.();
  };
  return { backend, counters, port, giveWhenAsked };
}

test.each([
  ["before the dial", { Accept: "text/event-stream" }, {}, 0],
  ["after the head", {}, {}, 1],
  ["before a shared stream", { Accept: "text/event-stream" }, { shared: {} }, 0],
])(
  "a client that aborts while its place is counted %s leaves nothing behind",
  async (_, headers, route, dials) => {
    const { backend, counters, port, giveWhenAsked } = await start(route);
    const client = openStream(port, { headers });
    await eventually(() => counters.asked.length === 1, "the requested place");
    client.socket.destroy();
    // Gives the gateway time to notice the end.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await giveWhenAsked();
    await eventually(() => counters.returned === counters.given, "the released place");
    expect(backend.requests.length).toBe(dials);
    await eventually(() => backend.openConnections === 0, "the end of the backend's request");
  },
);

test("with onClientGone: drain the backend goes on, and its end releases the place", async () => {
  const { backend, counters, port, giveWhenAsked } = await start({ stream: { onClientGone: "drain" } });
  const client = openStream(port, {});
  await eventually(() => counters.asked.length === 1, "the requested place");
  client.socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await giveWhenAsked();
  backend.requests[0]?.emit("data: 1\n\n");
  expect(backend.openConnections).toBe(1);
  expect(counters.returned).toBe(0);
  backend.requests[0]?.endStream();
  await eventually(() => counters.returned === 1, "the released place");
});

test("with onClientGone: drain an invalid request body still cancels the backend's request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { stream: { onClientGone: "drain" } });
  const client = await openRaw(gateway.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await backend.nextRequest();
  client.send("ZZ\r\n");
  await client.received("HTTP/1.1 400");
  await eventually(() => backend.openConnections === 0, "the end of the backend's request");
});

test("with onClientGone: drain an ordinary response that sends nothing after its client has gone is aborted", async () => {
  const backend = await startBackend();
  const route = { stream: { onClientGone: "drain", idleTimeout: "1s" } };
  const gateway = await startGatewayTo(backend.url, route);
  const client = await openRaw(gateway.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const request = await backend.nextRequest();
  client.socket.destroy();
  await eventually(() => gateway.requestLines().length === 1, "the end of the client's request");
  request.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  await request.connection.closed;
});
