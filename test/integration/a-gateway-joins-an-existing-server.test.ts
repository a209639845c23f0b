import { mkdtemp, rm } from "node:fs/promises";
import http, { type RequestListener, type Server } from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { createGateway, type Gateway } from "../../src/gateway/gateway.ts";
import type { AttachableServer } from "../../src/listen/attached-server.ts";
import { afterTest } from "../support/after-test.ts";
import { type Backend, refusedPort, startBackend } from "../support/backend.ts";
import { certificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { inlineConfig, type LogLine } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

interface Express {
  (request: http.IncomingMessage, response: http.ServerResponse): void;
  use(...handlers: unknown[]): void;
}
type ExpressModule = (() => Express) & { json(): unknown };
const require = createRequire(import.meta.url);
const express = require("express") as ExpressModule;
const compression = require("compression") as () => unknown;

/** The application around the gateway: it answers every path, with the body of the request. */
const application: RequestListener = (request, response) => {
  let body = "";
  request.on("data", (bytes: Buffer) => {
    body += bytes.toString();
  });
  request.on("end", () => response.end(`application ${request.method} ${request.url} ${body}`));
};

/** Replaces `writeHead` as on-headers 1.0 does, which morgan, express-session and others use: it reads lists as pairs. */
function readPairsOnly(_request: unknown, response: http.ServerResponse, next: () => void): void {
  const writeHead = response.writeHead.bind(response) as (
    status: number,
    reason?: string,
  ) => http.ServerResponse;
  response.writeHead = (status: number, ...rest: unknown[]) => {
    const fields = rest.at(-1);
    if (Array.isArray(fields))
      for (const [name, value] of fields as string[]) response.setHeader(name ?? "", value ?? "");
    return typeof rest[0] === "string" ? writeHead(status, rest[0]) : writeHead(status);
  };
  next();
}

interface Embedded {
  readonly gateway: Gateway;
  readonly log: LogLine[];
}

/** A gateway with routes to a backend; it opens no address. */
function embed(backend: Backend, server: Readonly<Record<string, unknown>> = {}): Embedded {
  const log: LogLine[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split("\n")) log.push(JSON.parse(line) as LogLine);
      done();
    },
  });
  const upstream = backend.url;
  const routes = {
    stream: {
      match: { path: "/stream" },
      upstream,
      cors: true,
      stream: { comments: "on", onRefusal: "retry" },
    },
    post: { match: { path: "/answers/*", methods: ["POST"] }, upstream },
    finished: { match: { path: "/finished" }, upstream, stream: { onClientGone: "drain" } },
    closed: { match: { path: "/closed" }, upstream, access: { deny: ["0.0.0.0/0"] } },
    socket: { match: { path: "/socket" }, upstream, websocket: true },
    version: { match: { path: "/versions", query: { v: "2" } }, upstream },
  };
  const gateway = createGateway(inlineConfig({ routes, server: { listen: 1, ...server } }), {
    log: pino({ level: "debug", base: null }, sink),
  });
  afterTest(() => gateway.close({ now: true }));
  return { gateway, log };
}

/** Listens on a free port, and closes the server when the test ends. */
async function open(server: AttachableServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A gateway attached to a server, and the port of that server. */
async function attached(backend: Backend, server: Server = http.createServer(application)) {
  const embedded = embed(backend);
  const detach = await embedded.gateway.attach(server);
  return { ...embedded, server, detach, port: await open(server) };
}

const textOf = async (url: string, init?: RequestInit) => (await fetch(url, init)).text();

describe("attached to a server", () => {
  test("it takes the requests of its routes, and leaves all others to the server's own handlers", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { port, detach } = await attached(backend);
    const base = `http://127.0.0.1:${port}`;
    expect(await textOf(`${base}/stream`)).toBe("backend");
    expect(await textOf(`${base}/other?x=1`)).toBe("application GET /other?x=1 ");
    expect(await textOf(`${base}/other`, { method: "POST", body: "text" })).toBe(
      "application POST /other text",
    );
    // A method that no route takes on the path of a route is the application's.
    expect(await textOf(`${base}/answers/1`)).toBe("application GET /answers/1 ");
    expect(await textOf(`${base}/answers/1`, { method: "POST", body: "question" })).toBe("backend");
    expect(backend.requests.at(-1)?.body.toString()).toBe("question");
    expect((await fetch(`${base}/closed`)).status).toBe(403);
    detach();
    expect(await textOf(`${base}/stream`)).toBe("application GET /stream ");
  });

  test("a version that two servers could read differently is refused, and reaches neither side", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { port } = await attached(backend);
    const base = `http://127.0.0.1:${port}/versions`;
    expect(await textOf(`${base}?v=2`)).toBe("backend");
    expect(await textOf(`${base}?v=3`)).toBe("application GET /versions?v=3 ");
    expect((await fetch(`${base}?v=2&v=3`)).status).toBe(400);
    expect(backend.requests).toHaveLength(1);
  });

  test("a handler that is added later does not get the gateway's requests", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { port, server } = await attached(backend, http.createServer());
    const seen: (string | undefined)[] = [];
    server.on("request", (request, response) => {
      seen.push(request.url);
      response.end("application");
    });
    expect(await textOf(`http://127.0.0.1:${port}/stream`)).toBe("backend");
    expect(await textOf(`http://127.0.0.1:${port}/other`)).toBe("application");
    expect(seen).toEqual(["/other"]);
  });

  test("an event arrives at once, and a client that leaves cancels the backend request", async () => {
    const backend = await startBackend();
    const server = http.createServer({ noDelay: false }, application);
    // The application's own timeout must not end a silent stream.
    server.timeout = 100;
    const { port, log } = await attached(backend, server);
    const headers = { ...EVENT_SOURCE, Origin: "https://app.example.com" };
    const client = openStream(port, { path: "/stream", headers });
    const request = await backend.nextRequest();
    request.openStream();
    await client.opened();
    expect(client.field("access-control-allow-origin")).toBe("*");
    for (const data of ["one", "two"]) {
      request.emit(`data: ${data}\n\n`);
      await client.received(`data: ${data}\n\n`);
    }
    const quietUntil = performance.now() + 400;
    await eventually(() => performance.now() > quietUntil);
    request.emit("data: three\n\n");
    await client.received("data: three\n\n");
    client.leave();
    await request.connection.closed;
    const line = await eventually(() => log.find(({ msg }) => msg === "request"), "the log line");
    expect(line).toMatchObject({ endReason: "client_gone", events: 3, client: "127.0.0.1" });
  });

  test("a client that does not read stops the backend", async () => {
    const backend = await startBackend();
    const { port } = await attached(backend);
    const client = openStream(port, { path: "/stream", headers: EVENT_SOURCE, paused: true });
    const request = await backend.nextRequest();
    request.openStream();
    const event = `data: ${"x".repeat(64 * 1024)}\n\n`;
    const { socket } = request.connection;
    for (let sent = 0; sent < 400; sent++) request.emit(event);
    // All of it, 26 MB, would fit into no kernel buffer: what is left waits at the backend.
    let before = -1;
    await eventually(
      () => {
        const isStill = socket.writableLength === before;
        before = socket.writableLength;
        return isStill;
      },
      "the backend to stand still",
      { everyMs: 300 },
    );
    expect(socket.writableLength).toBeGreaterThan(1_000_000);
    client.socket.resume();
    await eventually(() => client.bodyLength > 400 * 64 * 1024, "all events");
  });

  test("close ends its streams between two events, and refuses further requests in words", async () => {
    const backend = await startBackend();
    const embedded = embed(backend, { drain: { timeout: "1s", retry: "2s" } });
    const server = http.createServer(application);
    await embedded.gateway.attach(server);
    const port = await open(server);
    const client = openStream(port, { path: "/stream", headers: EVENT_SOURCE });
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("data: one\n\n");
    await client.received("data: one\n\n");
    const closed = embedded.gateway.close();
    const later = await fetch(`http://127.0.0.1:${port}/answers/1`, { method: "POST" });
    expect(later.status).toBe(503);
    expect(await client.ended()).toBe("clean");
    expect(client.text).toContain("retry: 2000\n");
    await closed;
    expect(await textOf(`http://127.0.0.1:${port}/other`)).toBe("application GET /other ");
    // An EventSource comes back only after a 200.
    const again = await fetch(`http://127.0.0.1:${port}/stream`, { headers: EVENT_SOURCE });
    expect([again.status, await again.text()]).toEqual([200, expect.stringContaining("retry: ")]);
  });

  test("close does not wait for a backend whose client has left", async () => {
    const backend = await startBackend();
    const { gateway, port, log } = await attached(backend);
    const client = openStream(port, { path: "/finished", method: "POST", body: "x" });
    const request = await backend.nextRequest();
    client.leave();
    await eventually(() => log.some(({ msg }) => msg === "request"), "the log line");
    await gateway.close({ now: true });
    await request.connection.closed;
  });

  test("upgrades of its routes become tunnels, beside the server's own upgrades", async () => {
    const sockets = http.createServer();
    new WebSocketServer({ server: sockets }).on("connection", (socket) => {
      socket.on("message", (data) => socket.send(`backend ${data}`));
    });
    const backendPort = await open(sockets);
    const backend = { url: `http://127.0.0.1:${backendPort}` } as Backend;
    const own = http.createServer(application);
    new WebSocketServer({ server: own, path: "/own" }).on("connection", (socket) => {
      socket.on("message", (data) => socket.send(`application ${data}`));
    });
    const { port } = await attached(backend, own);
    const echo = (path: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
        afterTest(() => socket.terminate());
        socket.on("open", () => socket.send("hello"));
        socket.on("message", (data) => resolve(String(data)));
        socket.on("error", reject);
      });
    expect(await echo("/socket")).toBe("backend hello");
    expect(await echo("/own")).toBe("application hello");
  });

  test("a server that was given back is as it was, however often", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const server = http.createServer(application);
    const before = server.emit;
    const { gateway } = embed(backend);
    const release = await gateway.attach(server);
    release();
    expect(server.emit).toBe(before);
    const inner = await gateway.attach(server);
    const outer = await gateway.attach(server);
    outer();
    // A second call must not take the listener of another attach away.
    outer();
    const url = `http://127.0.0.1:${await open(server)}/answers/1`;
    expect(await textOf(url, { method: "POST" })).toBe("backend");
    expect(server.listenerCount("upgrade")).toBe(1);
    inner();
    expect(server.emit).toBe(before);
    expect(await textOf(url, { method: "POST" })).toContain("application POST");
  });

  test("an upgrade that neither takes is answered as an ordinary request", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { port } = await attached(backend);
    for (const [path, body] of [
      ["/other", "application GET /other "],
      ["/stream", "backend"],
    ]) {
      const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n`;
      const { text } = await rawRequest(port, head);
      expect(text).toContain(body);
    }
  });

  test("an upgrade that neither takes is answered behind the requests before it", async () => {
    const backend = await startBackend((request) => {
      setTimeout(() => request.respond(200, {}, "backend"), 100);
    });
    const own = http.createServer((_request, response) => {
      setTimeout(() => response.end("application"), 100);
    });
    const { port } = await attached(backend, own);
    const upgrade = "GET /other HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n";
    for (const [path, body] of [
      ["/first", "application"],
      ["/stream", "backend"],
    ]) {
      const first = `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
      const { text } = await rawRequest(port, first + first + upgrade);
      expect(text.match(/application|backend/g)).toEqual([body, body, "application"]);
    }
  });

  describe("behind a slow response of the program on the same connection", () => {
    const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

    /** An attached gateway whose program has got a request, with `behind` pipelined after it. */
    async function pipelined(behind: string) {
      const backend = await startBackend();
      const answers: http.ServerResponse[] = [];
      const own = http.createServer((_request, response) => answers.push(response));
      const embedded = await attached(backend, own);
      const client = await openRaw(embedded.port);
      client.send(get("/slow") + behind);
      const slow = (await eventually(() => answers[0], "the program's request")) as http.ServerResponse;
      return { ...embedded, backend, client, slow };
    }
    const endReasons = (log: readonly LogLine[]) =>
      log.filter(({ msg }) => msg === "request").map(({ endReason }) => endReason);

    test("an upgrade is answered after it, however much the program sends", async () => {
      const { backend, client, slow } = await pipelined(handshake("/socket"));
      const part = Buffer.alloc(1 << 20, "x");
      client.socket.pause();
      for (let sent = 0; sent < 8 && slow.write(part); sent++);
      expect(slow.writableNeedDrain).toBe(true);
      expect(backend.requests).toEqual([]);
      slow.once("drain", () => slow.end("end of the program"));
      client.socket.resume();
      (await backend.nextRequest()).send(`${switching()}hi`);
      await client.received("hi");
      expect(client.text).toMatch(/^HTTP\/1.1 200 .*end of the program\r\n0\r\n\r\nHTTP\/1.1 101 /s);
    });

    test("an upgrade that comes while the gateway closes is refused after it", async () => {
      const { gateway, client, slow } = await pipelined(handshake("/socket"));
      const closed = gateway.close();
      slow.end("end of the program");
      await client.received("HTTP/1.1 503");
      expect(client.text).toMatch(/^HTTP\/1.1 200 .*end of the programHTTP\/1.1 503 /s);
      await closed;
    });

    test.each([
      ["all requests and an upgrade", get("/stream") + handshake("/socket")],
      ["two requests", get("/stream") + get("/stream")],
    ])("a client that leaves before %s were answered delays no close", async (_, behind) => {
      const { gateway, backend, client, log } = await pipelined(behind);
      client.socket.destroy();
      await eventually(() => endReasons(log).length > 0, "the log line");
      await gateway.close();
      expect(new Set(endReasons(log))).toEqual(new Set(["client_gone"]));
      expect(backend.requests).toEqual([]);
    });
  });

  test("the peer of a unix socket is trusted to name the client", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { gateway, log } = embed(backend);
    const server = http.createServer(application);
    await gateway.attach(server);
    const directory = await mkdtemp(join(tmpdir(), "sluice-attached-"));
    const socketPath = join(directory, "socket");
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    afterTest(async () => {
      server.close();
      await rm(directory, { recursive: true });
    });
    const head =
      "GET /stream HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n";
    expect((await rawRequest(socketPath, head)).text).toContain("backend");
    const line = await eventually(() => log.find(({ msg }) => msg === "request"), "the log line");
    expect(line).toMatchObject({ client: "203.0.113.7" });
  });

  test("a server over TLS is served too, by HTTP/1.1 and HTTP/2", async () => {
    const backend = await startBackend();
    const { gateway } = embed(backend);
    const tls = https.createServer(certificate, application);
    const both = http2.createSecureServer({ ...certificate, allowHTTP1: true }, (_request, response) => {
      response.end("application");
    });
    for (const server of [tls, both]) {
      await gateway.attach(server);
      const port = await open(server);
      const answer = new Promise<string>((resolve, reject) => {
        const request = https.get(
          { port, path: "/stream", rejectUnauthorized: false, agent: false },
          (response) => {
            response.once("data", (bytes: Buffer) => resolve(String(bytes)));
          },
        );
        request.on("error", reject);
        afterTest(() => void request.destroy());
      });
      const request = await backend.nextRequest();
      expect(request.field("x-forwarded-proto")).toBe("https");
      request.openStream();
      request.emit("data: one\n\n");
      expect(await answer).toContain("data: one\n\n");
    }
    const client = await openHttp2((both.address() as AddressInfo).port);
    const own = client.request({ ":path": "/other" });
    await own.received("application");
    const stream = client.request({ ":path": "/stream", accept: "text/event-stream" });
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("data: one\n\n");
    await stream.received("data: one\n\n");
    expect(request.field("x-forwarded-proto")).toBe("https");
    stream.stream.close();
    await request.connection.closed;
    // A body that the backend has broken off must not end cleanly.
    const broken = client.request({ ":path": "/answers/1", ":method": "POST" }, { endStream: false });
    broken.stream.end("question");
    const asked = await backend.nextRequest();
    expect(String(await asked.wholeBody())).toBe("question");
    asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await broken.received("abc");
    asked.reset();
    expect(await broken.closed()).not.toBe(0);
    expect(broken.hasEnded).toBe(false);
  });
});

describe("as a middleware", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend((request) => {
      if (request.target !== "/stream")
        return request.respond(200, { "Content-Type": "text/plain" }, "backend".repeat(1_000));
      request.openStream({ "X-Own": "backend" });
      request.emit("data: one\n\n");
    });
    return () => backend.close();
  });

  async function startExpress(build: (app: Express) => Promise<void>): Promise<number> {
    const app = express();
    await build(app);
    app.use(application);
    return await open(http.createServer(app));
  }

  test("fields of other middleware stay, and compression holds no event back", async () => {
    const { gateway } = embed(backend);
    const port = await startExpress(async (app) => {
      app.use((_request: unknown, response: http.ServerResponse, next: () => void) => {
        response.setHeader("Content-Security-Policy", "default-src 'self'");
        response.setHeader("X-Own", "middleware");
        next();
      });
      app.use(compression());
      app.use(readPairsOnly);
      app.use(await gateway.middleware());
    });
    const headers = { ...EVENT_SOURCE, "Accept-Encoding": "gzip" };
    const client = openStream(port, { path: "/stream", headers });
    await client.received("data: one\n\n");
    expect(client.field("content-encoding")).toBeUndefined();
    expect(client.fieldLines("content-security-policy")).toEqual(["default-src 'self'"]);
    expect(client.fieldLines("x-own")).toEqual(["backend"]);
    client.leave();
    // Ordinary responses are compressed as those of the application.
    const answer = await fetch(`http://127.0.0.1:${port}/answers/1`, { method: "POST", body: "x" });
    expect(answer.headers.get("content-encoding")).not.toBeNull();
    expect(await answer.text()).toBe("backend".repeat(1_000));
  });

  test("a middleware that lets no head be written ends the request, and not the process", async () => {
    const backend = await startBackend((request) => request.respond(200, {}, "backend"));
    const { gateway } = embed(backend);
    const middleware = await gateway.middleware();
    const server = http.createServer((request, response) => {
      response.writeHead = () => {
        throw new Error("a fault of the middleware");
      };
      middleware(request, response, () => {});
    });
    const { text, ending } = await rawRequest(await open(server), "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    expect({ text, isOpen: ending === "open" }).toEqual({ text: "", isOpen: false });
  });

  test("below a mount path, the routes see the path of the client", async () => {
    const { gateway } = embed(backend);
    const port = await startExpress(async (app) => app.use("/answers", await gateway.middleware()));
    expect(await textOf(`http://127.0.0.1:${port}/answers/1`, { method: "POST" })).toContain("backend");
    expect(backend.requests.at(-1)?.target).toBe("/answers/1");
  });

  test("a body that a parser has read is an error that names the remedy, and no hang", async () => {
    const { gateway, log } = embed(backend);
    const port = await startExpress(async (app) => {
      app.use(express.json());
      app.use(await gateway.middleware());
    });
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"a":1}' };
    const response = await fetch(`http://127.0.0.1:${port}/answers/1`, init);
    expect(response.status).toBe(500);
    const line = await eventually(() => log.find(({ msg }) => msg === "request"), "the log line");
    expect(line?.["err"]).toMatchObject({
      code: "body_already_read",
      message: expect.stringContaining("express.json()"),
    });
    // A parser that had nothing to read does no harm.
    expect((await fetch(`http://127.0.0.1:${port}/answers/1`, { method: "POST", body: "text" })).status).toBe(
      200,
    );
  });

  test("it serves HTTP/2 through node:http2's compatibility API", async () => {
    const { gateway, log } = embed(backend);
    const middleware = await gateway.middleware();
    const server = http2.createSecureServer(certificate, (request, response) => {
      const next = () => middleware(request, response, () => response.end("application"));
      if (request.url === "/answers/read") request.resume().once("end", next);
      else next();
    });
    const client = await openHttp2(await open(server));
    await client.request({ ":path": "/other" }).received("application");
    const stream = client.request({ ":path": "/stream", accept: "text/event-stream" });
    await stream.received("data: one\n\n");
    backend.requests.at(-1)?.reset();
    expect(await stream.closed()).not.toBe(0);
    expect(stream.hasEnded).toBe(false);
    const post = (path: string) => {
      const exchange = client.request({ ":path": path, ":method": "POST" }, { endStream: false });
      exchange.stream.end("question");
      return exchange;
    };
    const whole = post("/answers/1");
    expect(await whole.closed()).toBe(0);
    expect(whole.text).toContain("backend");
    expect(backend.requests.at(-1)?.body.toString()).toBe("question");
    const read = post("/answers/read");
    expect((await read.opened())[":status"]).toBe(500);
    await eventually(() => JSON.stringify(log).includes("body_already_read"), "the log line");
  });

  test("a reload changes its routes, and opens no address", async () => {
    const { gateway } = embed(backend);
    const port = await startExpress(async (app) => app.use(await gateway.middleware()));
    const routes = { hello: { match: { path: "/hello" }, mock: { body: "hello" } } };
    const address = `127.0.0.1:${await refusedPort()}`;
    await gateway.reload(inlineConfig({ routes, server: { listen: address } }));
    expect(await textOf(`http://127.0.0.1:${port}/hello`)).toBe("hello");
    expect(await textOf(`http://127.0.0.1:${port}/stream`)).toBe("application GET /stream ");
    await expect(fetch(`http://${address}/hello`)).rejects.toThrow();
  });

  test("connections that bring its requests count for limits.connections", async () => {
    const { gateway } = embed(backend, { limits: { connections: 1 } });
    const port = await startExpress(async (app) => app.use(await gateway.middleware()));
    const first = openStream(port, { path: "/stream", headers: EVENT_SOURCE });
    await first.received("data: one\n\n");
    const refused = openStream(port, { path: "/answers/1", method: "POST" });
    expect((await refused.opened()).status).toBe(503);
    const other = openStream(port, { path: "/other" });
    expect((await other.opened()).status).toBe(200);
  });
});
