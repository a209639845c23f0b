import { hostname } from "node:os";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { version } from "../../src/base/version.ts";
import { Capacity } from "../../src/limits/capacity.ts";
import { startWithAdmin } from "../support/admin.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { breaks } from "../support/breaks.ts";
import { launchChromium } from "../support/chromium.ts";
import { openDashboard, shows, textOf } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const levelOf = (page: Page) => page.locator("#health").getAttribute("data-level");

/** The texts of the problems, without the durations. */
const problemsOf = async (page: Page): Promise<string> =>
  (await page.locator("#troubles > li").allTextContents()).join("\n");

test("the page says whether the gateway is well, and if not, what is wrong, since when and why", async () => {
  const redis = await startRedis();
  const backend = await startBackend((request) => {
    if (request.target === "/chat/hello") request.respond(200, {}, "hello");
    else request.openStream();
  });
  const dead = `http://127.0.0.1:${await refusedPort()}`;
  const setup = {
    routes: {
      chat: {
        match: { path: "/chat/*" },
        upstream: backend.url,
        limits: { rate: { requests: 3, per: "1h", by: "ip" } },
      },
      shared: { match: { path: "/shared" }, upstream: backend.url, shared: {} },
      dead: { match: { path: "/dead" }, upstream: dead },
      pool: {
        match: { path: "/pool" },
        upstream: { backends: [{ url: dead, maxFails: 1, weight: 9 }, { url: backend.url }] },
      },
    },
    server: { redis: { url: redis.url } },
  };
  const gateway = await startWithAdmin(setup);
  const { page, complaints } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#health-title", /^All is well$/);
  expect(await levelOf(page)).toBe("good");
  expect(await page.title()).toBe("sluice");
  expect(await textOf(page, "#fact-version")).toBe(version());
  expect(await textOf(page, "#fact-host")).toBe(hostname());
  await shows(page, "#fact-uptime", /^\d+ s$/);

  // Refused and failed requests, by route and reason.
  for (let at = 0; at < 4; at++) await fetch(`${gateway.url}/chat/hello`);
  await fetch(`${gateway.url}/nothing`);
  await shows(page, "#tile-refused", /^2$/);
  await shows(page, "#failures", /chatrate limited42911/);
  await shows(page, "#failures", /–no route40411/);
  expect(await textOf(page, "#health-title")).toBe("All is well");
  await fetch(`${gateway.url}/dead`);
  openStream(gateway.port, { path: "/pool" });
  await shows(page, "#tile-failed", /^1$/);
  await shows(page, "#failures", /deadbackend connect failed50211/);

  // Backends that are out: why, since when, and whether the route has another one.
  await shows(page, "#health-title", /^Ready, with 3 problems$/);
  expect(await levelOf(page)).toBe("bad");
  expect(await page.title()).toBe("(3) sluice");
  const since = String.raw`since \d\d:\d\d:\d\d\d+ s`;
  const problems = await problemsOf(page);
  expect(problems).toMatch(
    new RegExp(
      `^Backend ${dead} fails${since}Route dead, which has no other backend that works · .*ECONNREFUSED`,
    ),
  );
  expect(problems).toMatch(
    new RegExp(`Backend ${dead} fails${since}Route pool · .*ECONNREFUSED.* · gets no requests`),
  );
  expect(problems).toContain("1 request failed in the last five minutes");
  await shows(page, "#backends tr:first-child", /deadfailing\d+ s: .*ECONNREFUSED/);
  await shows(page, "#backends tr:nth-child(2)", /poolfailing, out\d+ s: .*ECONNREFUSED/);
  await shows(page, "#tile-backends", /^3\/5$/);

  // A rejected reload, with its problem.
  const taken = new URL(backend.url).host;
  await expect(gateway.reload({ ...setup, server: { ...setup.server, listen: taken } })).rejects.toThrow();
  await shows(
    page,
    "#troubles",
    /The last reload was rejectedsince .*The previous configuration stays in force/,
  );
  expect(await problemsOf(page)).toContain("EADDRINUSE");
  await shows(page, "#fact-reloads", /^0, 1 rejected$/);
  await gateway.reload(setup);
  await shows(page, "#fact-reloads", /^1, 1 rejected$/);
  expect(await problemsOf(page)).not.toContain("reload");

  // An internal error, Redis away, and a drain.
  breaks(Capacity.prototype, "takeStream");
  await openStream(gateway.port, { path: "/pool", headers: EVENT_SOURCE }).opened();
  await shows(page, "#troubles", /1 internal error since the startlast at .* ago.*internal_error/);
  const reader = openStream(gateway.port, { path: "/shared", headers: EVENT_SOURCE });
  const shared = await eventually(
    () => backend.requests.find(({ target }) => target === "/shared"),
    "the shared stream",
  );
  shared?.emit("data: one\n\n");
  await reader.received("data: one");
  await redis.kill();
  shared?.emit("data: two\n\n");
  await shows(page, "#troubles", /Redis is awaysince/);
  const drained = gateway.drain();
  await shows(page, "#troubles", /^The gateway is drainingsince/);
  expect(await textOf(page, "#health-title")).toBe("Not ready: no new traffic should come here");
  await gateway.close();
  await drained;
  await shows(page, "#state", /^connection lost, trying again$/);
  expect(complaints.filter((text) => !text.includes("net::ERR"))).toEqual([]);
});

test("each kind of problem has its words, and a screen reader hears only of changes", async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: { chat: { match: { path: "/chat" }, upstream: backend.url } },
  });
  const { page, complaints } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#health-title", /^All is well$/);
  const told = await page.evaluate<Record<string, string>>(`(async () => {
    const { showHealth } = await import("/page/health.js");
    const never = { count: 0, lastAt: 0 };
    const at = Date.now();
    const well = {
      at,
      isReady: true,
      obstacles: [],
      workers: null,
      backends: [],
      reloads: { succeeded: 0, failed: 0, last: null },
      failureSums: { refused: 0, failed: 0 },
      failures: [],
      incidents: { internal_error: never, stall: never, worker_died: never },
    };
    const told = {};
    const show = (name, changes) => {
      showHealth({ ...well, ...changes });
      told[name] = document.querySelector("#health").innerText.replace(/\\s+/g, " ");
    };
    const obstacle = (name) => ({ isReady: false, obstacles: [{ obstacle: name, since: at - 65000 }] });
    show("files", obstacle("out_of_files"));
    show("memory", obstacle("out_of_memory"));
    show("start", obstacle("starting"));
    show("workers", { workers: { serving: 1, wanted: 2 } });
    show("died", { incidents: { ...well.incidents, worker_died: { count: 2, lastAt: at - 5000 } } });
    show("stall", { incidents: { ...well.incidents, stall: { count: 1, lastAt: at - 5000 } } });
    show("old", { incidents: { ...well.incidents, stall: { count: 1, lastAt: at - 7200000 } } });
    const bad = { route: "chat", state: "unhealthy", failing: { reason: "status 503", since: at }, isOut: true };
    show("checks", { backends: Array.from({ length: 20 }, (_, at) => ({ ...bad, backend: "http://b" + at })) });
    return told;
  })()`);
  expect(told["files"]).toMatch(/Not ready.*No file can be opened.*since .*1 m 05 s.*Raise the limit/);
  expect(told["memory"]).toMatch(/The heap is nearly full.*Further streams are refused/);
  expect(told["start"]).toMatch(/The gateway is starting/);
  expect(told["workers"]).toMatch(/Ready, with 1 problem 1 of 2 workers serves/);
  expect(told["died"]).toMatch(/2 replaced workers since the start.*5 s ago/);
  expect(told["stall"]).toMatch(/1 stall of the event loop since the start/);
  expect(told["old"]).toMatch(/^All is well/);
  // Not more than fit on a screen; the first ones are the worst.
  expect(told["checks"]).toMatch(/Ready, with 20 problems The 8 worst are listed; 12 more are in the tables/);
  expect(told["checks"]?.match(/is unhealthy/g)).toHaveLength(8);

  expect(await page.locator("#health [role=status] #troubles").count()).toBe(1);
  await fetch(`${gateway.url}/nothing`);
  await shows(page, "#health-title", /^All is well$/);
  const changes = await page.evaluate<string[]>(`(async () => {
    const changes = [];
    const region = document.querySelector("#health [role=status]");
    new MutationObserver((records) => {
      for (const { target } of records)
        if (!target.parentElement?.closest("[aria-hidden=true]")) changes.push(target.textContent);
    }).observe(region, { subtree: true, childList: true, characterData: true });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    return changes;
  })()`);
  expect(changes).toEqual([]);
  expect(complaints).toEqual([]);
});
