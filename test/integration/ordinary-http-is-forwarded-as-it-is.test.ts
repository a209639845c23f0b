import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const MiB = 1024 ** 2;
const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
/** Bytes that reveal a lost, repeated or moved part. */
const patterned = (size: number): Buffer => {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32BE((at * 2_654_435_761) >>> 0, at);
  return bytes;
};

test("status, fields and body of a response are forwarded unchanged", async () => {
  const backend = await startBackend((request) =>
    request.respond(
      418,
      {
        "Content-Type": "text/html; charset=utf-8",
        ETag: 'W/"1"',
        "Set-Cookie": ["a=1; Path=/", "b=2"],
        Location: "https://elsewhere.example/x?y#z",
        "X-MiXeD": "Case",
        "Content-Encoding": "br",
        "Cache-Control": "max-age=60",
        Server: "scripted",
      },
      "<h1>teapot</h1>",
    ),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { path: "/x?y=1&y=2" });
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(418);
  expect(client.text).toBe("<h1>teapot</h1>");
  expect(client.fieldLines("set-cookie")).toEqual(["a=1; Path=/", "b=2"]);
  expect(client.head?.fields).toContainEqual(["X-MiXeD", "Case"]);
  for (const [name, value] of [
    ["etag", 'W/"1"'],
    ["location", "https://elsewhere.example/x?y#z"],
    ["content-encoding", "br"],
    ["cache-control", "max-age=60"],
    ["content-length", "15"],
  ] as const) {
    expect(client.fieldLines(name)).toEqual([value]);
  }
  expect(backend.requests[0]?.target).toBe("/x?y=1&y=2");
});

test("the client's hop-by-hop fields are removed, all others reach the backend in order", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, {
    headers: {
      Connection: "keep-alive, X-Hop, Authorization",
      "Keep-Alive": "timeout=987",
      "Proxy-Authorization": "Basic x",
      "Proxy-Connection": "keep-alive",
      TE: "gzip",
      "X-Hop": "1",
      Authorization: "Bearer kept",
      "Last-Event-ID": "7\xe9",
      "X-B": "1",
      "X-A": "2",
    },
  });
  await client.ended();
  const [request] = backend.requests;
  for (const name of ["x-hop", "keep-alive", "proxy-authorization", "proxy-connection", "te"]) {
    expect(request?.field(name), name).toBeUndefined();
  }
  // If Connection could name it, a credential would be removed after the gateway had checked it.
  expect(request?.field("authorization")).toBe("Bearer kept");
  expect(request?.field("last-event-id")).toBeDefined();
  const names = request?.head.fields.map(([name]) => name) ?? [];
  expect(names.indexOf("X-B")).toBeLessThan(names.indexOf("X-A"));
  expect(request?.fieldLines("host")).toEqual([gateway.host]);
});

for (const [name, response] of [
  ["204", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"],
  ["304", 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nX-A: 1\r\n\r\n'],
] as const) {
  test(`${name} has no body, and the connection stays open`, async () => {
    const backend = await startBackend((request) => request.send(response));
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, { headers: { "If-None-Match": '"1"' } });
    await client.ended();
    expect(client.head?.status).toBe(Number(name));
    expect(client.field("x-a")).toBe("1");
    expect(client.field("transfer-encoding")).toBeUndefined();
    expect(client.socket.readyState).toBe("open");
    expect(backend.requests[0]?.field("if-none-match")).toBe('"1"');
  });
}

test("206 and its range are forwarded", async () => {
  const backend = await startBackend((request) =>
    request.respond(206, { "Content-Range": "bytes 0-3/10" }, "four"),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { headers: { Range: "bytes=0-3" } });
  await client.ended();
  expect([client.head?.status, client.field("content-range"), client.text]).toEqual([
    206,
    "bytes 0-3/10",
    "four",
  ]);
  expect(backend.requests[0]?.field("range")).toBe("bytes=0-3");
});

test("32 MiB in each direction arrive byte for byte, with a length and chunked", async () => {
  const body = patterned(32 * MiB);
  const backend = await startBackend((request) => {
    void request.wholeBody().then((received) => {
      if (request.target === "/counted") return request.respond(200, {}, received);
      request.openStream({ "Content-Type": "application/octet-stream" });
      for (let at = 0; at < received.length; at += 77_777) request.emit(received.subarray(at, at + 77_777));
      request.endStream();
    });
  });
  const gateway = await startGatewayTo(backend.url);
  for (const path of ["/counted", "/chunked"]) {
    const framing: Record<string, string> =
      path === "/counted" ? { "Content-Length": String(body.length) } : { "Transfer-Encoding": "chunked" };
    const client = openStream(gateway.port, { method: "PUT", path, headers: framing });
    if (path === "/counted") client.socket.write(body);
    else {
      client.socket.write(`${body.length.toString(16)}\r\n`);
      client.socket.write(body);
      client.socket.write("\r\n0\r\n\r\n");
    }
    expect(await client.ended(20_000)).toBe("clean");
    expect(client.body.length).toBe(body.length);
    expect(sha(client.body)).toBe(sha(body));
  }
});

test("keep-alive: one client connection and one backend connection carry many requests", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, request.target));
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  for (let n = 0; n < 10; n++) {
    client.send(`GET /${n} HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`);
    await client.received(`\r\n\r\n/${n}`);
    await gateway.requestLine(n);
  }
  expect(backend.connections).toHaveLength(1);
});

test("pipelined requests are answered in their order", async () => {
  const backend = await startBackend((request) => {
    // The first takes longest: a response that overtook it would be wrong.
    setTimeout(() => request.respond(200, {}, `<${request.target}>`), request.target === "/0" ? 60 : 0);
  });
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send([0, 1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`).join(""));
  await client.received("</3>");
  expect(client.text.match(/<\/\d>/g)).toEqual(["</0>", "</1>", "</2>", "</3>"]);
  expect(gateway.requestLines()).toHaveLength(4);
});

test("a DELETE with a chunked body is one request at the backend", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "ok"));
  });
  const gateway = await startGatewayTo(backend.url);
  const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`;
  for (const method of ["DELETE", "OPTIONS", "GET"]) {
    const client = openStream(gateway.port, { method, headers: { "Transfer-Encoding": "chunked" } });
    client.socket.write(`${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`);
    expect(await client.ended()).toBe("clean");
    expect(backend.requests.at(-1)?.method).toBe(method);
    expect(backend.requests.at(-1)?.body.toString()).toBe(smuggled);
  }
  expect(backend.requests).toHaveLength(3);
});

test("a slow ordinary response is forwarded as it arrives", async () => {
  const backend = await startBackend((request) => request.openStream({ "Content-Type": "text/plain" }));
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  await client.opened();
  const request = await backend.nextRequest();
  for (const piece of ["one", "two", "three"]) {
    request.emit(piece);
    await client.received(piece);
  }
  request.endStream();
  expect(await client.ended()).toBe("clean");
});

test("hostHeader: backend sends the backend's own name, and rewrite its own path", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo("http://unused", {
    upstream: { backends: [{ url: backend.url }], hostHeader: "backend" },
    rewrite: { stripPrefix: "/api", addPrefix: "/v1" },
    headers: {
      request: { set: { "X-Set": "1" }, remove: ["X-Gone"] },
      response: { set: { "X-Set": "2" }, remove: ["X-Gone"] },
    },
  });
  const client = openStream(gateway.port, { path: "/api/a%2fb?c", headers: { "X-Gone": "1", "X-Set": "0" } });
  await client.ended();
  const [request] = backend.requests;
  expect(request?.fieldLines("host")).toEqual([`127.0.0.1:${backend.port}`]);
  expect(request?.target).toBe("/v1/a%2fb?c");
  expect(request?.field("x-gone")).toBeUndefined();
  expect(request?.fieldLines("x-set")).toEqual(["1"]);
  expect(client.fieldLines("x-set")).toEqual(["2"]);
});

test("bytes after the request of a stream are bounded, and are not a request", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  await client.received(":\n");
  client.socket.on("error", () => undefined);
  client.socket.write("not http\r\n\r\n".repeat(20_000));
  await eventually(() => client.end, "the end of the connection");
  await eventually(() => backend.openConnections === 0, "the cancelled backend request");
  expect(backend.requests).toHaveLength(1);
});

test.each(["PURGE", "PROPFIND", "MKCALENDAR", "REPORT", "LOCK", "QUERY"])(
  "%s is forwarded",
  async (method) => {
    const backend = await startBackend((request) => {
      void request.wholeBody().then((body) => request.respond(200, {}, body));
    });
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, { method, body: "<a/>" });
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe("<a/>");
    expect(backend.requests[0]?.method).toBe(method);
  },
);

test("any method is forwarded from HTTP/2", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startSecureGatewayTo(backend.url);
  const client = await openHttp2(gateway.port);
  const exchange = client.request({ ":method": "CHICKEN" });
  await exchange.received("ok");
  expect(backend.requests[0]?.method).toBe("CHICKEN");
});

test("a 204 has no Content-Length towards any client", async () => {
  const backend = await startBackend((request) =>
    request.send("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n"),
  );
  const gateway = await startSecureGatewayTo(backend.url);
  const client = await openHttp2(gateway.port);
  const exchange = client.request({});
  expect(await exchange.opened()).toMatchObject({ ":status": 204, "x-a": "1" });
  expect(exchange.headers).not.toHaveProperty("content-length");
  const plain = await startGatewayTo(backend.url);
  for (const version of ["1.0", "1.1"] as const) {
    for (const method of ["GET", "HEAD", "POST"]) {
      const body = method === "POST" ? { body: "x" } : {};
      const old = openStream(plain.port, { version, method, ...body });
      await old.opened();
      expect(old.fieldLines("content-length"), `${method} ${version}`).toEqual([]);
      expect(old.field("x-a")).toBe("1");
    }
  }
});

test("Max-Forwards of OPTIONS is counted down, and 0 is answered here", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const ask = async (method: string, left: string) => {
    const client = openStream(gateway.port, { method, headers: { "Max-Forwards": left } });
    return (await client.opened()).status;
  };
  expect(await ask("OPTIONS", "2")).toBe(200);
  expect(await ask("OPTIONS", "0")).toBe(204);
  expect(await ask("OPTIONS", "many")).toBe(200);
  expect(await ask("GET", "0")).toBe(200);
  expect(backend.requests.map((request) => [request.method, request.field("max-forwards")])).toEqual([
    ["OPTIONS", "1"],
    ["OPTIONS", "many"],
    ["GET", "0"],
  ]);
});

test.each([
  [40, undefined, 200],
  [80, undefined, 502],
  [10, "16k", 200],
  [20, "16k", 502],
  [300, "512k", 200],
])("a response head of %d KiB with upstream.headerBytes: %s is a %d", async (kib, headerBytes, status) => {
  const backend = await startBackend((request) => {
    const value = "x".repeat(10 * 1024 - 20);
    const fields = Object.fromEntries(Array.from({ length: kib / 10 }, (_, n) => [`X-${n}`, value]));
    request.respond(200, fields, "ok");
  });
  const own = headerBytes === undefined ? {} : { headerBytes };
  const upstream = { backends: [{ url: backend.url }], ...own };
  const gateway = await startGateway({ routes: { only: { match: { path: "/*" }, upstream } } });
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(status);
  if (status === 200) expect(client.field(`X-${kib / 10 - 1}`)?.length).toBe(10 * 1024 - 20);
});

test("a large response head that comes byte by byte is forwarded", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  const head = `HTTP/1.1 200 OK\r\nX: ${"abcdefgh".repeat(3_000)}\r\nContent-Length: 2\r\n\r\nok`;
  for (let at = 0; at < head.length; at += 1_000) {
    request.send(head.slice(at, at + 1_000));
    await delay(5);
  }
  expect(await client.ended()).toBe("clean");
  expect(client.field("X")).toBe("abcdefgh".repeat(3_000));
});
