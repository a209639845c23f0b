import { expect, test } from "vitest";
import { startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { startRedis } from "../../support/redis.ts";
import { event, startSharing, subscribe } from "../../support/shared.ts";

/** A backend status stays in Redis as long as the history does; a refusal holds only until its own time. */

test("after the time of a refusal, the first client has the backend asked again", async () => {
  const redis = await startRedis();
  const backend = await startBackend((request) => {
    if (backend.requests.length === 1) return request.respond(503);
    request.openStream();
    request.emit(event("well"));
  });
  const gateway = await startSharing(backend.url, {}, {}, { redis: { url: redis.url } });
  const refused = subscribe(gateway.port);
  await refused.ended();
  expect(refused.head?.status).toBe(503);
  const closed = () => gateway.log.some(({ msg }) => msg === "shared stream closed");
  await eventually(closed, "the end of the refusal");
  // The timer of that end may fire a millisecond before the wall clock shows the time of the refusal.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const next = subscribe(gateway.port);
  expect((await next.opened()).status).toBe(200);
  await next.received("data: well");
});

test.each([
  // The new response replaces the refusal and its time.
  { backend: "streams", streams: true, maxRetryAfter: "5m", retryAfter: 330 },
  { backend: "gives no answer", streams: false, maxRetryAfter: "100ms", retryAfter: 1 },
])(
  "a refusal without an end, written by another instance, holds no lease: the backend $backend",
  async (row) => {
    const redis = await startRedis();
    const backend = await startBackend((request) => {
      if (row.streams || backend.requests.length === 1) request.openStream();
    });
    const shared = {
      linger: "100ms",
      redial: { min: "20ms", max: "100ms", maxRetryAfter: row.maxRetryAfter },
    };
    const server = { redis: { url: redis.url, lease: "500ms", timeout: "500ms" } };
    const gateway = await startSharing(backend.url, shared, {}, server);
    const first = subscribe(gateway.port);
    await first.opened();
    first.leave();
    const closed = () => gateway.log.filter(({ msg }) => msg === "shared stream closed").length;
    await eventually(() => closed() === 1, "the end of the first channel");
    const [meta = ""] = await redis.client.keys("*:meta");
    const lease = meta.replace(/meta$/, "lease");
    const isFree = async () => (await redis.client.exists(lease)) === 0;
    await eventually(isFree, "the lease to be given up");
    // Another instance leads for a moment.
    const state = { is: "failed", status: 503, code: "backend_refused", fields: [], retryAt: 1e300 };
    const token = Number(await redis.client.hget(meta, "token")) + 1;
    await redis.client.set(lease, "other", "PX", 300);
    await redis.client.hset(meta, "token", String(token), "state", JSON.stringify(state));
    const late = subscribe(gateway.port);
    expect((await late.opened()).status).toBe(503);
    expect(Number(late.field("retry-after"))).toBe(row.retryAfter);
    await eventually(() => closed() === 2, "the end of the channel");
    await eventually(isFree, "the lease to be given up again");
  },
);
