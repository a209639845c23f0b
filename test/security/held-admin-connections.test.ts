import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import type { AdminView } from "../../src/admin/admin-view.ts";
import { AdminEvents } from "../../src/admin/events.ts";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { openCrowd } from "../support/admin-crowd.ts";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { serveWorkers } from "../support/workers.ts";

// 128 connections without a token took every place of the admin listener: an orchestrator whose probes fail restarts
// the gateway.

const TOKEN = "correct-horse-battery-staple";
const ROUTES = { main: { match: { path: "/*" }, mock: { status: 200 } } };
const AUTHORIZED = { headers: { Authorization: `Bearer ${TOKEN}` } };
const LONGER = { timeoutMs: 25_000 };

const start = (server: Readonly<Record<string, unknown>> = { adminToken: TOKEN }) =>
  startWithAdmin({ routes: ROUTES, server });

const head = (path: string, more = "", method = "GET") =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;
const BEARER = `Authorization: Bearer ${TOKEN}\r\n`;

describe.each([
  ["nothing", ""],
  ["a probe's request", head("/healthz")],
  ["a request without the token", head("/metrics")],
  ["half a head", "GET /metrics HTTP/1.1\r\nHo"],
  ["half a body", `${head("/sign-in", "Content-Length: 100\r\n", "POST")}token=`],
])("200 connections without the token that send %s", (_, bytes) => {
  test("do not take the places of probes and monitoring", async () => {
    const gateway = await start();
    const crowd = await openCrowd(gateway.adminUrl, 200, bytes);
    for (const path of ["/healthz", "/readyz"]) expect((await askAdmin(gateway, path)).status).toBe(200);
    expect((await askAdmin(gateway, "/metrics", AUTHORIZED)).status).toBe(200);
    await eventually(() => crowd.held <= 64, "the oldest to give way");
    expect(gateway.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });
});

test("a connection without the token is ended in time, whether idle or slow", async () => {
  const gateway = await start();
  const open = (bytes: string) => openCrowd(gateway.adminUrl, 3, bytes);
  const idle = [await open(""), await open(head("/healthz"))];
  const slow = [
    await open("GET /healthz HTTP/1.1\r\nX: "),
    await open(head("/sign-in", "Content-Length: 4000\r\n", "POST")),
  ];
  const timer = setInterval(() => {
    for (const { sockets } of slow) for (const socket of sockets) socket.write("x");
  }, 300);
  afterTest(() => clearInterval(timer));
  await eventually(() => [...idle, ...slow].every(({ held }) => held === 0), "the end of all", LONGER);
  expect(gateway.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
});

test("the response announces the idle time of the connection, which is longer with the token", async () => {
  const gateway = await start();
  const timeOf = async (ask: object, path = "/metrics") => {
    const [answer] = await openCrowd(gateway.adminUrl, 1, head(path, ask === AUTHORIZED ? BEARER : "")).then(
      async (crowd) => {
        await eventually(() => crowd.text.includes("\r\n\r\n"), "an answer");
        return [crowd.text];
      },
    );
    return /\r\nKeep-Alive: (.*)\r\n/i.exec(answer ?? "")?.[1];
  };
  expect([await timeOf({}), await timeOf({}, "/healthz"), await timeOf(AUTHORIZED)]).toEqual([
    "timeout=5",
    "timeout=5",
    "timeout=75",
  ]);
});

test("a scrape keeps its connection, and a dashboard its stream, whatever other clients do", async () => {
  const gateway = await start();
  const scrape = await openCrowd(gateway.adminUrl, 1, head("/metrics", BEARER));
  const dashboard = await openCrowd(gateway.adminUrl, 1, head("/api/events", BEARER));
  await eventually(() => dashboard.text.includes("event: overview"), "an overview");
  const strangers = await openCrowd(gateway.adminUrl, 200, head("/healthz"));
  await eventually(() => strangers.held === 0, "the end of the idle ones", LONGER);
  expect([scrape.held, dashboard.held]).toEqual([1, 1]);
  const others = await openCrowd(gateway.adminUrl, 200, head("/metrics", BEARER));
  await eventually(() => others.held <= 64, "the oldest to give way");
  await eventually(() => scrape.held === 0, "the oldest scrape to give way");
  expect(dashboard.held).toBe(1);
  expect((await askAdmin(gateway, "/healthz")).status).toBe(200);
});

test("without a token configured, other requests do not take the places of probes", async () => {
  const gateway = await start({});
  const crowd = await openCrowd(gateway.adminUrl, 200, head("/metrics"));
  await eventually(() => crowd.held <= 64, "the oldest to give way");
  for (const path of ["/healthz", "/readyz", "/metrics"])
    expect((await askAdmin(gateway, path)).status).toBe(200);
});

test("the primary's listener with workers behaves the same", async () => {
  const served = await serveWorkers({ routes: ROUTES, server: { adminToken: TOKEN } });
  const crowd = await openCrowd(served.admin, 200);
  for (const path of ["/healthz", "/readyz"]) expect((await fetch(served.admin + path)).status).toBe(200);
  expect((await fetch(`${served.admin}/metrics`, AUTHORIZED)).status).toBe(200);
  await eventually(() => crowd.held === 0, "the end of the idle ones", LONGER);
});

test("a dashboard that does not read for half a minute loses its place", async () => {
  const watchers = new Set<() => void>();
  let views = 0;
  const adminView = {
    samples: [],
    // It changes each time: what stays the same is not sent again.
    view: async () => ({ text: `${String(views++)}${"x".repeat(8_000_000)}` }),
    watch(callback: () => void) {
      watchers.add(callback);
      return () => watchers.delete(callback);
    },
  } as unknown as AdminView;
  const events = new AdminEvents(adminView, pino({ level: "silent" }));
  let dashboards = 0;
  const server = createServer((_request, response) => {
    dashboards++;
    response.once("close", () => {
      dashboards--;
    });
    events.open(response, {} as never);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close());
  afterTest(() => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const reading = await new Promise<IncomingMessage>((resolve) => void get({ port }, resolve));
  reading.resume();
  afterTest(() => void reading.destroy());
  let isGone = false;
  reading.once("close", () => {
    isGone = true;
  });
  const stalled = connect(port, "127.0.0.1", () => stalled.write(head("/")));
  stalled.pause();
  stalled.on("error", () => {});
  afterTest(() => void stalled.destroy());
  await eventually(() => dashboards === 2, "two dashboards");
  const tick = async () => {
    for (const callback of watchers) callback();
    await new Promise((resolve) => setTimeout(resolve, 200));
  };
  await tick();
  await tick();
  expect(dashboards).toBe(2);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + 31_000);
  afterTest(() => void vi.restoreAllMocks());
  await eventually(async () => {
    await tick();
    return dashboards === 1;
  }, "the stalled one to be ended");
  expect(isGone).toBe(false);
});
