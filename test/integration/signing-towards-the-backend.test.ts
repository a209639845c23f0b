import { expect, test } from "vitest";
import { payloadHash } from "../../src/auth/canonical-request.ts";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import type { BackendRequest } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

const BACKEND_KEY = { key: "gateway", secret: "secret-of-the-gateway" };

/** Returns the SDK's signature for the request at the backend. */
function expectedAuthorization(request: BackendRequest, body = ""): string | undefined {
  const [path = "", search = ""] = request.target.split("?");
  const query: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(search)) query[name] = [...(query[name] ?? []), value];
  const signed = /SignedHeaders=([^,]+)/.exec(request.field("authorization") ?? "")?.[1]?.split(";") ?? [];
  const headers = Object.fromEntries(signed.map((name) => [name, request.field(name) ?? ""]));
  const { method } = request;
  return signWithApigSdk(
    { method, host: request.field("host") ?? "", path: decodeURIComponent(path), query, headers, body },
    BACKEND_KEY,
  ).headers["Authorization"];
}

async function startSigning(route: Record<string, unknown> = {}) {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: { "web-client": WEB_CLIENT },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: { backends: [{ url: backend.url }], sign: BACKEND_KEY, hostHeader: "backend" },
        rewrite: { addPrefix: "/v1" },
        ...route,
      },
    },
  });
  return { backend, gateway };
}

test("the signature covers the request as forwarded: rewritten, with the backend's Host", async () => {
  const { backend, gateway } = await startSigning();
  await fetch(`${gateway.url}/a%20b?z=1&a=2&a=1&e`, {
    headers: { Authorization: "Bearer x", X_Sdk_Date: "y" },
  });
  const request = await backend.nextRequest();
  expect(request.target).toBe("/v1/a%20b?z=1&a=2&a=1&e");
  expect(request.fieldLines("authorization")).toEqual([expectedAuthorization(request)]);
  expect(request.head.fields.filter(([name]) => /sdk/i.test(name))).toHaveLength(1);
  expect(expectedAuthorization(request)).toContain("Access=gateway, SignedHeaders=host;x-sdk-date,");
});

test("a streamed body is not signed and marked so", async () => {
  const { backend, gateway } = await startSigning();
  await fetch(`${gateway.url}/items`, { method: "POST", body: "abc" });
  const request = await backend.nextRequest();
  expect(request.field("x-sdk-content-sha256")).toBe("UNSIGNED-PAYLOAD");
  expect(request.field("authorization")).toBe(expectedAuthorization(request, "abc"));
  expect(request.field("authorization")).toContain(";x-sdk-content-sha256;");
});

test("a verified body and the app's id are signed again", async () => {
  const { backend, gateway } = await startSigning({ auth: { app: ["web-client"] } });
  const raw = rawSigned({ method: "POST", host: gateway.host, path: "/items", body: "abc" });
  expect((await rawRequest(gateway.port, raw, { until: "served" })).status).toBe(200);
  const request = await backend.nextRequest();
  expect(request.field("x-sdk-content-sha256")).toBeUndefined();
  expect(request.field("authorization")).toBe(expectedAuthorization(request, "abc"));
  expect(request.field("authorization")).toContain("SignedHeaders=host;x-app-id;x-sdk-date,");
  expect(request.field("x-app-id")).toBe("web-client");
  expect(payloadHash(request.body)).toBe(payloadHash("abc"));
});

test("a gateway verifies the signature of another gateway", async () => {
  const backend = await startPlainBackend();
  const inner = await startGateway({
    apps: { gateway: BACKEND_KEY },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["gateway"] } } },
  });
  const upstream = { backends: [{ url: inner.url }], sign: BACKEND_KEY };
  const outer = await startGateway({ routes: { main: { match: { path: "/*" }, upstream } } });
  expect((await fetch(`${outer.url}/a/%7e?b=1&a`, { method: "PUT", body: "x" })).status).toBe(200);
  expect((await fetch(`${inner.url}/a`)).status).toBe(401);
  expect(backend.requests).toHaveLength(1);
});
