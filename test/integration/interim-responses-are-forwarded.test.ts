import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const HINTS =
  "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Accel-Redirect: /x\r\nX-Secret: 1\r\n\r\n";
const PROCESSING = "HTTP/1.1 102 Processing\r\n\r\n";
const FINAL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EDITS = { headers: { response: { set: { "X-Set": "1" }, remove: ["X-Secret"] } } };

/** The fast path of sluice reads a GET without a body, and node:http all other requests. */
test.each([
  ["GET", ""],
  ["POST", "Content-Length: 0\r\n"],
])("an HTTP/1.1 client gets 102 and 103 before the response: %s", async (method, length) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, EDITS);
  const client = await openRaw(gateway.port);
  client.send(`${method} / HTTP/1.1\r\nHost: a\r\n${length}\r\n`);
  const request = await backend.nextRequest();
  request.send(PROCESSING);
  await client.received("HTTP/1.1 102 Processing\r\n\r\n");
  request.send(HINTS);
  await client.received("as=style\r\n\r\n");
  expect(client.text).toBe(
    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\n\r\n",
  );
  request.send(FINAL);
  await client.received("\r\n\r\nok");
  expect(client.text).toContain("as=style\r\n\r\nHTTP/1.1 200 OK\r\n");
  expect((await gateway.requestLine())["status"]).toBe(200);
});

test("an interim response in the same packet as the response comes first", async () => {
  const backend = await startBackend((request) => request.send(HINTS + FINAL));
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.received("\r\n\r\nok");
  expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 103", "HTTP/1.1 200"]);
});

test("an HTTP/2 client gets 103 before the response", async () => {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url, EDITS);
  const client = await openHttp2(gateway.port);
  const exchange = client.request({});
  const hints = new Promise((resolve) => exchange.stream.once("headers", resolve));
  const request = await backend.nextRequest();
  request.send(HINTS);
  expect(Object.entries((await hints) as object)).toEqual([
    [":status", 103],
    ["link", "</a.css>; rel=preload; as=style"],
  ]);
  request.send(PROCESSING + FINAL);
  await exchange.received("ok");
  expect(exchange.interim).toEqual([103, 102]);
  expect(exchange.status).toBe(200);
});

test("an HTTP/1.0 client gets the response only", async () => {
  const backend = await startBackend((request) => request.send(HINTS + FINAL));
  const gateway = await startGatewayTo(backend.url);
  const answer = await rawRequest(gateway.port, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer.text).not.toMatch(/^HTTP\/1\.\d 103/m);
});

test.each(["X-Forwarded-For: 192.0.2.1", "Via: 1.1 a", "Connection: close"])(
  "a proxy that speaks HTTP/1.1 gets the response only, as nginx before 1.29 waits for ever behind a 103: %s",
  async (field) => {
    const backend = await startBackend((request) => request.send(HINTS + FINAL));
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
    await client.received("\r\n\r\nok");
    expect(client.text).not.toMatch(/^HTTP\/1\.\d 103/m);
  },
);

test("100 Continue of a backend is not forwarded: sluice has answered the expectation", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.send(`HTTP/1.1 100 Continue\r\n\r\n${FINAL}`));
  });
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  await client.received("100 Continue\r\n\r\n");
  client.send("body");
  await client.received("\r\n\r\nok");
  expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
});

test("100 interim responses are forwarded; one more, or more than 64 KiB of them, is a 502", async () => {
  const long = `HTTP/1.1 103 Early Hints\r\nLink: ${"x".repeat(13_000)}\r\n\r\n`;
  const heads = [PROCESSING.repeat(100), PROCESSING.repeat(101), long.repeat(4), long.repeat(6)];
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const statuses: string[] = [];
  for (const head of heads) {
    const client = await openRaw(gateway.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const request = await backend.nextRequest();
    request.send(head + FINAL);
    await eventually(() => /HTTP\/1\.1 (?:200|502)/.test(client.text), "the response");
    client.leave();
    statuses.push(/HTTP\/1\.1 (?:200|502)/.exec(client.text)?.[0] ?? client.text.slice(-200));
  }
  expect(statuses).toEqual(["HTTP/1.1 200", "HTTP/1.1 502", "HTTP/1.1 200", "HTTP/1.1 502"]);
});

test("a client that leaves between an interim response and the response cancels its request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const request = await backend.nextRequest();
  request.send(HINTS);
  await client.received("103 Early Hints");
  client.leave();
  await request.connection.closed;
  await eventually(() => gateway.requestLines().length === 1, "the log line");
  expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
});
