import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";

const APP = "https://app.example.com";

/** The headers that preflights of SDKs in browsers ask for. */
const SDKS: Readonly<Record<string, string>> = {
  openai:
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout",
  anthropic:
    "anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-arch,x-stainless-helper-method,x-stainless-lang",
  google: "content-type,x-goog-api-client,x-goog-api-key",
  mcp: "authorization,content-type,last-event-id,mcp-protocol-version,mcp-session-id",
};

const POLICIES = {
  "cors: true": true,
  "a policy without allowHeaders": { allowOrigins: [APP] },
  "a policy with credentials": { allowOrigins: [APP], allowCredentials: true },
};

const asking = (method: string, headers: string) => ({
  method: "OPTIONS",
  headers: {
    origin: APP,
    "access-control-request-method": method,
    "access-control-request-headers": headers,
  },
});

const listed = (response: Response, name: string) =>
  (response.headers.get(name) ?? "").split(",").map((item) => item.trim().toLowerCase());

test.each(Object.entries(POLICIES))("with %s, a preflight of each SDK is allowed", async (_name, cors) => {
  const gateway = await startGatewayTo("http://127.0.0.1:1", { cors });
  for (const [sdk, headers] of Object.entries(SDKS)) {
    const response = await fetch(gateway.url, asking("POST", headers));
    const allowed = listed(response, "access-control-allow-headers");
    for (const name of headers.split(",")) expect(allowed, `${sdk}: ${name}`).toContain(name);
    expect(["*", APP]).toContain(response.headers.get("access-control-allow-origin"));
  }
  const lines = gateway.requestLines();
  expect(lines.some((line) => "preflightRefused" in line)).toBe(false);
});

test.each(Object.entries(POLICIES))("with %s, a page may read what the SDKs read", async (_name, cors) => {
  const backend = await startBackend((request) =>
    request.respond(200, { "Mcp-Session-Id": "s", "Retry-After": "1" }, "ok"),
  );
  const gateway = await startGatewayTo(backend.url, { cors });
  const response = await fetch(gateway.url, { headers: { origin: APP } });
  const exposed = listed(response, "access-control-expose-headers");
  for (const name of ["x-request-id", "mcp-session-id", "retry-after"]) expect(exposed).toContain(name);
  // With credentials, browsers take * for a name.
  const hasCredentials = typeof cors === "object" && "allowCredentials" in cors;
  expect(exposed.includes("*")).toBe(!hasCredentials);
});

test("a refused preflight names the origin if only the method or a header is refused, and the log says which", async () => {
  const cors = { allowOrigins: [APP], allowMethods: ["GET"], allowHeaders: ["Content-Type"] };
  const gateway = await startGatewayTo("http://127.0.0.1:1", { cors });
  const header = await fetch(gateway.url, asking("GET", "content-type,x-api-key"));
  expect(header.headers.get("access-control-allow-origin")).toBe(APP);
  expect(listed(header, "access-control-allow-headers")).not.toContain("x-api-key");
  expect(await gateway.requestLine(0)).toMatchObject({ preflightRefused: "the header x-api-key" });

  const method = await fetch(gateway.url, asking("DELETE", "content-type"));
  expect(method.headers.get("access-control-allow-origin")).toBe(APP);
  expect(listed(method, "access-control-allow-methods")).toEqual(["get"]);
  expect(await gateway.requestLine(1)).toMatchObject({ preflightRefused: "the method DELETE" });

  const other = asking("GET", "content-type");
  other.headers.origin = "https://evil.example";
  const origin = await fetch(gateway.url, other);
  expect(origin.headers.get("access-control-allow-origin")).toBeNull();
  expect(await gateway.requestLine(2)).toMatchObject({ preflightRefused: "the origin" });
});
