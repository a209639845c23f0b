import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { rawRequest } from "../support/raw-client.ts";

const answering = (name: string, fields: Readonly<Record<string, string>> = {}) =>
  startBackend((request) => request.respond(200, { "X-Backend": name, ...fields }, "ok"));

/** A gateway with three versions of an API, and other pages. */
async function startVersions(cors?: unknown) {
  const [v1, v2, v3, app] = await Promise.all([
    answering("v1", { Vary: "Accept" }),
    answering("v2"),
    answering("v3"),
    answering("app"),
  ]);
  const gateway = await startGateway({
    routes: {
      v1: { match: { path: "/api/*" }, upstream: v1.url, cors },
      v2: { match: { path: "/api/*", header: { "X-Api-Version": 2 } }, upstream: v2.url, cors },
      v3: { match: { path: "/api/*", query: { v: "3" } }, upstream: v3.url },
      app: { match: { path: "/*" }, upstream: app.url },
    },
  });
  return { gateway, backends: [v1, v2, v3, app] };
}

test("a field or a parameter chooses the route, over HTTP/1 and in uploads", async () => {
  const { gateway } = await startVersions();
  const backendOf = async (path: string, headers: Readonly<Record<string, string>> = {}, method = "GET") => {
    const response = await fetch(`${gateway.url}${path}`, {
      ...{ method, headers },
      ...(method === "POST" && { body: "x".repeat(100_000) }),
    });
    await response.text();
    return response.headers.get("x-backend");
  };
  for (const method of ["GET", "POST"]) {
    expect(await backendOf("/api/a", {}, method)).toBe("v1");
    expect(await backendOf("/api/a", { "x-api-version": "2" }, method)).toBe("v2");
    expect(await backendOf("/api/a", { "x-api-version": "9" }, method)).toBe("v1");
    expect(await backendOf("/api/a?v=3", {}, method)).toBe("v3");
    expect(await backendOf("/api/a?x=%26v%3D3", {}, method)).toBe("v1");
    expect(await backendOf("/other?v=3", { "x-api-version": "2" }, method)).toBe("app");
  }
  expect((await gateway.requestLine(1))["route"]).toBe("v2");
});

test("over HTTP/2", async () => {
  const backend = await answering("v2");
  const gateway = await startSecureGatewayTo(backend.url, {
    match: { path: "/*", header: { "X-Api-Version": "2" } },
  });
  const client = await openHttp2(gateway.port);
  const statusOf = async (fields: Readonly<Record<string, string>>) =>
    (await client.request(fields).opened())[":status"];
  expect(await statusOf({ "x-api-version": "2" })).toBe(200);
  expect(await statusOf({ "x-api-version": "1" })).toBe(404);
});

test("the responses of all versions name the field in Vary, for caches", async () => {
  const { gateway } = await startVersions({ allowOrigins: ["https://app.example.com"] });
  const varyOf = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`${gateway.url}${path}`, { headers });
    await response.text();
    return response.headers.get("vary");
  };
  expect(await varyOf("/api/a")).toBe("Accept, Origin, X-Api-Version");
  expect(await varyOf("/api/a", { "x-api-version": "2" })).toBe("Origin, X-Api-Version");
  // Its query tells a cache the two apart, but another version may be asked for by the field.
  expect(await varyOf("/api/a?v=3")).toBe("X-Api-Version");
});

test("a refusal of sluice names it too", async () => {
  const gateway = await startGateway({
    routes: {
      v1: { match: { path: "/api" }, mock: {}, access: { deny: ["127.0.0.1"] } },
      v2: { match: { path: "/api", header: { "X-Api-Version": "2" } }, mock: {} },
    },
  });
  const refused = await fetch(`${gateway.url}/api`);
  expect(refused.status).toBe(403);
  expect(refused.headers.get("vary")).toBe("X-Api-Version");
});

test("a reload that adds a version adds the field to the Vary of the route that stays", async () => {
  const v1 = { match: { path: "/api" }, mock: {} };
  const v2 = { match: { path: "/api", header: { "X-Api-Version": "2" } }, mock: {} };
  const gateway = await startGateway({ routes: { v1 } });
  const vary = async () => (await fetch(`${gateway.url}/api`)).headers.get("vary");
  expect(await vary()).toBeNull();
  await gateway.reload({ routes: { v1, v2 } });
  expect(await vary()).toBe("X-Api-Version");
  await gateway.reload({ routes: { v1 } });
  expect(await vary()).toBeNull();
});

test("a preflight is answered for the version that it announces", async () => {
  const { gateway, backends } = await startVersions(true);
  const response = await fetch(`${gateway.url}/api/a`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example.com",
      "access-control-request-method": "DELETE",
      "access-control-request-headers": "content-type, x-api-version",
    },
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("access-control-allow-headers")).toContain("x-api-version");
  expect((await gateway.requestLine())["route"]).toBe("v2");
  expect(backends.flatMap(({ requests }) => requests)).toEqual([]);
});

test("a preflight of routes without cors goes to a backend of that version", async () => {
  const { gateway, backends } = await startVersions();
  await fetch(`${gateway.url}/api/a`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example.com",
      "access-control-request-method": "GET",
      "access-control-request-headers": "x-api-version",
    },
  });
  expect(backends.map(({ requests }) => requests.length)).toEqual([0, 1, 0, 0]);
});

test("several hosts, and all names below a domain", async () => {
  const routes = {
    exact: { match: { path: "/*", host: ["Example.com", "www.example.com."] }, mock: { body: "exact" } },
    below: { match: { path: "/*", host: "*.example.com" }, mock: { body: "below" } },
    any: { match: { path: "/*" }, mock: { body: "any" } },
  };
  const gateway = await startGateway({ routes, server: { probe: true } });
  const bodyOf = async (host: string, path = "/") => {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    return (await rawRequest(gateway.port, request)).text.split("\r\n\r\n")[1];
  };
  expect(await bodyOf("example.com")).toBe("exact");
  expect(await bodyOf("WWW.example.com.:8080")).toBe("exact");
  expect(await bodyOf("a.b.EXAMPLE.com:80")).toBe("below");
  expect(await bodyOf("anexample.com")).toBe("any");
  expect(await bodyOf("[::1]:80")).toBe("any");
  // The probe is on every host, also on those with a route for all paths.
  expect(await bodyOf("a.example.com", "/.sluice/probe?n=0")).toContain("error_code");
});
