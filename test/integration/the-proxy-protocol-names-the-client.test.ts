import { mkdtempSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { PROXY_V2_LOCAL, proxyV1, proxyV2 } from "../support/proxy-header.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";

async function startProxied(
  server: Readonly<Record<string, unknown>> = {},
  route: Readonly<Record<string, unknown>> = {},
  listen: Readonly<Record<string, unknown>> = {},
) {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url, route, {
    listen: { address: "127.0.0.1:0", proxyProtocol: true, ...listen },
    ...server,
  });
  return { backend, gateway };
}

const seenBy = (backend: Backend) => {
  const [request] = backend.requests;
  return [
    request?.field("x-forwarded-for"),
    request?.field("x-real-ip"),
    request?.field("x-forwarded-proto"),
  ];
};

describe.each([
  ["version 1", Buffer.from(proxyV1("203.0.113.7"))],
  ["version 2", proxyV2("203.0.113.7", Buffer.from("\x02\x00\x06a.test", "latin1"))],
])("%s", (_, header) => {
  test("sets the client's address for the backend and the log, instead of the proxy's", async () => {
    const { backend, gateway } = await startProxied();
    const { status } = await rawRequest(gateway.port, Buffer.concat([header, Buffer.from(GET)]), {
      until: "\r\n\r\n",
    });
    expect(status).toBe(200);
    expect(seenBy(backend)).toEqual(["203.0.113.7", "203.0.113.7", "http"]);
    expect(await gateway.requestLine()).toMatchObject({ client: "203.0.113.7" });
  });

  test("can arrive byte by byte", async () => {
    const { backend, gateway } = await startProxied();
    const bytes = [...Buffer.concat([header, Buffer.from(GET)])].map((byte) => Buffer.from([byte]));
    const { status } = await rawRequest(gateway.port, bytes, { pauseMs: 1, until: "\r\n\r\n" });
    expect(status).toBe(200);
    expect(seenBy(backend)[0]).toBe("203.0.113.7");
  });

  test("is read once per connection and applies to all of its requests", async () => {
    const { backend, gateway } = await startProxied();
    const client = await openRaw(gateway.port);
    client.send(header);
    client.send(GET);
    await eventually(() => backend.requests.length === 1, "the first request");
    client.send(GET);
    await eventually(() => backend.requests.length === 2, "the second request");
    expect(backend.requests[1]?.field("x-forwarded-for")).toBe("203.0.113.7");
    client.send(header);
    await client.received("400");
  });

  test("precedes TLS with HTTP/2", async () => {
    const tls = await certificateFiles();
    const { backend, gateway } = await startProxied({}, {}, { tls });
    const tcp = connectTcp(gateway.port, "127.0.0.1");
    tcp.write(header);
    const socket = connect({ socket: tcp, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    const client = await openHttp2(gateway.port, { createConnection: () => socket });
    expect((await client.request().opened())[":status"]).toBe(200);
    expect(seenBy(backend)).toEqual(["203.0.113.7", "203.0.113.7", "https"]);
  });

  test("works over a unix socket, with or without TLS and HTTP/2", async () => {
    const backend = await startBackend((request) => request.respond());
    const paths = ["plain", "secure"].map((name) => join(mkdtempSync(join(tmpdir(), "sluice-proxy-")), name));
    const [plain = "", secure = ""] = paths;
    const tls = await certificateFiles();
    await startGatewayTo(
      backend.url,
      {},
      {
        listen: [
          { address: `unix:${plain}`, proxyProtocol: true },
          { address: `unix:${secure}`, proxyProtocol: true, tls },
        ],
      },
    );
    const answer = await rawRequest(plain, Buffer.concat([header, Buffer.from(GET)]), { until: "\r\n\r\n" });
    expect(answer.status).toBe(200);
    expect(seenBy(backend)).toEqual(["203.0.113.7", "203.0.113.7", "http"]);
    backend.requests.length = 0;
    const raw = connectTcp(secure);
    raw.write(header);
    const socket = connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    const client = await openHttp2(0, { createConnection: () => socket });
    expect((await client.request().opened())[":status"]).toBe(200);
    expect(seenBy(backend)).toEqual(["203.0.113.7", "203.0.113.7", "https"]);
  });

  test("precedes TLS with HTTP/1", async () => {
    const tls = await certificateFiles();
    const { backend, gateway } = await startProxied({}, {}, { tls });
    const tcp = connectTcp(gateway.port, "127.0.0.1");
    tcp.write(header);
    const socket = connect({ socket: tcp, rejectUnauthorized: false });
    socket.write(GET);
    await eventually(() => backend.requests.length === 1, "the request");
    expect(seenBy(backend)).toEqual(["203.0.113.7", "203.0.113.7", "https"]);
    socket.destroy();
  });
});

test("access lists and trusted proxies apply to the address in the header", async () => {
  const { gateway } = await startProxied(
    { trustedProxies: ["203.0.113.0/24"] },
    { access: { allow: ["10.0.0.1", "198.51.100.1"] } },
  );
  const statusFrom = async (address: string, request = GET) =>
    (await rawRequest(gateway.port, proxyV1(address) + request, { until: "\r\n\r\n" })).status;
  expect(await statusFrom("198.51.100.1")).toBe(200);
  expect(await statusFrom("198.51.100.2")).toBe(403);
  // A trusted proxy's field with its client's address.
  expect(await statusFrom("203.0.113.9")).toBe(200);
  expect(await statusFrom("203.0.113.9", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).toBe(403);
});

test("a proxy that sends a LOCAL header is the client itself, with its own trust", async () => {
  const { backend, gateway } = await startProxied();
  await rawRequest(gateway.port, Buffer.concat([PROXY_V2_LOCAL, Buffer.from(GET)]), { until: "\r\n\r\n" });
  expect(seenBy(backend)[0]).toBe("127.0.0.1");
});

test("a client on a unix socket in the header is not trusted", async () => {
  const { backend, gateway } = await startProxied();
  const header = proxyV2("192.0.2.1", Buffer.alloc(204));
  header.writeUInt8(0x31, 13);
  await rawRequest(gateway.port, Buffer.concat([header, Buffer.from(GET)]), { until: "\r\n\r\n" });
  expect(seenBy(backend)[0]).toBe("unknown");
});

test.each([
  ["absent", GET],
  ["garbage", "\x00\x01\x02\x03"],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
  ["of an invalid family", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"],
  ["too long", `PROXY UNKNOWN ${"x".repeat(200)}`],
  ["half of one, and then the end", "PROXY TCP4 1.2"],
])("a connection whose header is %s is closed without a response", async (_, bytes) => {
  const { backend, gateway } = await startProxied();
  const client = await openRaw(gateway.port);
  client.send(bytes);
  if (bytes.endsWith("1.2")) client.halfClose();
  await client.ended();
  expect(client.text).toBe("");
  expect(backend.connections).toEqual([]);
});

test("a header that does not come in time closes the connection", async () => {
  const { gateway } = await startProxied({ limits: { requestTimeout: "200ms" } });
  const client = await openRaw(gateway.port);
  client.send("PROXY TCP4 ");
  await client.ended();
  expect(client.text).toBe("");
});

test("a header on a listener without proxyProtocol gets 400", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  for (const header of [proxyV1("203.0.113.7"), proxyV2("203.0.113.7")]) {
    const answer = await rawRequest(gateway.port, Buffer.concat([Buffer.from(header), Buffer.from(GET)]));
    expect(answer.status).toBe(400);
  }
  expect(backend.requests).toEqual([]);
});

test("a closing gateway does not wait for a header", async () => {
  const { gateway } = await startProxied();
  const client = await openRaw(gateway.port);
  client.send("PROXY ");
  await new Promise((resolve) => setTimeout(resolve, 20));
  const startedAt = performance.now();
  await gateway.close();
  // A connection with a request would have 5 s.
  expect(performance.now() - startedAt).toBeLessThan(3000);
});
