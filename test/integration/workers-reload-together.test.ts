import { createServer } from "node:http";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { openStream } from "../support/sse-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const saying = (body: string) => ({ match: { path: "/a" }, mock: { status: 200, body } });
const TICKS = { match: { path: "/s" }, mock: { events: [{ data: "x", after: "50ms" }], repeat: true } };

/** Returns the bodies of four connections in a row. */
async function bodies(url: string): Promise<string[]> {
  const texts = [];
  for (let n = 0; n < 4; n++) texts.push(await (await fetchOnce(`${url}/a`)).text());
  return texts;
}

const failures = 'sluice_config_reloads_total{result="failure"}';
const successes = 'sluice_config_reloads_total{result="success"}';

test("a reload changes all workers, their streams go on, and it counts once", async () => {
  const served = await serveWorkers({ routes: { a: saying("one"), ticks: TICKS } });
  const streams = [openStream(served.port, { path: "/s" }), openStream(served.port, { path: "/s" })];
  for (const stream of streams) await stream.received("data: x");
  served.write({ routes: { a: saying("two"), ticks: TICKS } });
  await eventually(async () => (await served.metrics()).get(successes) === 1, "a reload");
  expect(await bodies(served.url)).toEqual(["two", "two", "two", "two"]);
  const lengths = streams.map(({ body }) => body.length);
  await eventually(() => streams.every(({ body }, at) => body.length > (lengths[at] ?? 0)), "events");
  expect(streams.map(({ end }) => end)).toEqual([undefined, undefined]);
});

test("an address in use, or keys that one worker cannot fetch, leave all workers unchanged", async () => {
  // From the second request on the issuer replies with an error: one worker gets its keys, the other does not.
  let asked = 0;
  const issuer = createServer((_, response) => {
    asked++;
    response.writeHead(asked === 1 ? 200 : 500, { "Content-Type": "application/json" });
    response.end('{"keys":[]}');
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    issuer.closeAllConnections();
    issuer.close();
  });
  const { port: taken } = issuer.address() as { port: number };
  const served = await serveWorkers({ routes: { a: saying("one") } });
  const own = "127.0.0.1:0";
  served.write({ routes: { a: saying("two") }, server: { listen: [own, `127.0.0.1:${taken}`] } });
  await eventually(async () => (await served.metrics()).get(failures) === 1, "a failed reload");
  // The worker's answer may arrive before its log line, which takes another way.
  const rejected = () => served.lines("config rejected: the current one is kept");
  await eventually(() => rejected().length > 0, "its reason in the log");
  expect(rejected()).toEqual([
    expect.objectContaining({
      problems: [expect.stringContaining(`127.0.0.1:${taken}: the address is in use`)],
    }),
  ]);
  expect(await bodies(served.url)).toEqual(["one", "one", "one", "one"]);
  const jwt = { issuer: "https://issuer.test", audience: "a", jwks: `http://127.0.0.1:${taken}/keys` };
  served.write({
    routes: {
      a: saying("three"),
      b: { match: { path: "/b" }, mock: { status: 200, body: "b" }, auth: { jwt } },
    },
  });
  await eventually(async () => (await served.metrics()).get(failures) === 2, "another failed reload", {
    timeoutMs: 20_000,
  });
  expect(await bodies(served.url)).toEqual(["one", "one", "one", "one"]);
});

test("a replacement has the present configuration, with an address that a reload added", async () => {
  const free = await serveWorkers({ routes: { a: saying("one") } });
  free.sluice.kill("SIGTERM");
  await free.sluice.ended;
  const served = await serveWorkers({ routes: { a: saying("one") } });
  const listen = ["127.0.0.1:0", free.host];
  served.write({ routes: { a: saying("two") }, server: { listen } });
  await eventually(() => served.lines("reloaded").length === 2, "both reloaded");
  const [victim = 0] = served.pids();
  process.kill(victim, "SIGKILL");
  await served.restarted(1);
  expect(await bodies(served.url)).toEqual(["two", "two", "two", "two"]);
  expect(await bodies(free.url)).toEqual(["two", "two", "two", "two"]);
  // The address that the reload removed is free again.
  served.write({ routes: { a: saying("three") } });
  await eventually(() => served.lines("reloaded").length === 4, "both reloaded");
  expect(await bodies(served.url)).toEqual(["three", "three", "three", "three"]);
  await expect(fetchOnce(free.url)).rejects.toThrow();
});

test("workers share streams only through the redis that was configured at the start", async () => {
  const served = await serveWorkers({ routes: { a: saying("one") } });
  const upstream = "http://127.0.0.1:1";
  const shared = { match: { path: "/n" }, upstream, shared: {} };
  const kept = { match: { path: "/k" }, upstream, resume: { by: ["header:X-User"] } };
  served.write({
    routes: { a: saying("two"), n: shared, k: kept },
    server: { redis: "redis://127.0.0.1:1" },
  });
  const rejected = await served.sluice.logged("config rejected: the current one is kept");
  expect(rejected["problems"]).toEqual([
    expect.stringMatching(/routes\/k\.yaml resume: .*redis.*restart/),
    expect.stringMatching(/routes\/n\.yaml shared: .*redis.*restart/),
  ]);
  expect(await bodies(served.url)).toEqual(["one", "one", "one", "one"]);
});
