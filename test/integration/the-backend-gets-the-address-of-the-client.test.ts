import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

async function ask(
  headers: Record<string, string>,
  trustedProxies: string[] = [],
  rewrite: Record<string, string> = {},
): Promise<{ request: BackendRequest; client: StreamClient; log: Record<string, unknown>; host: string }> {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url, { rewrite }, { trustedProxies });
  const client = openStream(gateway.port, { path: "/app/x", headers });
  await client.ended();
  return {
    request: await backend.nextRequest(),
    client,
    log: await gateway.requestLine(),
    host: gateway.host,
  };
}

const claims = {
  "X-Forwarded-For": "203.0.113.7, 198.51.100.1",
  "X-Forwarded-Proto": "https",
  "X-Forwarded-Host": "claimed.example",
  "X-Real-IP": "203.0.113.7",
  "X-Request-Id": "claimed-id",
};

test("an untrusted client's forwarded fields are replaced", async () => {
  const { request, client, log, host } = await ask({ ...claims, Forwarded: "for=203.0.113.7" });
  expect(request.fieldLines("x-forwarded-for")).toEqual(["127.0.0.1"]);
  expect(request.fieldLines("x-forwarded-proto")).toEqual(["http"]);
  expect(request.fieldLines("x-forwarded-host")).toEqual([host]);
  expect(request.fieldLines("x-real-ip")).toEqual(["127.0.0.1"]);
  expect(request.field("forwarded") ?? "").not.toContain("203.0.113.7");
  expect(request.field("x-request-id")).not.toBe("claimed-id");
  expect(client.field("x-request-id")).toBe(request.field("x-request-id"));
  expect(log["reqId"]).toBe(request.field("x-request-id"));
});

test("spellings that a CGI backend reads as the same field are removed too", async () => {
  const { request } = await ask({ X_Forwarded_For: "6.6.6.6", "X.Real.IP": "6.6.6.6", x_request_id: "6" });
  expect(request.head.raw.toString()).not.toContain("6.6.6.6");
});

test("a trusted proxy's forwarded fields are kept, and its address is added", async () => {
  const { request, client, log } = await ask(claims, ["127.0.0.0/8"]);
  expect(request.fieldLines("x-forwarded-for").join(", ")).toBe("203.0.113.7, 198.51.100.1, 127.0.0.1");
  expect(request.fieldLines("x-forwarded-proto")).toEqual(["https"]);
  expect(request.fieldLines("x-forwarded-host")).toEqual(["claimed.example"]);
  // The rightmost address that is not a trusted proxy: any client may have written the addresses further left.
  expect(request.fieldLines("x-real-ip")).toEqual(["198.51.100.1"]);
  expect(request.fieldLines("x-request-id")).toEqual(["claimed-id"]);
  expect(client.fieldLines("x-request-id")).toEqual(["claimed-id"]);
  expect(log["reqId"]).toBe("claimed-id");
});

test.each([
  ["a thousand entries", Array.from({ length: 1000 }, () => "1.2.3.4").join(", ")],
  ["unknown", "unknown, _hidden"],
  ["an IPv6 zone", "fe80::1%eth0"],
  ["nonsense", "<script>, ,,;;"],
])("X-Forwarded-For with %s from a trusted proxy does no harm", async (_name, value) => {
  const { client } = await ask({ "X-Forwarded-For": value }, ["127.0.0.1"]);
  expect(client.head?.status).toBe(200);
});

test.each(["a b", "x".repeat(5000), "caf\xe9", ""])(
  "an invalid X-Request-Id of %j from a trusted proxy is replaced",
  async (id) => {
    const { client } = await ask({ "X-Request-Id": id }, ["127.0.0.1"]);
    expect(client.head?.status).toBe(200);
    expect(client.field("x-request-id")).toMatch(/^[\x21-\x7e]{1,200}$/);
  },
);

test("traceparent is forwarded", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  expect((await ask({ traceparent })).request.field("traceparent")).toBe(traceparent);
});

test.each([
  [{}, undefined, "80"],
  [{}, "app.example:8443", "8443"],
  [{ "X-Forwarded-Port": "9999" }, "app.example", "80"],
  [{ X_Forwarded_Port: "9999" }, "app.example", "80"],
])("with %j from an untrusted client, X-Forwarded-Port is that of Host %s", async (headers, host, port) => {
  const { request, host: own } = await ask({ ...headers, ...(host !== undefined && { Host: host }) });
  const expected = host === undefined ? own.split(":")[1] : port;
  expect(request.fieldLines("x-forwarded-port")).toEqual([expected]);
  expect(request.head.raw.toString()).not.toContain("9999");
});

test.each([
  [{ "X-Forwarded-Port": "8443" }, "8443"],
  [{ "X-Forwarded-Proto": "https" }, "443"],
  [{ "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example:444" }, "444"],
  [{ "X-Forwarded-Proto": "https", "X-Forwarded-Port": "none" }, "443"],
])("with %j from a trusted proxy, X-Forwarded-Port is %s", async (headers, port) => {
  const { request } = await ask({ Host: "app.example", ...headers }, ["127.0.0.1"]);
  expect(request.fieldLines("x-forwarded-port")).toEqual([port]);
});

const STRIPPED = { stripPrefix: "/app" };

test.each([
  [{}, STRIPPED, ["/app"]],
  [{ "X-Forwarded-Prefix": "/evil" }, STRIPPED, ["/app"]],
  [{ X_Forwarded_Prefix: "/evil" }, STRIPPED, ["/app"]],
  [{ "X-Forwarded-Prefix": "/evil" }, {}, []],
  [{}, { stripPrefix: "/other" }, []],
  [{}, { addPrefix: "/v1" }, []],
])(
  "with %j from an untrusted client and %j, X-Forwarded-Prefix is %j",
  async (headers, rewrite, prefixes) => {
    const { request } = await ask(headers, [], rewrite);
    expect(request.fieldLines("x-forwarded-prefix")).toEqual(prefixes);
    expect(request.head.raw.toString()).not.toContain("evil");
  },
);

test.each([
  [{ "X-Forwarded-Prefix": "/outer" }, STRIPPED, ["/outer/app"]],
  [{ "X-Forwarded-Prefix": "/a/, /b" }, STRIPPED, ["/a/b/app"]],
  [{ "X-Forwarded-Prefix": "//evil.example" }, STRIPPED, ["/app"]],
  [{ "X-Forwarded-Prefix": "/outer" }, {}, ["/outer"]],
])("with %j from a trusted proxy and %j, X-Forwarded-Prefix is %j", async (headers, rewrite, prefixes) => {
  const { request } = await ask(headers, ["127.0.0.1"], rewrite);
  expect(request.fieldLines("x-forwarded-prefix")).toEqual(prefixes);
});

test.each([
  [{ "X-Forwarded-Proto": "https" }, "443"],
  [{ "x-forwarded-proto": "https", "X-Forwarded-Host": "a.example:8443" }, "8443"],
  [{ "X-Forwarded-Port": "9" }, "9"],
])("with %j set by the route, X-Forwarded-Port is %s", async (set, port) => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url, { headers: { request: { set } } });
  openStream(gateway.port, { headers: { Host: "app.example" } });
  expect((await backend.nextRequest()).fieldLines("x-forwarded-port")).toEqual([port]);
});
