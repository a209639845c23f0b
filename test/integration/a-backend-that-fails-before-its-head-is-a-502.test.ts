import { expect, test } from "vitest";
import { type BackendRequest, refusedPort, startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

async function expectRefusal(client: StreamClient, gateway: GatewayFixture, status: number, text: string) {
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(status);
  expect(client.field("content-type")).toMatch(/^application\/json/);
  const body = JSON.parse(client.text) as Record<string, string>;
  expect(Object.keys(body).sort()).toEqual(["error", "error_code", "error_msg", "request_id"]);
  expect(body["error_msg"]).toBe(text);
  expect(body["request_id"]).toBe(client.field("x-request-id"));
  expect(await gateway.requestLine()).toMatchObject({
    status,
    endReason: "backend_failed",
    reqId: body["request_id"],
  });
}

test("refused connection", async () => {
  const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`);
  await expectRefusal(openStream(gateway.port), gateway, 502, "Backend unavailable.");
});

test("missing unix socket", async () => {
  const gateway = await startGatewayTo("unix:/nonexistent/backend.sock");
  await expectRefusal(openStream(gateway.port), gateway, 502, "Backend unavailable.");
});

const FAILURES: Record<string, (request: BackendRequest) => void> = {
  "reset after the request": (request) => request.reset(),
  "close after the request": (request) => request.halfClose(),
  "half a head, then close": (request) => {
    request.send("HTTP/1.1 200 OK\r\nContent-Ty");
    request.halfClose();
  },
  "100 Continue and nothing else": (request) => {
    request.send("HTTP/1.1 100 Continue\r\n\r\n");
    request.halfClose();
  },
  "a head of 80 KiB": (request) => request.respond(200, { "X-Big": "x".repeat(80 * 1024) }),
  "not HTTP": (request) => request.send("SSH-2.0-OpenSSH_9.2\r\n"),
  "an HTTP/0.9 answer": (request) => {
    request.send("<html>hello</html>");
    request.halfClose();
  },
  "a bare LF head": (request) => request.send("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
  "a NUL in a field": (request) => request.send("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
  "a folded field": (request) => request.send("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
  "status 99": (request) => request.send("HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n"),
  "status 1000": (request) => request.respond(1000),
  "Content-Length and Transfer-Encoding": (request) =>
    request.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  "two Content-Lengths": (request) =>
    request.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
  "an unknown Transfer-Encoding": (request) =>
    request.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\n0\r\n\r\n"),
  "gzip, chunked": (request) =>
    request.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
  "two Transfer-Encodings": (request) =>
    request.send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
  "a flood of 103": (request) => {
    for (let n = 0; n <= 100; n++) request.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  },
  "an upgrade nobody asked for": (request) =>
    request.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
};

for (const [name, fail] of Object.entries(FAILURES)) {
  test(name, async () => {
    const backend = await startBackend(fail);
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, { method: "POST", body: "{}" });
    await expectRefusal(client, gateway, 502, "Backend unavailable.");
    // A request that may have had an effect is never sent twice.
    expect(backend.requests).toHaveLength(1);
    // The gateway runs, and the connection to the client is still usable.
    expect(client.socket.readyState).toBe("open");
  });
}

test("a few early hints are accepted", async () => {
  const backend = await startBackend((request) => {
    for (let n = 0; n < 3; n++) request.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    request.respond(200, {}, "ok");
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  await client.ended();
  expect([client.head?.status, client.text]).toEqual([200, "ok"]);
});

test("control characters in a reason phrase do not crash the gateway", async () => {
  const backend = await startBackend((request) =>
    request.send("HTTP/1.1 200 O\x01K\x7f\r\nContent-Length: 2\r\n\r\nok"),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect([200, 502]).toContain(client.head?.status);
  const control = [..."\x01\x7f"].filter((character) => client.head?.raw.includes(character));
  expect(control).toEqual([]);
});
