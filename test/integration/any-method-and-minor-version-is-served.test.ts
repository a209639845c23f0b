import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw, RawClient, rawRequest } from "../support/raw-client.ts";

/** Starts a backend that answers with the method and the body, once the body is whole. */
const startEcho = () =>
  startBackend(async (request) => {
    const body = await request.wholeBody();
    request.respond(200, {}, `${request.method}(${body})`);
  });

const ask = (method: string, fields = "", body = "", version = "1.1"): string =>
  `${method} / HTTP/${version}\r\nHost: x\r\n${fields}\r\n${body}`;
const CHUNKED = "Transfer-Encoding: chunked\r\n";

/** Requests for one connection, one after the other, and what the backend makes of them. */
const REQUESTS: readonly [request: string, answer: string][] = [
  [ask("CHICKEN"), "CHICKEN()"],
  [ask("GET"), "GET()"],
  [ask("CHICKEN", "Content-Length: 3\r\n", "egg"), "CHICKEN(egg)"],
  [ask("POST", "Content-Length: 1\r\n", "1", "1.2"), "POST(1)"],
  [ask("X-Y_z", CHUNKED, "2\r\nab\r\n0\r\n\r\n"), "X-Y_z(ab)"],
  [ask("X-Y_z", "Content-Length: 1\r\n", "2", "1.9"), "X-Y_z(2)"],
  [ask("GET", "", "", "1.2"), "GET()"],
  [ask("GETT"), "GETT()"],
  [ask("PLAY", "Content-Length: 1\r\n", "3"), "PLAY(3)"],
];

async function overTls(port: number): Promise<RawClient> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  afterTest(() => void socket.destroy());
  await eventually(() => socket.getProtocol() !== null && !socket.connecting, "TLS");
  return new RawClient(socket);
}

test.each([
  ["plain", startGatewayTo, openRaw],
  ["TLS", startSecureGatewayTo, overTls],
] as const)(
  "over %s HTTP/1, unknown methods and higher minor versions pass anywhere on a connection",
  async (_name, start, open) => {
    const backend = await startEcho();
    const gateway = await start(backend.url);
    const client = await open(gateway.port);
    for (const [request, answer] of [...REQUESTS, ...REQUESTS]) {
      const seen = client.text.length;
      client.send(request);
      await eventually(
        () => client.text.slice(seen).endsWith(answer),
        `${answer} in ${client.text.slice(seen)}`,
      );
      expect(client.text.slice(seen)).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect((await gateway.requestLine(0))["method"]).toBe("CHICKEN");
  },
);

test("over HTTP/2 an unknown method passes with its body", async () => {
  const backend = await startEcho();
  const gateway = await startSecureGatewayTo(backend.url);
  const exchange = (await openHttp2(gateway.port)).request({ ":method": "CHICKEN" }, { endStream: false });
  exchange.stream.end("egg");
  await exchange.closed();
  expect([exchange.status, exchange.text]).toEqual([200, "CHICKEN(egg)"]);
});

test("the request behind one with an unknown method, in the same packet, is served too", async () => {
  const backend = await startEcho();
  const gateway = await startGatewayTo(backend.url);
  const last = "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const { text } = await rawRequest(gateway.port, ask("CHICKEN") + last);
  expect(text.match(/[A-Z]+\(\)/g)).toEqual(["CHICKEN()", "GET()"]);
});

test("an unknown method is not sent twice, because it may have had an effect", async () => {
  const backend = await startBackend((request) => request.reset());
  const other = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo("", {
    upstream: { backends: [{ url: backend.url }, { url: other.url, backup: true }] },
  });
  const { status } = await rawRequest(gateway.port, ask("CHICKEN", "Connection: close\r\n"));
  expect([status, backend.requests.length, other.requests.length]).toEqual([502, 1, 0]);
});

test("a route that lists its methods refuses others", async () => {
  const backend = await startEcho();
  const gateway = await startGatewayTo(backend.url, { match: { path: "/*", methods: ["GET"] } });
  const { text } = await rawRequest(gateway.port, ask("CHICKEN", "Connection: close\r\n"));
  expect(text).toMatch(/^HTTP\/1\.1 405 [\s\S]*\r\nAllow: GET/);
  expect(backend.requests).toEqual([]);
});

test.each([
  [
    "behind a body in the same packet",
    [`${ask("POST", "Content-Length: 2\r\n", "ab")}${ask("CHICKEN")}`],
    ["POST"],
  ],
  ["behind a request that is under way", [ask("GET") + ask("CHICKEN")], ["GET"]],
  [
    "behind the end of a body that came later",
    [ask("POST", "Content-Length: 2\r\n", "a"), `b${ask("CHICKEN")}`],
    ["POST"],
  ],
  ["cut in two", ["GE", ask("TX")], []],
  ["cut in two behind another request", [`${ask("GET")}GE`, ask("TX")], ["GET"]],
])("a method whose beginning Node does not tell is refused: %s", async (_name, parts, methods) => {
  const backend = await startEcho();
  const gateway = await startGatewayTo(backend.url);
  const { text } = await rawRequest(gateway.port, parts, { pauseMs: 100 });
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([
    ...methods.map(() => "HTTP/1.1 200"),
    expect.stringMatching(/40[05]|501/),
  ]);
  expect(backend.requests.map(({ method }) => method)).toEqual(methods);
});

test("the rest of a body that was answered early is no part of a method", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "early"));
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(ask("POST", "Content-Length: 2\r\n", "a"));
  await client.received("early");
  await gateway.requestLine();
  client.send(`b${ask("CHICKEN")}`);
  await client.ended();
  expect(client.text.match(/HTTP\/1\.1 \d+/g)?.at(1)).not.toBe("HTTP/1.1 200");
  expect(backend.requests.map(({ method }) => method)).toEqual(["POST"]);
});

test("a method in lower case passes, unless in upper case it belongs to another route", async () => {
  const backend = await startEcho();
  const listen = { address: "127.0.0.1:0", tls: await certificateFiles() };
  const guarded = { match: { path: "/*", methods: ["POST"] }, access: { deny: ["127.0.0.0/8"] } };
  const routes = {
    guarded: { ...guarded, upstream: backend.url },
    open: { match: { path: "/*" }, upstream: backend.url },
  };
  const gateway = await startGateway({ routes, server: { listen } });
  const overHttp2 = async (method: string) => {
    const exchange = (await openHttp2(gateway.port)).request({ ":method": method });
    await exchange.closed();
    return exchange.status;
  };
  const overHttp1 = async (method: string) => {
    const client = await overTls(gateway.port);
    client.send(ask(method, "Connection: close\r\n"));
    await client.ended();
    return client.status;
  };
  for (const over of [overHttp1, overHttp2])
    expect([await over("post"), await over("POST"), await over("patch"), await over("trace")]).toEqual([
      501, 403, 200, 405,
    ]);
  expect(backend.requests.map(({ method }) => method)).toEqual(["patch", "patch"]);
});

test("the time for a head does not count while the response to an unknown method is awaited", async () => {
  const backend = await startBackend(
    (request) => void setTimeout(() => request.respond(200, {}, "late"), 3_000),
  );
  const gateway = await startGatewayTo(backend.url, {}, { limits: { requestTimeout: "1s" } });
  const { text } = await rawRequest(gateway.port, ask("CHICKEN", "Connection: close\r\n"));
  expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*late$/);
});

test("a client that leaves behind an unknown method ends its request at the backend", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(ask("CHICKEN"));
  const { connection } = await backend.nextRequest();
  client.leave();
  await connection.closed;
  expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
});
