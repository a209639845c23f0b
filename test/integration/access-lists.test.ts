import { expect, test } from "vitest";
import { refusalOf, startPlainBackend } from "../support/answers.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { rawRequest } from "../support/raw-client.ts";

const DENIED = {
  status: 403,
  body: {
    error_code: "APIG.0402",
    error_msg: "The IP address is not authorized to access the API.",
    hasId: true,
  },
};

const start = async (access: unknown, more: Record<string, unknown> = {}) => {
  const backend = await startPlainBackend();
  const route = { match: { path: "/*" }, upstream: backend.url, access, ...more };
  // The test is a trusted proxy, so that its requests can come from any address.
  const gateway = await startGateway({ routes: { main: route }, server: { trustedProxies: ["127.0.0.1"] } });
  const from = (address: string, init: RequestInit = {}) =>
    fetch(gateway.url, { ...init, headers: { ...init.headers, "x-forwarded-for": address } });
  return { backend, gateway, from };
};

test.each([
  ["10.1.2.3", { allow: ["10.0.0.0/8"] }, true],
  ["11.1.2.3", { allow: ["10.0.0.0/8"] }, false],
  ["11.1.2.3", { deny: ["10.0.0.0/8"] }, true],
  ["10.1.2.3", { deny: ["10.0.0.0/8"] }, false],
  ["10.1.2.3", { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] }, false],
  ["10.2.2.3", { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] }, true],
  ["10.1.2.3", { allow: ["10.1.2.3"], deny: ["10.1.2.3"] }, false],
  ["2001:db8::5", { allow: ["2001:db8::/32"] }, true],
  ["2001:db9::5", { allow: ["2001:db8::/32"] }, false],
  // An IPv4-mapped IPv6 address counts as its IPv4 address.
  ["::ffff:10.1.2.3", { deny: ["10.0.0.0/8"] }, false],
  ["10.1.2.3", { deny: ["::ffff:10.0.0.0/104"] }, false],
])("%s with %j: admitted is %s", async (address, access, isIn) => {
  const { backend, from } = await start(access);
  const response = await from(address);
  if (isIn) expect(response.status).toBe(200);
  else expect(await refusalOf(response)).toEqual(DENIED);
  expect(backend.requests.length).toBe(isIn ? 1 : 0);
});

test("an untrusted client cannot claim another address", async () => {
  const backend = await startPlainBackend();
  const access = { allow: ["10.0.0.0/8"] };
  const gateway = await startGateway({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, access } },
  });
  const response = await fetch(gateway.url, { headers: { "x-forwarded-for": "10.1.2.3" } });
  expect(response.status).toBe(403);
  expect(backend.requests).toEqual([]);
});

test("a page can read the refusal, and its preflight is answered before", async () => {
  const { from } = await start({ deny: ["0.0.0.0/0"] }, { cors: true });
  const origin = "https://app.example.com";
  const preflight = await from("10.0.0.1", {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "GET" },
  });
  expect(preflight.status).toBe(200);
  const response = await from("10.0.0.1", { headers: { origin } });
  expect(response.status).toBe(403);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
});

test("the list applies to a WebSocket, too", async () => {
  const { backend, gateway } = await start({ deny: ["10.0.0.0/8"] }, { websocket: true });
  const { status } = await rawRequest(gateway.port, handshake("/", { "X-Forwarded-For": "10.0.0.1" }));
  expect(status).toBe(403);
  expect(backend.requests).toEqual([]);
});
