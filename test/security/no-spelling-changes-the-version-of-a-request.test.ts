import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

const answering = () => startBackend((request) => request.respond(200, {}, "ok"));

async function startVersions() {
  const [one, two, open] = await Promise.all([answering(), answering(), answering()]);
  const gateway = await startGateway({
    routes: {
      one: { match: { path: "/api/*" }, upstream: one.url },
      header: { match: { path: "/api/*", header: { "X-Api-Version": "2" } }, upstream: two.url },
      query: { match: { path: "/api/*", query: { v: "2", api_version: "2" } }, upstream: two.url },
      open: { match: { path: "/open" }, upstream: open.url },
    },
  });
  return { gateway, one, two, open };
}

const ask = async (gateway: GatewayFixture, target: string, lines: readonly string[] = []) => {
  const head = [`GET ${target} HTTP/1.1`, "Host: h", "Connection: close", ...lines];
  return await rawRequest(gateway.port, `${head.join("\r\n")}\r\n\r\n`);
};

/** Requests in which one framework reads version 2 and another one does not. */
const AMBIGUOUS: [target: string, lines?: string[]][] = [
  ["/api/a", ["X-Api-Version: 1", "X-Api-Version: 2"]],
  ["/api/a", ["X-Api-Version: 2", "x-api-version: 2"]],
  ["/api/a", ["X_Api_Version: 2"]],
  ["/api/a", ["X-Api-Version: 1", "X_Api-Version: 2"]],
  ["/api/a", ["Connection: keep-alive, x-api-version", "X-Api-Version: 2"]],
  ["/api/a?v=1&v=2"],
  ["/api/a?v=2&%76=2"],
  ["/api/a?V=2"],
  ["/api/a?v[]=2"],
  ["/api/a?v%5B0%5D=2"],
  ["/api/a?[v]=2"],
  ["/api/a?%5Bv%5D=2"],
  ["/api/a?v]=2"],
  ["/api/a?v%00=2"],
  ["/api/a?v%00x=2"],
  ["/api/a?api[version=2"],
  ["/api/a?+%20v=2"],
  [`/api/a?${"x&".repeat(1_000)}v=2`],
  ["/api/a?x=1;v=2"],
  ["/api/a?v=2;x=1"],
  ["/api/a?+v=2"],
  ["/api/a?%20v=2"],
  ["/api/a?api.version=2"],
  ["/api/a?api+version=2"],
];

test("a request in which backends could read another version than sluice is refused", async () => {
  const { gateway, one, two } = await startVersions();
  for (const [target, lines] of AMBIGUOUS)
    expect((await ask(gateway, target, lines)).status, `${target} ${lines}`).toBe(400);
  expect([...one.requests, ...two.requests]).toEqual([]);
  expect(JSON.stringify(await gateway.requestLine())).toContain("x-api-version occurs twice");
});

test("on a path without conditions the same requests pass unchanged", async () => {
  const { gateway, open } = await startVersions();
  for (const [target, lines] of AMBIGUOUS) {
    const elsewhere = target.replace("/api/a", "/open");
    expect((await ask(gateway, elsewhere, lines)).status, target).toBe(200);
    expect(open.requests.at(-1)?.target).toBe(elsewhere);
  }
});

test("other fields and parameters, however they are spelled, choose nothing and are not refused", async () => {
  const { gateway, one, two } = await startVersions();
  const plain: [target: string, lines?: string[]][] = [
    ["/api/a?x=v=2&vv=2&v2", ["X-Api-Version-2: 2", "Api-Version: 2"]],
    ["/api/a?x=1&x=2;y=3&&=&;", ["Cookie: X-Api-Version=2", "Cookie: v=2"]],
    ["/api/a?v=2%00&api_version=2", ["X-Api-Version: 2, 2"]],
    ["/api/a?v=2&api_version=1", ["X-Api-Version: "]],
    ["/api/a?v=%2532&api_version=2%", []],
  ];
  for (const [target, lines] of plain) expect((await ask(gateway, target, lines)).status, target).toBe(200);
  expect(one.requests.length).toBe(plain.length);
  expect(two.requests).toEqual([]);
  expect((await ask(gateway, "/api/a?%76=%32&api%5Fversion=2")).status).toBe(200);
  expect(two.requests.length).toBe(1);
});

test("a path whose parameters hide a guarded version is refused", async () => {
  const backend = await answering();
  const gateway = await startGateway({
    routes: {
      guarded: {
        match: { path: "/admin/*", header: { "X-V": "2" } },
        upstream: backend.url,
        access: { deny: ["127.0.0.1"] },
      },
      rest: { match: { path: "/*" }, upstream: backend.url },
    },
  });
  expect((await ask(gateway, "/admin;a/x", ["X-V: 2"])).status).toBe(400);
  expect((await ask(gateway, "/admin;a/x", ["X-V: 2", "X-V: 2"])).status).toBe(400);
  expect((await ask(gateway, "/admin;a/x")).status).toBe(200);
});
