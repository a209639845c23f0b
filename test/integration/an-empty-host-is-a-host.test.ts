import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

// RFC 9112 section 3.2: a client sends an empty Host if its URI has no authority. docker build does.

test.each([
  ["a plain request", "GET /a HTTP/1.1\r\n"],
  ["a request that node:http reads", "\r\nGET /a HTTP/1.1\r\n"],
])("%s with an empty Host is served by a route for any host, and by no other", async (_name, line) => {
  const backend = await startBackend((request) => request.respond(200, {}, "served"));
  const gateway = await startGateway({
    routes: {
      any: { match: { path: "/a" }, upstream: backend.url },
      one: { match: { path: "/b", host: "b.example" }, upstream: backend.url },
    },
  });
  const served = await rawRequest(gateway.port, `${line}Host: \r\n\r\n`, { until: "served" });
  expect(served.status).toBe(200);
  expect((await backend.nextRequest()).fieldLines("host")).toEqual([`127.0.0.1:${backend.port}`]);
  const other = await rawRequest(gateway.port, `${line.replace("/a", "/b")}Host: \r\n\r\n`, { until: "}" });
  expect(other.status).toBe(404);
});

test("an absolute URI does not replace an empty Host", async () => {
  const backend = await startBackend();
  const gateway = await startGateway({ routes: { any: { match: { path: "/*" }, upstream: backend.url } } });
  const response = await rawRequest(gateway.port, "GET http://a/ HTTP/1.1\r\nHost: \r\n\r\n", { until: "}" });
  expect(response.status).toBe(400);
});
