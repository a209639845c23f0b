import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";

const start = (server: Record<string, unknown> = {}) =>
  startWithAdmin({
    routes: { main: { match: { path: "/*" }, mock: { status: 200, body: "route" } } },
    server,
  });

const PATHS = ["/", "/healthz", "/readyz", "/metrics", "/api/streams", "/api/events", "/page/main.js"];

// An attacker's page whose name later resolves to 127.0.0.1 has the same origin as the admin listener.
test("a request with a foreign host name is refused (DNS rebinding)", async () => {
  const gateway = await start();
  for (const Host of [
    "evil.example",
    "evil.example:9900",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "1.1.1.1",
  ]) {
    for (const path of PATHS) expect((await askAdmin(gateway, path, { headers: { Host } })).status).toBe(421);
    const post = await askAdmin(gateway, "/api/streams/x/end", { method: "POST", headers: { Host } });
    expect(post.status).toBe(421);
  }
});

test("requests with the machine's own names are accepted", async () => {
  const gateway = await start();
  for (const Host of ["localhost:9900", "LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:9900"]) {
    expect((await askAdmin(gateway, "/readyz", { headers: { Host } })).status).toBe(200);
  }
});

test("on a public address an IP address is accepted, a name only with the token", async () => {
  const gateway = await start({ admin: "0.0.0.0:0", adminToken: "a-token-for-tests" });
  const adminUrl = gateway.adminUrl.replace("0.0.0.0", "127.0.0.1");
  const ask = (Host: string, token?: string) =>
    askAdmin({ ...gateway, adminUrl }, "/metrics", {
      headers: { Host, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
    });
  expect((await ask("10.1.2.3:9900")).status).toBe(401);
  expect((await ask("10.1.2.3:9900", "a-token-for-tests")).status).toBe(200);
  expect((await ask("sluice.internal:9900", "a-token-for-tests")).status).toBe(200);
  expect((await ask("sluice.internal:9900", "wrong")).status).toBe(421);
  expect((await ask("sluice.internal:9900")).status).toBe(421);
});

test("a page of another origin can neither end a stream nor open an event stream, and gets no CORS fields", async () => {
  const gateway = await start();
  for (const headers of [
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { Origin: "https://evil.example" },
    { Origin: "null" },
    { Origin: "http://127.0.0.1:1" },
  ] as Record<string, string>[]) {
    const end = await askAdmin(gateway, "/api/streams/x/end", { method: "POST", headers });
    expect(end.status).toBe(403);
    expect((await askAdmin(gateway, "/api/events", { headers })).status).toBe(403);
    expect(end.headers["access-control-allow-origin"]).toBeUndefined();
  }
  const own = { Origin: gateway.adminUrl, "Sec-Fetch-Site": "same-origin" };
  const end = await askAdmin(gateway, "/api/streams/x/end", { method: "POST", headers: own });
  expect(end.status).toBe(404);
  const preflight = await askAdmin(gateway, "/api/streams/x/end", { method: "OPTIONS" });
  expect(preflight.status).toBe(405);
  expect(Object.keys(preflight.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
});

test("every response has its security fields and does not name its server", async () => {
  const gateway = await start();
  for (const path of ["/", "/metrics", "/healthz", "/nowhere"]) {
    const { headers } = await askAdmin(gateway, path);
    expect(headers["content-security-policy"]).toContain("default-src 'none'; script-src 'self'");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["cache-control"]).toBe("no-store");
    expect(headers["cross-origin-resource-policy"]).toBe("same-origin");
    expect([headers["server"], headers["x-powered-by"]]).toEqual([undefined, undefined]);
  }
});

test("other methods, odd paths and large bodies are refused", async () => {
  const gateway = await start();
  for (const method of ["PUT", "DELETE", "PATCH", "TRACE"]) {
    expect((await askAdmin(gateway, "/", { method })).status).toBe(405);
  }
  for (const path of [
    "/page/../index.html",
    "/page/%2e%2e/admin.js",
    "/page/lib/",
    "/../etc/passwd",
    "/index.html",
  ]) {
    expect((await askAdmin(gateway, path)).status).toBe(404);
  }
  const large = await askAdmin(gateway, "/sign-in", { method: "POST", body: "x".repeat(5_000) });
  expect(large.status).toBe(413);
});

test("admin paths on the data port belong to a route, or to no route", async () => {
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/only" }, mock: { status: 200, body: "route" } } },
  });
  for (const path of ["/healthz", "/readyz", "/metrics", "/api/streams", "/api/events", "/"]) {
    const answer = await fetch(gateway.url + path);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error_code: "APIG.0101" });
  }
});
