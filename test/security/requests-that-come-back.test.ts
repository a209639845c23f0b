import { describe, expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { rawRequest } from "../support/raw-client.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { serveWorkers } from "../support/workers.ts";

// One request to a gateway whose backend was the gateway itself opened 8,769 files in five seconds.

const LOOP = { error_code: "SLUICE.0020", error_msg: "The request came back to this gateway." };

/** Starts an nginx that forwards everything to `port`; `directives` are those of its location. */
const nginxTo = (port: number, directives = "", path = "", httpVersion: "1.0" | "1.1" = "1.1") =>
  startNginx({
    upstream: `127.0.0.1:${port}`,
    httpVersion,
    template: {
      text: `server { listen \${PLAIN_LISTEN}; location / { ${directives} proxy_pass http://\${SLUICE_UPSTREAM}${path}; } }`,
    },
  });

type NginxParts = [directives?: string, path?: string, httpVersion?: "1.0" | "1.1"];
type Keys = Readonly<Record<string, unknown>>;
type LoopCase = [name: string, route: Keys, server: Keys, ...nginx: NginxParts];

interface Loop {
  readonly gateway: GatewayFixture;
  /** A gateway whose backend is an nginx that forwards everything back to the gateway. */
  readonly way: TcpProxy;
}

async function startLoop(
  route: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
  ...nginx: NginxParts
): Promise<Loop> {
  const way = await startTcpProxy(0);
  const gateway = await startGatewayTo(`http://127.0.0.1:${way.port}`, route, server);
  way.target = (await nginxTo(gateway.port, ...nginx)).port;
  return { gateway, way };
}

const bytesOf = (method: string, path: string, fields = "", body = "") =>
  `${method} ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n${fields}\r\n${body}`;

const UPGRADE = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";

describe("a loop through nginx ends at the first return:", () => {
  test.each([
    ["GET", bytesOf("GET", "/x?a=1")],
    ["HEAD", bytesOf("HEAD", "/x")],
    ["POST with a body", bytesOf("POST", "/x", "Content-Length: 5\r\n", "hello")],
    ["POST in chunks", bytesOf("POST", "/x", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")],
    ["an event stream", bytesOf("GET", "/x", "Accept: text/event-stream\r\n")],
    ["percent-encoding", bytesOf("GET", "/%7Ex/%61%20b")],
    ["slashes", bytesOf("GET", "//x///y")],
    ["CDN-Loop as a connection option", bytesOf("GET", "/x", "").replace("close", "close, CDN-Loop")],
  ])("%s", async (_, bytes) => {
    const { gateway, way } = await startLoop();
    const response = await rawRequest(gateway.port, bytes);
    expect([response.status, way.connections]).toEqual([508, 1]);
    if (!bytes.startsWith("HEAD")) expect(response.text).toContain(JSON.stringify(LOOP).slice(1, -1));
    await eventually(() => gateway.requestLines().length === 2, "both lines");
    expect(gateway.requestLines()[0]).toMatchObject({
      status: 508,
      route: "main",
      err: { code: "loop_detected", message: "a backend of this route sent the request back" },
    });
  });

  test.each<LoopCase>([
    ["HTTP/1.0", {}, {}, "", "", "1.0"],
    ["a route that adds a prefix", { rewrite: { addPrefix: "/v1" } }, {}, "", ""],
    ["nginx that merges and decodes", {}, {}, "", "/"],
    ["a shared route", { shared: {} }, {}, "", ""],
    ["a shared route by path alone", { shared: { by: ["path"] } }, {}, "", ""],
    ["a route that removes CDN-Loop", { headers: { request: { remove: ["CDN-Loop"] } } }, {}, "", ""],
    ["a gateway that trusts nginx", {}, { trustedProxies: ["127.0.0.1"] }, "", ""],
    ["limits.passes of 1", {}, { limits: { passes: 1 } }, "", "/again/"],
  ])("%s", async (_, route, server, ...nginx) => {
    const { gateway, way } = await startLoop(route, server, ...nginx);
    const response = await rawRequest(
      gateway.port,
      bytesOf("GET", "//x/%61?b=1", "Accept: text/event-stream\r\n"),
    );
    expect([response.status, way.connections]).toEqual([508, 1]);
  });

  test("a WebSocket handshake", async () => {
    const { gateway, way } = await startLoop({ websocket: true }, {}, UPGRADE);
    const response = await rawRequest(gateway.port, handshake("/x"), { until: "}" });
    expect([response.status, way.connections]).toEqual([508, 1]);
  });

  test("a request over HTTP/2 that comes back over HTTP/1", async () => {
    const way = await startTcpProxy(0);
    const tls = await certificateFiles();
    const gateway = await startGatewayTo(
      `http://127.0.0.1:${way.port}`,
      {},
      { listen: ["127.0.0.1:0", { address: "127.0.0.1:0", tls }] },
    );
    way.target = (await nginxTo(gateway.port)).port;
    const client = await openHttp2(Number(gateway.addresses[1]?.split(":").at(-1)));
    const exchange = client.request({ ":path": "/x" });
    expect((await exchange.opened())[":status"]).toBe(508);
    expect(way.connections).toBe(1);
  });

  test("with workers, at any of them", async () => {
    const way = await startTcpProxy(0);
    const served = await serveWorkers({
      routes: { main: { match: { path: "/*" }, upstream: `http://127.0.0.1:${way.port}` } },
    });
    way.target = (await nginxTo(served.port)).port;
    for (let n = 1; n <= 4; n++) {
      expect((await rawRequest(served.port, bytesOf("GET", "/x"))).status).toBe(508);
      expect(served.lines("request").length).toBeLessThanOrEqual(2 * n);
    }
    expect(way.connections).toBeLessThanOrEqual(4);
  });

  test("a health check, which marks the backend unhealthy", async () => {
    // The checks fail until nginx has started; the last of the failures in a row gives the reason.
    const healthCheck = { path: "/healthz", interval: "50ms", unhealthy: 50 };
    const way = await startTcpProxy(0);
    const url = `http://127.0.0.1:${way.port}`;
    const gateway = await startGatewayTo("", { upstream: { backends: [{ url }], healthCheck } });
    way.target = (await nginxTo(gateway.port)).port;
    await eventually(
      () => gateway.log.some(({ msg, reason }) => msg === "backend is unhealthy" && reason === "status 508"),
      "a line",
    );
    const checks = gateway.requestLines().length;
    expect(checks).toBeGreaterThan(0);
    // No health check was forwarded.
    expect(gateway.requestLines().map(({ backend }) => backend)).toEqual(Array(checks).fill(undefined));
  });
});

test("a loop through a name that the configuration does not reveal ends too", async () => {
  const way = await startTcpProxy(0);
  const gateway = await startGatewayTo(`http://127.0.0.1:${way.port}`);
  way.target = gateway.port;
  expect((await fetch(`${gateway.url}/x`)).status).toBe(508);
  expect(way.connections).toBe(1);
});

test.each([{}, { shared: {} }])(
  "a loop that changes the path at each pass ends after limits.passes (%j)",
  async (route) => {
    const { gateway, way } = await startLoop(route, { limits: { passes: 3 } }, "", "/again/");
    const response = await rawRequest(gateway.port, bytesOf("GET", "/x", "Accept: text/event-stream\r\n"));
    expect([response.status, way.connections]).toEqual([508, 3]);
    expect(gateway.requestLines()[0]).toMatchObject({
      path: "/again/again/again/x",
      err: { code: "loop_detected", message: "sent to backends 3 times (limits.passes)" },
    });
  },
);

test("a loop through another gateway ends where it began", async () => {
  const way = await startTcpProxy(0);
  const outer = await startGatewayTo(`http://127.0.0.1:${way.port}`);
  const inner = await startGatewayTo(outer.url);
  way.target = inner.port;
  expect((await fetch(`${outer.url}/x`)).status).toBe(508);
  expect([way.connections, inner.requestLines().length]).toEqual([1, 1]);
});

test("gateways in a chain, one of them behind nginx, are not a loop", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const inner = await startGatewayTo(backend.url);
  const nginx = await nginxTo(inner.port);
  const edge = await startGatewayTo(nginx.url);
  expect((await fetch(`${edge.url}/x`)).status).toBe(200);
  const entries = backend.requests[0]?.fieldLines("cdn-loop").join(", ") ?? "";
  expect(entries).toMatch(
    /^sluice-[0-9a-f]{16}; pass=1; of=[0-9a-z]+, sluice-[0-9a-f]{16}; pass=1; of=[0-9a-z]+$/,
  );
  const [first, second] = entries.match(/sluice-[0-9a-f]{16}/g) ?? [];
  expect(first).not.toBe(second);
});

test("an application that calls the gateway with the fields of its own request is not a loop", async () => {
  const port = { gateway: 0 };
  /** Requests another path and responds with that response. */
  const app = await startBackend(async (request) => {
    const [, next] = /^\/page\/(\d)$/.exec(request.target) ?? [];
    if (next === undefined || next === "0") return request.respond(200, {}, "data");
    const fields = request.head.fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const path = `/page/${Number(next) - 1}`;
    const bytes = `GET ${path} HTTP/1.1\r\n${fields.replace(/connection:.*\r\n/i, "Connection: close\r\n")}\r\n`;
    const { status } = await rawRequest(port.gateway, bytes);
    request.respond(status ?? 0, {}, "page");
  });
  const gateway = await startGatewayTo(app.url);
  port.gateway = gateway.port;
  expect((await fetch(`${gateway.url}/page/3`)).status).toBe(200);
  expect(app.requests.map((request) => /pass=\d/.exec(request.field("cdn-loop") ?? "")?.[0])).toEqual([
    "pass=1",
    "pass=2",
    "pass=3",
    "pass=4",
  ]);
  // Without end it is a loop.
  expect((await fetch(`${gateway.url}/page/9`)).status).toBe(508);
});

test("the same path on another route, requested by a page's own proxy, is not a loop", async () => {
  const api = await startBackend((request) => request.respond(200, {}, "data"));
  const nginx = { url: "" };
  const way = await startTcpProxy(0);
  const gateway = await startGateway({
    routes: {
      page: { match: { path: "/*" }, upstream: `http://127.0.0.1:${way.port}` },
      api: { match: { path: "/*", host: "api.test" }, upstream: api.url },
    },
  });
  ({ url: nginx.url } = await nginxTo(gateway.port, "proxy_set_header Host api.test;"));
  way.target = Number(new URL(nginx.url).port);
  const response = await fetch(`${gateway.url}/data`);
  expect([response.status, await response.text()]).toEqual([200, "data"]);
});

test.each([
  [["CDN-Loop: cloudflare; loops=1"]],
  [["CDN-Loop: sluice-0000000000000000; pass=99"]],
  [["CDN-Loop: sluice", 'CDN-Loop: a.example, b; c="d,e"']],
  [["CDN-Loop: ,,;;=;"]],
  [["Via: 1.1 sluice, 1.0 fred", "Via: 2 cdn.example (x)"]],
])("a client's own Via and CDN-Loop fields are forwarded unchanged: %j", async (lines) => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const response = await rawRequest(
    gateway.port,
    bytesOf("GET", "/x", lines.map((line) => `${line}\r\n`).join("")),
  );
  expect(response.status).toBe(200);
  const seen = backend.requests[0]?.head.fields.map(([name, value]) => `${name}: ${value}`) ?? [];
  expect(seen.filter((line) => lines.includes(line))).toEqual(lines);
});

test("a client that copies the gateway's CDN-Loop value affects only its own requests", async () => {
  const backend = await startBackend((request) =>
    request.respond(200, { "X-Echo": request.field("cdn-loop") ?? "" }, "ok"),
  );
  const gateway = await startGatewayTo(backend.url);
  const mark = (await fetch(`${gateway.url}/x`)).headers.get("x-echo") ?? "";
  const [id] = mark.split(";");
  const ask = async (path: string, field: string) =>
    (await rawRequest(gateway.port, bytesOf("GET", path, `CDN-Loop: ${field}\r\n`))).status;
  expect(await ask("/x", mark)).toBe(508);
  expect(await ask("/y", mark)).toBe(200);
  expect(await ask("/y", `${id}; pass=8`)).toBe(508);
  expect(await ask("/y", `${id}0; pass=8`)).toBe(200);
  expect((await fetch(`${gateway.url}/x`)).status).toBe(200);
});

test("serve refuses a backend that is its own listener with exit code 2, and so does a reload", async () => {
  const to = startSluice(["serve", "--to", "http://127.0.0.1:8000"]);
  expect(await to.ended).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--to: http://127.0.0.1:8000 is"),
  });

  const own = await startTcpProxy(0);
  await own.close();
  const server = `listen: 127.0.0.1:${own.port}\nadmin: false\n`;
  const cwd = directoryOf({
    "config/sluice.yaml": server,
    "config/routes/a.yaml": "match: { path: /* }\nmock: { body: first }\n",
  });
  const sluice = startSluice(["serve"], { cwd });
  await sluice.logged("ready");
  const { writeFileSync } = await import("node:fs");
  writeFileSync(
    `${cwd}/config/routes/a.yaml`,
    `match: { path: /* }\nupstream: http://localhost:${own.port}\n`,
  );
  sluice.kill("SIGHUP");
  const rejected = await sluice.logged("config rejected: the current one is kept");
  expect(rejected["problems"]).toEqual([
    expect.stringMatching(
      /config\/routes\/a\.yaml:2:11 upstream: http:\/\/localhost:\d+ is an address that this/,
    ),
  ]);
  expect(await (await fetch(`http://127.0.0.1:${own.port}/`)).text()).toBe("first");
  const check = startSluice(["check"], { cwd });
  expect((await check.ended).code).toBe(2);
});
