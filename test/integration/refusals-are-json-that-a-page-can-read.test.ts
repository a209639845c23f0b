import { expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

const origin = "https://app.example.com";
const cors = { allowOrigins: [origin] };

async function startRoutes() {
  const backend = await startBackend((request) =>
    request.respond(200, { "Access-Control-Allow-Origin": "https://evil.example", Vary: "Accept" }, "ok"),
  );
  const gateway = await startGateway({
    routes: {
      cors: { match: { path: "/cors/*", methods: ["GET", "PUT"] }, upstream: backend.url, cors },
      dead: { match: { path: "/dead" }, upstream: `http://127.0.0.1:${await refusedPort()}`, cors },
      plain: { match: { path: "/plain", methods: ["GET"] }, upstream: backend.url },
    },
  });
  const ask = async (path: string, method = "GET", headers: Record<string, string> = {}) => {
    const client = openStream(gateway.port, { path, method, headers });
    expect(await client.ended()).toBe("clean");
    return client;
  };
  return { backend, gateway, ask };
}

test("a request without a route gets 404", async () => {
  const { backend, ask } = await startRoutes();
  const client = await ask("/nowhere");
  expect(client.head?.status).toBe(404);
  expect(JSON.parse(client.text)).toEqual({
    error_code: "APIG.0101",
    error_msg: "The requested path does not exist.",
    request_id: client.field("x-request-id"),
    error: { message: "The requested path does not exist.", type: "not_found_error", code: "APIG.0101" },
  });
  expect(backend.bytesReceived).toBe(0);
  // The connection is not at fault and stays open.
  expect(client.socket.readyState).toBe("open");
});

test("a client that accepts application/problem+json gets a problem, with our members", async () => {
  const { ask } = await startRoutes();
  const client = await ask("/nowhere", "GET", { Accept: "application/problem+json, application/json;q=0.9" });
  expect(client.head?.status).toBe(404);
  expect(client.field("content-type")).toBe("application/problem+json");
  expect(client.field("vary")).toBe("Accept");
  expect(JSON.parse(client.text)).toEqual({
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "The requested path does not exist.",
    error_code: "APIG.0101",
    error_msg: "The requested path does not exist.",
    request_id: client.field("x-request-id"),
    error: { message: "The requested path does not exist.", type: "not_found_error", code: "APIG.0101" },
  });
});

test.each([
  "*/*",
  "application/json",
  "application/*",
  "application/problem+json;q=0",
  "text/application/problem+json",
])("Accept: %s gets plain JSON", async (accept) => {
  const { ask } = await startRoutes();
  const client = await ask("/nowhere", "GET", { Accept: accept });
  expect(client.field("content-type")).toBe("application/json");
  expect(JSON.parse(client.text)).not.toHaveProperty("title");
});

test("a method that no route of the path takes: 405 with Allow", async () => {
  const { backend, ask } = await startRoutes();
  const client = await ask("/plain", "POST");
  expect(client.head?.status).toBe(405);
  expect(client.field("allow")?.split(", ").sort()).toEqual(["GET", "HEAD"]);
  expect(JSON.parse(client.text)).toMatchObject({ error_code: expect.any(String) });
  expect(backend.bytesReceived).toBe(0);
});

test("HEAD of a missing path has the head of its 404 and no body", async () => {
  const { ask } = await startRoutes();
  const client = await ask("/nowhere", "HEAD");
  expect([client.head?.status, client.text]).toEqual([404, ""]);
});

test("a 502 has the route's CORS fields", async () => {
  const { ask } = await startRoutes();
  const client = await ask("/dead", "GET", { Origin: origin });
  expect(client.head?.status).toBe(502);
  expect(client.fieldLines("access-control-allow-origin")).toEqual([origin]);
  expect(client.field("vary")).toMatch(/\borigin\b/i);
});

test("a response has them once, instead of the backend's own", async () => {
  const { ask } = await startRoutes();
  const client = await ask("/cors/x", "GET", { Origin: origin });
  expect(client.fieldLines("access-control-allow-origin")).toEqual([origin]);
  expect(client.fieldLines("vary").join(", ")).toMatch(/Accept.*Origin/i);
});

test("another origin gets no CORS fields, but Vary", async () => {
  const { ask } = await startRoutes();
  for (const headers of [{ Origin: "https://evil.example" }, {}] as Record<string, string>[]) {
    const client = await ask("/cors/x", "GET", headers);
    expect(client.head?.status).toBe(200);
    expect(client.field("access-control-allow-origin")).toBeUndefined();
    expect(client.field("vary")).toMatch(/\borigin\b/i);
  }
});

test("a stream has them too", async () => {
  const { client } = await openRelay({
    route: { cors },
    request: { headers: { Origin: origin } },
    fields: { "Access-Control-Allow-Origin": "*" },
  });
  expect(client.fieldLines("access-control-allow-origin")).toEqual([origin]);
});

test("sluice answers a preflight; any other OPTIONS request goes to the route", async () => {
  const { backend, ask } = await startRoutes();
  const client = await ask("/cors/x", "OPTIONS", {
    Origin: origin,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "last-event-id, cache-control",
  });
  expect([200, 204]).toContain(client.head?.status);
  expect(client.fieldLines("access-control-allow-origin")).toEqual([origin]);
  expect(client.field("access-control-allow-methods")).toMatch(/\bPUT\b/);
  expect(client.field("access-control-allow-headers")).toMatch(/last-event-id/i);
  expect(backend.bytesReceived).toBe(0);
  // Without Access-Control-Request-Method it is not a preflight, and the route's methods do not include OPTIONS.
  expect((await ask("/cors/x", "OPTIONS", { Origin: origin })).head?.status).toBe(405);
  expect(backend.bytesReceived).toBe(0);
});

test("a preflight for a route without cors reaches its backend", async () => {
  const backend = await startBackend((request) => request.respond(204));
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, upstream: backend.url } } });
  const client = openStream(gateway.port, {
    method: "OPTIONS",
    headers: { Origin: origin, "Access-Control-Request-Method": "PUT" },
  });
  await client.ended();
  expect(backend.requests).toHaveLength(1);
});

test("a preflight from an origin that is not allowed gets no permission", async () => {
  const { backend, ask } = await startRoutes();
  const client = await ask("/cors/x", "OPTIONS", {
    Origin: "https://app.example.com.evil.net",
    "Access-Control-Request-Method": "PUT",
  });
  expect(client.head?.fields.filter(([name]) => /^access-control-allow/i.test(name))).toEqual([]);
  expect(backend.bytesReceived).toBe(0);
});
