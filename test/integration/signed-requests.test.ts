import { request as httpRequest } from "node:http";
import { expect, test } from "vitest";
import { payloadHash } from "../../src/auth/canonical-request.ts";
import { startPlainBackend } from "../support/answers.ts";
import {
  rawSigned,
  type Signed,
  signWithApigSdk,
  signWithCloudSdk,
  type Unsigned,
  WEB_CLIENT,
} from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const APPS = { "web-client": WEB_CLIENT };

async function startSigned(route: Record<string, unknown> = {}, server: Record<string, unknown> = {}) {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: APPS,
    server,
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["web-client"] }, ...route },
    },
  });
  return { backend, gateway };
}

/** Sends a request prepared by an SDK with Node's own client, and resolves with the status. */
const sendSigned = ({ method, path, headers }: Signed, port: number, body?: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, method, path, headers }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
    });
    request.once("error", reject);
    request.end(body);
  });

const REQUESTS: Readonly<Record<string, Omit<Unsigned, "host">>> = {
  "a plain GET": { method: "GET", path: "/stream" },
  "a query with an empty value": { method: "GET", path: "/stream", query: { a: [""], b: ["1"] } },
  "repeated names": { method: "GET", path: "/stream", query: { tag: ["z", "a", "m"] } },
  "encoded characters": { method: "GET", path: "/stream", query: { q: ["a b+c&d=e/f?é中😀"] } },
  "a name that begins another name": { method: "GET", path: "/s", query: { "a-b": ["2"], a: ["1"] } },
  "a signed field": { method: "DELETE", path: "/items/7", headers: { "X-Trace": "a, b;c=d" } },
  "a JSON body": {
    method: "POST",
    path: "/items",
    headers: { "content-type": "application/json" },
    body: '{"name":"stream","sizes":[1,2]}',
  },
};

test.each(Object.entries(REQUESTS))("a request of the gateway's SDK is accepted: %s", async (_, unsigned) => {
  const { backend, gateway } = await startSigned();
  const signed = signWithApigSdk({ ...unsigned, host: gateway.host }, WEB_CLIENT);
  expect(await sendSigned(signed, gateway.port, unsigned.body)).toBe(200);
  expect((await backend.requests[0]?.wholeBody())?.toString()).toBe(unsigned.body ?? "");
  expect(await gateway.requestLine()).toMatchObject({ app: "web-client", status: 200 });
});

test.each(Object.entries(REQUESTS))("a request of the cloud's SDK is accepted: %s", async (_, unsigned) => {
  const { gateway } = await startSigned();
  // The SDK reads a content type even if there is no body.
  const headers = { "content-type": "application/json", ...unsigned.headers };
  const signed = signWithCloudSdk({ ...unsigned, headers, host: gateway.host }, WEB_CLIENT);
  expect(await sendSigned(signed, gateway.port, unsigned.body)).toBe(200);
});

test("the gateway's SDK signs a path with spaces and characters beyond ASCII", async () => {
  const { backend, gateway } = await startSigned();
  const signed = signWithApigSdk({ method: "GET", host: gateway.host, path: "/a b/é" }, WEB_CLIENT);
  expect(await sendSigned(signed, gateway.port)).toBe(200);
  expect(backend.requests[0]?.target).toBe("/a%20b/%C3%A9");
});

test("the backend gets the app's name and no part of the credential", async () => {
  const { backend, gateway } = await startSigned();
  const raw = rawSigned(
    { method: "GET", host: gateway.host, path: "/stream" },
    {
      edit: (lines) => [
        ...lines,
        "X-App-Id: admin",
        "X_App_Id: admin",
        "x.app.id: admin",
        "X_Sdk_Key: k",
        "X-HTTP-Method-Override: DELETE",
        "X-Other: 1",
      ],
    },
  );
  expect((await rawRequest(gateway.port, raw, { until: "served" })).status).toBe(200);
  const names = backend.requests[0]?.head.fields.map(([name]) => name.toLowerCase()) ?? [];
  expect(backend.requests[0]?.fieldLines("x-app-id")).toEqual(["web-client"]);
  expect(names.filter((name) => /app.id|sdk|authorization|override/.test(name))).toEqual(["x-app-id"]);
  expect(names).toContain("x-other");
});

test("`auth.forward` leaves the credential in the request", async () => {
  const { backend, gateway } = await startSigned({ auth: { app: ["web-client"], forward: true } });
  const raw = rawSigned({ method: "GET", host: gateway.host, path: "/stream" });
  await rawRequest(gateway.port, raw, { until: "served" });
  expect(backend.requests[0]?.field("authorization")).toMatch(/^SDK-HMAC-SHA256 /);
  expect(backend.requests[0]?.field("x-sdk-date")).toMatch(/Z$/);
});

test.each([
  ["?lastEventId=7", "", ["7"]],
  ["?lastEventId=", "", []],
  ["?room=1&lastEventId=%E2%80%A6", "?room=1", ["\u00e2\u0080\u00a6"]],
] as const)("a polyfill may append %s to the signed query", async (query, left, ids) => {
  const { backend, gateway } = await startSigned();
  const signed = { method: "GET", host: gateway.host, path: "/stream" };
  const room = query.includes("room") ? { query: { room: ["1"] } } : {};
  const raw = rawSigned({ ...signed, ...room }, { target: `/stream${query}` });
  expect((await rawRequest(gateway.port, raw, { until: "served" })).status).toBe(200);
  expect(backend.requests[0]?.target).toBe(`/stream${left}`);
  expect(backend.requests[0]?.fieldLines("last-event-id")).toEqual(ids);
});

test("an id in a header field takes precedence, and a signed id stays in the query", async () => {
  const { backend, gateway } = await startSigned();
  const unsigned = { method: "GET", host: gateway.host, path: "/stream" };
  const both = rawSigned(unsigned, {
    target: "/stream?lastEventId=7",
    edit: (lines) => [...lines, "Last-Event-ID: 8"],
  });
  await rawRequest(gateway.port, both, { until: "served" });
  expect(backend.requests[0]?.fieldLines("last-event-id")).toEqual(["8"]);
  await rawRequest(gateway.port, rawSigned({ ...unsigned, query: { lastEventId: ["7"] } }), {
    until: "served",
  });
  expect(backend.requests[1]?.target).toBe("/stream?lastEventId=7");
  expect(backend.requests[1]?.fieldLines("last-event-id")).toEqual([]);
});

test("an unsigned body is streamed, a signed body is forwarded after it was verified as a whole", async () => {
  const backend = await startBackend();
  const { gateway } = await startSigned({ upstream: backend.url });
  const unsigned = {
    method: "POST",
    host: gateway.host,
    path: "/items",
    headers: { "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD" },
  };
  const client = await openRaw(gateway.port);
  client.send(rawSigned(unsigned, { edit: (lines) => [...lines, "Transfer-Encoding: chunked"] }));
  client.send("3\r\nabc\r\n");
  const request = await backend.nextRequest();
  client.send("3\r\ndef\r\n0\r\n\r\n");
  expect((await request.wholeBody()).toString()).toBe("abcdef");
  request.respond(200);

  const chunked = rawSigned(
    { method: "POST", host: gateway.host, path: "/items", body: "abcdef" },
    {
      edit: (lines) => [
        ...lines.filter((line) => !line.startsWith("content-length")),
        "Transfer-Encoding: chunked",
      ],
    },
  );
  const head = chunked.subarray(0, chunked.indexOf("\r\n\r\n") + 4);
  const other = await openRaw(gateway.port);
  other.send(head);
  other.send("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
  const whole = await backend.nextRequest();
  expect((await whole.wholeBody()).toString()).toBe("abcdef");
  expect(whole.field("content-length")).toBe("6");
  expect(whole.field("transfer-encoding")).toBeUndefined();
});

test("100 Continue is sent after the head was verified, and not before", async () => {
  const { backend, gateway } = await startSigned();
  const expecting = (extra: readonly string[]) => {
    const raw = rawSigned(
      { method: "POST", host: gateway.host, path: "/items", body: "abc" },
      { edit: (lines) => [...lines, "Expect: 100-continue", ...extra] },
    );
    return raw.subarray(0, raw.length - 3);
  };
  const client = await openRaw(gateway.port);
  client.send(expecting([]));
  await client.received("HTTP/1.1 100 Continue\r\n\r\n");
  expect(backend.requests).toHaveLength(0);
  client.send("abc");
  await client.received("served");
  const refused = await rawRequest(gateway.port, expecting(["Authorization: Basic eDp5"]));
  expect(refused.text).toMatch(/^HTTP\/1\.1 401 /);
  expect(refused.text).not.toContain("100 Continue");
});

test("a body beyond limits.bodyBytes gets a 413, with or without a Content-Length", async () => {
  const { backend, gateway } = await startSigned({}, { limits: { bodyBytes: 5 } });
  const unsigned = { method: "POST", host: gateway.host, path: "/items", body: "abcdef" };
  expect((await rawRequest(gateway.port, rawSigned(unsigned), { until: "request_id" })).status).toBe(413);
  const chunked = rawSigned(unsigned, {
    edit: (lines) => [
      ...lines.filter((line) => !line.startsWith("content-length")),
      "Transfer-Encoding: chunked",
    ],
  });
  const head = chunked.subarray(0, chunked.indexOf("\r\n\r\n") + 4);
  const answer = await rawRequest(gateway.port, [head, "6\r\nabcdef\r\n"], { until: "request_id" });
  expect(answer.status).toBe(413);
  expect(answer.text).toContain("APIG.0201");
  expect(backend.bytesReceived).toBe(0);
});

test("an app that may not use the route gets a 403", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: { ...APPS, other: { key: "other", secret: "other-secret" } },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["other"] } } },
  });
  const raw = rawSigned({ method: "GET", host: gateway.host, path: "/" });
  const answer = await rawRequest(gateway.port, raw, { until: "request_id" });
  expect(answer.status).toBe(403);
  expect(answer.text).toContain("APIG.0304");
  expect(backend.bytesReceived).toBe(0);
});

test("debug mode shows the reason in the API gateway's words, if the route allows it", async () => {
  const { gateway } = await startSigned({ debug: true });
  const quiet = await startSigned();
  const ask = async (port: number, host: string, app = WEB_CLIENT, mode = "X-Apig-Mode: debug") => {
    const raw = rawSigned(
      { method: "GET", host, path: "/stream", query: { a: ["1"] } },
      {
        app,
        target: "/stream?a=2",
        edit: (lines) => [...lines, mode],
      },
    );
    const { text } = await rawRequest(port, raw, { until: "request_id" });
    return (JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as { error_msg: string }).error_msg;
  };
  const plain = "Incorrect app authentication information";
  const date = "\\d{8}T\\d{6}Z";
  expect(await ask(gateway.port, gateway.host)).toMatch(
    new RegExp(
      `^${plain}: verify signature fail, canonicalRequest:GET\\|/stream/\\|a=2\\|host:${gateway.host}\\|x-sdk-date:${date}\\|\\|host;x-sdk-date\\|${payloadHash("")}$`,
    ),
  );
  expect(await ask(gateway.port, gateway.host, { key: "nobody", secret: "x" })).toBe(
    `${plain}: app not found, appkey nobody`,
  );
  expect(await ask(gateway.port, gateway.host, WEB_CLIENT, "X-Other: debug")).toBe(plain);
  expect(await ask(quiet.gateway.port, quiet.gateway.host)).toBe(plain);
});
