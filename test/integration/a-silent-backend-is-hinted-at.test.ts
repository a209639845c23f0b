import { performance } from "node:perf_hooks";
import { expect, test, vi } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startSharing, streaming, subscribe } from "../support/shared.ts";
import { openStream } from "../support/sse-client.ts";

const TEN_MINUTES_MS = 600_000;
const QUICK = { heartbeat: "50ms" };

/** Moves the clock by which silence is measured; timers go on as before. */
function passTenMinutes(): void {
  const now = performance.now.bind(performance);
  const moved = vi.spyOn(performance, "now").mockImplementation(() => now() + TEN_MINUTES_MS);
  afterTest(() => void moved.mockRestore());
}

const hints = ({ log }: GatewayFixture) => log.filter(({ msg }) => msg.includes("nothing but heartbeats"));

test("a relayed stream with nothing but heartbeats is hinted at once", async () => {
  const backend = await startBackend(streaming("data: 1\n\n"));
  const gateway = await startGatewayTo(backend.url, { stream: QUICK });
  const client = openStream(gateway.port, {});
  await client.received("data: 1\n\n:\n");
  expect(hints(gateway)).toEqual([]);
  passTenMinutes();
  await eventually(() => hints(gateway).length > 0, "the hint");
  await client.received(":\n".repeat(8));
  expect(hints(gateway)).toMatchObject([{ level: 40, route: "main", backend: backend.url }]);
  expect(hints(gateway)[0]?.msg).toContain("stream.idleTimeout");
});

test("a shared stream is hinted at once, for all its clients", async () => {
  const backend = await startBackend(streaming("data: 1\n\n"));
  const gateway = await startSharing(backend.url, {}, { stream: QUICK });
  const clients = [subscribe(gateway.port), subscribe(gateway.port)];
  for (const client of clients) await client.received(":\n:\n");
  expect(hints(gateway)).toEqual([]);
  passTenMinutes();
  await eventually(() => hints(gateway).length > 0, "the hint");
  for (const client of clients) await client.received(":\n".repeat(12));
  expect(hints(gateway)).toMatchObject([{ level: 40, route: "main" }]);
});

test("a shared stream without clients is not hinted at", async () => {
  const backend = await startBackend(streaming("data: 1\n\n"));
  const gateway = await startSharing(backend.url, { linger: "1m" }, { stream: QUICK });
  const client = subscribe(gateway.port);
  await client.received("data: 1");
  client.leave();
  await gateway.requestLine();
  passTenMinutes();
  // Heartbeats that a later stream gets show that those of the first one have come as well.
  const other = subscribe(gateway.port, "/other");
  await other.received(":\n".repeat(3));
  expect(hints(gateway).filter(({ channel }) => channel !== undefined)).toEqual([]);
});
