import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { rawRequest } from "../support/raw-client.ts";

/** Starts a backend that answers each request with these bytes, in latin1, and a body of two bytes. */
const startOdd = (statusLine: string, fields: string) =>
  startBackend((request) =>
    request.send(Buffer.from(`${statusLine}\r\n${fields}Content-Length: 2\r\n\r\nok`, "latin1")),
  );

/** The requests by which a response goes through the fast path, and through node:http. */
const REQUESTS = [
  "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
  "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
];

/** Asks by HTTP/1, in each of the ways; returns the texts, without the fields that sluice and Node add. */
async function askByHttp1(statusLine: string, fields: string): Promise<string[]> {
  const backend = await startOdd(statusLine, fields);
  const gateway = await startGatewayTo(backend.url);
  const answers = await Promise.all(REQUESTS.map((request) => rawRequest(gateway.port, request)));
  const added = /^(?:Date|Connection|Content-Length|X-Request-Id):.*\r\n/gm;
  return answers.map(({ text }) => text.replace(added, ""));
}

const many = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => `${line(n)}\r\n`).join("");

test.each([
  ["VT, FF and other control characters in values", "200 OK", "X-A: a\vb\fc\x01\x7fd\r\nX-B: \ve\f\r\n"],
  ["obs-text in a value and the reason", "200 \xe9t\xe9", "X-A: \xe9\xff\r\n"],
  ["a status beyond 599", "699 WAY OUT THERE", "X-A: a\r\n"],
  ["the last status", "999 Last", ""],
  ["an empty value", "200 OK", "X-A: \r\nX-B: \r\n"],
  ["a name of odd token characters", "200 OK", "!#$%&'*+-.^_`|~9: a\r\n"],
  ["300 fields", "200 OK", many(300, (n) => `X-${n}: a`)],
  ["150 cookies", "200 OK", many(150, (n) => `Set-Cookie: c${n}=a; Path=/`)],
  ["two Content-Types", "200 OK", "Content-Type: text/html\r\nContent-Type: text/plain\r\n"],
])("by HTTP/1 %s pass unchanged", async (_name, status, fields) => {
  const whole = `HTTP/1.1 ${status}\r\n${fields}\r\nok`;
  expect(await askByHttp1(`HTTP/1.1 ${status}`, fields)).toEqual([whole, whole, whole]);
});

test.each([
  ["no reason", "HTTP/1.1 200", "200 "],
  ["a space for the reason", "HTTP/1.1 200 ", "200 "],
  ["a higher minor version", "HTTP/1.2 200 OK", "200 OK"],
  ["a control character in the reason, which is dropped", "HTTP/1.1 200 O\vK", "200 "],
])("a status line with %s passes", async (_name, line, status) => {
  const whole = `HTTP/1.1 ${status}\r\n\r\nok`;
  expect(await askByHttp1(line, "")).toEqual([whole, whole, whole]);
});

test.each([
  ["a NUL in a value", "HTTP/1.1 200 OK", "X-A: a\0b\r\n"],
  ["a bare LF in a value", "HTTP/1.1 200 OK", "X-A: a\nB: c\r\n"],
  ["a bare CR in a value", "HTTP/1.1 200 OK", "X-A: a\rb\r\n"],
  ["VT behind a Connection option", "HTTP/1.1 200 OK", "Connection: close\v\r\n"],
  ["FF behind chunked", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\f\r\n"],
  ["a status below 100", "HTTP/1.1 099 Low", ""],
  ["another protocol's version", "HTTP/2.0 200 OK", ""],
])("%s is still a 502", async (_name, line, fields) => {
  for (const text of await askByHttp1(line, fields)) expect(text).toMatch(/^HTTP\/1\.1 502 /);
});

test("trailer fields with control characters are dropped, and the others pass", async () => {
  const chunks = "2\r\nok\r\n0\r\nX-Odd: a\vb\r\nX-Sum: 1\r\n\r\n";
  const backend = await startBackend((request) =>
    request.send(`HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
  );
  const gateway = await startGatewayTo(backend.url);
  for (const request of REQUESTS.slice(0, 2)) {
    const { text } = await rawRequest(gateway.port, request);
    expect(text).toMatch(/\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  }
});

test("by HTTP/2 a control character becomes a space, and a status beyond 599, which Node refuses, 500", async () => {
  const backend = await startOdd(
    "HTTP/1.1 699 WAY",
    "X-A: a\vb\x7fc\r\nX-B: \ve\f\r\nX-C: \xe9\r\nX-D: \v\r\n",
  );
  const gateway = await startSecureGatewayTo(backend.url);
  const exchange = (await openHttp2(gateway.port)).request();
  expect(await exchange.closed()).toBe(0);
  expect([exchange.status, exchange.text]).toEqual([500, "ok"]);
  expect(exchange.headers).toMatchObject({ "x-a": "a b c", "x-b": "e", "x-c": "\xe9", "x-d": "" });
});
