import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { metricsOf, startWithAdmin } from "../support/admin.ts";
import { afterTest } from "../support/after-test.ts";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { chunkOf, startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { one, renewed } from "../support/server-certificates.ts";
import { openStream } from "../support/sse-client.ts";

/** Waits until these samples have these values. */
const shows = (gateway: GatewayFixture, expected: Readonly<Record<string, number>>) =>
  eventually(
    async () => {
      const samples = await metricsOf(gateway);
      return Object.entries(expected).every(([name, value]) => samples.get(name) === value);
    },
    JSON.stringify(expected),
    { everyMs: 50 },
  );

const portOf = (address: string | undefined) => Number(/:(\d+)$/.exec(address ?? "")?.[1]);

test("connections count while they are open, by listener and protocol, and handshakes by result", async () => {
  const backend = await startBackend((request) => request.respond());
  const tls = await certificateFiles();
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
    server: { listen: ["127.0.0.1:0", { address: "127.0.0.2:0", tls }] },
  });
  const active = (listener: string, protocol: string) =>
    `sluice_connections_active{listener="${listener}",protocol="${protocol}"}`;
  const handshakes = (result: string) =>
    `sluice_tls_handshakes_total{listener="127.0.0.2:0",result="${result}"}`;
  const securePort = portOf(gateway.addresses[1]);
  const plain = [await openRaw(gateway.port), await openRaw(gateway.port)];
  const secure = connect({ port: securePort, host: "127.0.0.2", rejectUnauthorized: false });
  const http2 = connectHttp2(`https://127.0.0.2:${securePort}`, { rejectUnauthorized: false });
  for (const client of [secure, http2]) {
    client.on("error", () => {});
    afterTest(() => void client.destroy());
  }
  await shows(gateway, {
    [active("127.0.0.1:0", "http/1.1")]: 2,
    [active("127.0.0.1:0", "h2")]: 0,
    [active("127.0.0.2:0", "http/1.1")]: 1,
    [active("127.0.0.2:0", "h2")]: 1,
    [handshakes("success")]: 2,
    [handshakes("failure")]: 0,
  });
  for (const { socket } of plain) socket.destroy();
  secure.destroy();
  http2.destroy();
  // Not TLS, so its handshake fails.
  await fetch(`http://127.0.0.2:${securePort}/`).catch(() => {});
  await shows(gateway, {
    [active("127.0.0.1:0", "http/1.1")]: 0,
    [active("127.0.0.2:0", "http/1.1")]: 0,
    [active("127.0.0.2:0", "h2")]: 0,
    [handshakes("success")]: 2,
    [handshakes("failure")]: 1,
    'sluice_connections_accepted_total{listener="127.0.0.1:0"}': 2,
    'sluice_connections_accepted_total{listener="127.0.0.2:0"}': 3,
    'sluice_connections_refused_total{listener="127.0.0.1:0",reason="limit"}': 0,
  });
  expect((await metricsOf(gateway)).has(`sluice_tls_handshakes_total{listener="127.0.0.1:0"}`)).toBe(false);
});

test("connections beyond limits.connections count as refused, and those closed without a response as overflow", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
    server: { limits: { connections: 1 } },
  });
  // 64 connections beyond the limit get a refusal.
  for (let count = 0; count < 1 + 64 + 2; count++) await openRaw(gateway.port);
  const refused = (reason: string) =>
    `sluice_connections_refused_total{listener="127.0.0.1:0",reason="${reason}"}`;
  await shows(gateway, { [refused("limit")]: 64, [refused("overflow")]: 2, [refused("out_of_files")]: 0 });
});

test("the expiry of each certificate is shown, and that of a renewed one after the reload", async () => {
  const [first, second] = [await certificateFiles(one), await certificateFiles(renewed)];
  const setup = (tls: unknown) => ({
    routes: { main: { match: { path: "/*" }, mock: { status: 204 } } },
    server: { admin: 0, listen: { address: "127.0.0.1:0", tls } },
  });
  const gateway = await startWithAdmin(setup(first));
  const expiry = ({ cert }: { cert: string }) =>
    Date.parse(new X509Certificate(readFileSync(cert)).validTo) / 1000;
  const sample = ({ cert }: { cert: string }) =>
    `sluice_certificate_expiry_timestamp_seconds{listener="127.0.0.1:0",file="${cert}"}`;
  expect((await metricsOf(gateway)).get(sample(first))).toBe(expiry(first));
  await gateway.reload(setup([second, first]));
  const samples = await metricsOf(gateway);
  expect([samples.get(sample(first)), samples.get(sample(second))]).toEqual([expiry(first), expiry(second)]);
  await gateway.reload(setup(second));
  expect((await metricsOf(gateway)).has(sample(first))).toBe(false);
});

test("each limit counts what it allows and limits, and refused requests count by code", async () => {
  const limits = {
    rate: [
      { requests: 2, per: "1h", by: "ip" },
      { requests: 9, per: "1h", by: "route" },
    ],
    tokens: { tokens: 100, per: "1h", by: "ip", reserve: 100 },
  };
  const routes = (path: string) => ({
    main: { match: { path }, mock: { status: 200, body: "x" }, limits, llm: {} },
  });
  const gateway = await startWithAdmin({ routes: routes("/a") });
  const decided = (limit: string, decision: string) =>
    `sluice_rate_limit_decisions_total{route="main",limit="${limit}",decision="${decision}"}`;
  const ask = async (path: string) => (await fetch(gateway.url + path)).status;
  expect((await metricsOf(gateway)).get(decided("2 per 1 hour by ip", "limited"))).toBe(0);
  expect([await ask("/a"), await ask("/a"), await ask("/a"), await ask("/b")]).toEqual([200, 200, 429, 404]);
  const expected = {
    [decided("2 per 1 hour by ip", "allowed")]: 2,
    [decided("2 per 1 hour by ip", "limited")]: 1,
    [decided("9 per 1 hour by route", "allowed")]: 2,
    [decided("9 per 1 hour by route", "limited")]: 0,
    'sluice_request_errors_total{route="main",code="rate_limited"}': 1,
    'sluice_request_errors_total{route="",code="no_route"}': 1,
  };
  await shows(gateway, expected);
  const token = decided("100 tokens per 1 hour by ip", "allowed");
  expect((await metricsOf(gateway)).get(token)).toBe(2);
  // A reload that changes the route keeps its counts.
  await gateway.reload({ routes: routes("/c"), server: { admin: 0 } });
  await shows(gateway, expected);
});

test("bytes count in both directions: of responses, of streams while they run, of uploads and of tunnels", async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, upgrade: ["tcp"], stream: { prelude: false } },
    },
  });
  const sent = (kind: string) => `sluice_sent_bytes_total{route="main",kind="${kind}"}`;
  const received = 'sluice_received_bytes_total{route="main"}';
  const stream = openStream(gateway.port, { path: "/s" });
  const streaming = await backend.nextRequest();
  streaming.openStream();
  streaming.emit("data: 12\n\n");
  await stream.received("data: 12\n\n");
  await shows(gateway, { [sent("stream")]: 10, [sent("other")]: 0 });

  const upload = async (body: string) => {
    const client = await openRaw(gateway.port);
    client.send(`POST /u HTTP/1.1\r\nHost: a\r\n${body}`);
    const request = await backend.nextRequest();
    await request.wholeBody();
    request.respond(200, {}, "1234567");
    await client.received("1234567");
    client.socket.destroy();
  };
  await upload("Content-Length: 5\r\n\r\n12345");
  await upload(`Transfer-Encoding: chunked\r\n\r\n${chunkOf("123")}0\r\n\r\n`);
  await shows(gateway, { [sent("other")]: 14, [received]: 8 });

  streaming.emit("data: 3\n\n");
  streaming.endStream();
  await stream.ended();
  await shows(gateway, { [sent("stream")]: 19, [sent("other")]: 14 });

  const client = await openRaw(gateway.port);
  client.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
  const tunnel = await backend.nextRequest();
  tunnel.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
  await client.received("\r\n\r\n");
  client.send("up");
  await eventually(() => tunnel.connection.received.toString().endsWith("up"), "the client's bytes");
  tunnel.send("down");
  await client.received("down");
  tunnel.halfClose();
  client.halfClose();
  await shows(gateway, { [sent("other")]: 18, [received]: 10 });
});

test("a body counts once, also if a step reads it whole, and if the answer to it is named", async () => {
  const backend = await startBackend((request) => request.respond());
  const { url: upstream } = backend;
  const gateway = await startWithAdmin({
    apps: { "web-client": WEB_CLIENT },
    routes: {
      signed: { match: { path: "/signed" }, upstream, auth: { app: ["web-client"] } },
      named: { match: { path: "/named" }, upstream, resume: { by: ["header:X-User"] } },
    },
  });
  const unsigned = { method: "POST", host: gateway.host, path: "/signed", body: "12345" };
  const { headers } = signWithApigSdk(unsigned, WEB_CLIENT);
  expect((await fetch(`${gateway.url}/signed`, { method: "POST", headers, body: "12345" })).status).toBe(200);
  const user = { "X-User": "ann", "Idempotency-Key": "k" };
  await fetch(`${gateway.url}/named`, { method: "POST", headers: user, body: "1234567" });
  const received = (route: string) => `sluice_received_bytes_total{route="${route}"}`;
  await shows(gateway, { [received("signed")]: 5, [received("named")]: 7 });
});

test("the last reload is shown with its result and the time of the last success", async () => {
  const backend = await startBackend();
  const setup = (listen: unknown) => ({
    routes: { main: { match: { path: "/*" }, mock: { status: 204 } } },
    server: { admin: 0, listen },
  });
  const before = Date.now() / 1000;
  const gateway = await startWithAdmin(setup("127.0.0.1:0"));
  const at = "sluice_config_last_reload_success_timestamp_seconds";
  const isSuccessful = "sluice_config_last_reload_successful";
  const started = (await metricsOf(gateway)).get(at) ?? 0;
  expect(started).toBeGreaterThanOrEqual(before);
  await shows(gateway, { [isSuccessful]: 1 });
  await expect(gateway.reload(setup(["127.0.0.1:0", new URL(backend.url).host]))).rejects.toThrow();
  await shows(gateway, { [isSuccessful]: 0, [at]: started });
  await gateway.reload(setup("127.0.0.1:0"));
  await shows(gateway, { [isSuccessful]: 1 });
  expect((await metricsOf(gateway)).get(at)).toBeGreaterThan(started);
});

test("the versions of sluice and Node are labels of a constant", async () => {
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, mock: { status: 204 } } },
  });
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const name = `sluice_build_info{version="${version}",node="${process.versions.node}"}`;
  expect((await metricsOf(gateway)).get(name)).toBe(1);
});
