import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

// The support of a vendor asks for the vendor's request id.

async function ask(script: (request: BackendRequest) => void, route: Record<string, unknown> = {}) {
  const backend = await startBackend(script);
  const gateway = await startGatewayTo(backend.url, route);
  const client = openStream(gateway.port);
  await client.opened();
  const seen = await backend.nextRequest();
  client.leave();
  const line = await gateway.requestLine();
  return { ids: client.fieldLines("x-request-id"), line, sent: seen.field("x-request-id") };
}

const VENDOR = { "x-request-id": "req_011CVendor" };

test.each([
  ["an ordinary response", (request: BackendRequest) => request.respond(200, VENDOR, "ok")],
  ["an error of the backend", (request: BackendRequest) => request.respond(429, VENDOR, "no")],
  ["a stream", (request: BackendRequest) => request.openStream(VENDOR)],
])("%s keeps its id, once, and the log line has both", async (_name, script) => {
  const { ids, line, sent } = await ask(script);
  expect(ids).toEqual(["req_011CVendor"]);
  expect(line).toMatchObject({ reqId: sent, backendReqId: "req_011CVendor" });
  expect(sent).not.toBe("req_011CVendor");
});

test("a response without an id, with an empty one, or with ours, has ours", async () => {
  for (const script of [
    (request: BackendRequest) => request.respond(200, {}, "ok"),
    (request: BackendRequest) => request.respond(200, { "X-Request-Id": "" }, "ok"),
    (request: BackendRequest) =>
      request.respond(200, { "X-Request-Id": request.field("x-request-id") ?? "" }, "ok"),
  ]) {
    const { ids, line, sent } = await ask(script);
    expect(ids).toEqual([sent]);
    expect(line["reqId"]).toBe(sent);
    expect(line).not.toHaveProperty("backendReqId");
  }
});

test("two ids become one, and a long one is cut in the log", async () => {
  const long = "i".repeat(1000);
  const { ids, line } = await ask((request) =>
    request.respond(200, { "X-Request-Id": [long, "second"] }, "ok"),
  );
  expect(ids).toEqual([long]);
  expect(line["backendReqId"]).toBe("i".repeat(200));
});

test("a route that removes the field sends ours", async () => {
  const { ids, sent } = await ask((request) => request.respond(200, VENDOR, "ok"), {
    headers: { response: { remove: ["X-Request-Id"] } },
  });
  expect(ids).toEqual([sent]);
});
