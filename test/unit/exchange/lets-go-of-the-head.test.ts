import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Exchange } from "../../../src/exchange/exchange.ts";
import { createTrust, UNIX_PEER } from "../../../src/http/address.ts";
import { parseRequest } from "../../../src/http/request-parser.ts";
import { createLog } from "../../../src/observe/log.ts";

const STREAMS = 200;
const COOKIE_BYTES = 16 * 1024;

const log = createLog({ level: "silent", format: "json" });
const trust = createTrust(["127.0.0.1"]);

function open(number: number, path = "/a-path-that-is-long-enough-to-be-a-slice"): Exchange {
  const head = [
    `GET ${path}?with=a-query-of-its-own HTTP/1.1`,
    "Host: a-host-of-many-characters.example",
    `Cookie: ${String(number % 10).repeat(COOKIE_BYTES)}`,
    "X-Forwarded-For: 203.0.113.254",
    "X-Request-Id: 6d3c0d3a-2c4f-4d3b-9f3e-2f9f1c1d7a55",
  ].join("\r\n");
  const request = parseRequest(Buffer.from(`${head}\r\n\r\n`), { headerBytes: 64 * 1024, headers: 100 });
  if (request === undefined) throw new Error("not plain");
  const { rawHeaders } = request;
  const host = "a-host-of-many-characters.example";
  const client = trust.resolveClient({ peer: UNIX_PEER, tls: false, rawHeaders, host });
  const exchange = new Exchange(request, client, { log, onSettled() {}, onFault() {} });
  exchange.foundHost(host);
  const [target = "", query = ""] = request.url.split("?");
  exchange.foundTarget({ path: target, query: `?${query}` });
  return exchange;
}

test("an open stream keeps the facts of its log line, but not its request's head", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  const exchanges = Array.from({ length: STREAMS }, (_, number) => {
    const exchange = open(number);
    exchange.forgetHead();
    return exchange;
  });
  collect();
  const held = (process.memoryUsage().heapUsed - before) / STREAMS;
  expect(held).toBeLessThan(COOKIE_BYTES / 4);
  expect(exchanges[0]?.facts()).toMatchObject({
    reqId: "6d3c0d3a-2c4f-4d3b-9f3e-2f9f1c1d7a55",
    method: "GET",
    path: "/a-path-that-is-long-enough-to-be-a-slice",
    client: "203.0.113.254",
  });
});

test("each open stream keeps its own path", () => {
  const paths = ["/one-of-the-longer-paths", "/one-of-the-longer-paths", "/another-path", "/"];
  const exchanges = paths.map((path, number) => open(number, path));
  for (const exchange of exchanges) exchange.forgetHead();
  expect(exchanges.map(({ path }) => path)).toEqual(paths);
});
