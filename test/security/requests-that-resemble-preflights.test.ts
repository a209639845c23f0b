import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { startIssuer } from "../support/issuer.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const ORIGIN = "https://app.example.com";

test("only a real preflight is answered without credentials; every other OPTIONS request needs them", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { cors: true, auth: { jwt: issuer.config() } });
  const send = async (headers: Record<string, string>, method = "OPTIONS") =>
    (await fetch(gateway.url, { method, headers })).status;
  const asking = { origin: ORIGIN, "access-control-request-method": "GET" };

  expect(await send(asking)).toBe(200);
  expect(await send({})).toBe(401);
  expect(await send({ origin: ORIGIN })).toBe(401);
  expect(await send({ "access-control-request-method": "GET" })).toBe(401);
  for (const method of ["GET", "POST", "HEAD", "DELETE", "PATCH"])
    expect(await send(asking, method)).toBe(401);
  expect(await send({ "x-http-method-override": "OPTIONS", ...asking }, "POST")).toBe(401);
  expect(backend.connections).toHaveLength(0);
});

test("a route without cors answers no preflight, so it needs credentials, too", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { auth: { jwt: issuer.config() } });
  const headers = { origin: ORIGIN, "access-control-request-method": "GET" };
  expect((await fetch(gateway.url, { method: "OPTIONS", headers })).status).toBe(401);
  expect(backend.connections).toHaveLength(0);
});

test("a WebSocket needs the credentials of its route, and so does an ignored upgrade", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const issuer = await startIssuer();
  const route = { upstream: backend.url, auth: { jwt: issuer.config() }, cors: true };
  const gateway = await startGateway({
    routes: {
      socket: { match: { path: "/socket" }, ...route, websocket: true },
      none: { match: { path: "/none" }, ...route },
    },
  });
  const open = (path: string, fields: Record<string, string>, until = "}") =>
    rawRequest(gateway.port, handshake(path, { Host: gateway.host, ...fields }), { until });

  for (const path of ["/socket", "/none"]) {
    for (const fields of [{}, { Authorization: "Bearer x" }, { Upgrade: "h2c" }] as Record<
      string,
      string
    >[]) {
      const answer = await open(path, fields);
      expect(answer.status, path).toBe(401);
      expect(answer.text).toContain("WWW-Authenticate: Bearer\r\n");
      expect(answer.text).toContain("APIG.0303");
    }
  }
  expect(backend.connections).toHaveLength(0);
  const Authorization = `Bearer ${await issuer.token()}`;
  expect((await open("/socket", { Authorization }, "\r\n\r\n")).status).toBe(101);
});

test("a client that resets while its credential is verified affects no other client", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { websocket: true, auth: { jwt: issuer.config() } });
  // An unknown key id makes the gateway wait for the issuer, which does not respond.
  issuer.respond = () => {};
  const Authorization = `Bearer ${await issuer.token({ header: { kid: "unknown" } })}`;
  const fetches = issuer.fetches;
  const client = await openRaw(gateway.port);
  client.send(handshake("/", { Host: gateway.host, Authorization }));
  await eventually(() => issuer.fetches > fetches, "the request to the issuer");
  client.reset();
  const good = `Bearer ${await issuer.token()}`;
  const bytes = handshake("/", { Host: gateway.host, Authorization: good });
  expect((await rawRequest(gateway.port, bytes, { until: "\r\n\r\n" })).status).toBe(101);
});
