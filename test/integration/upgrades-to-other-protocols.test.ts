import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { type Backend, type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { StreamClient } from "../support/sse-client.ts";

/** A request of `docker exec`, by default without its body. */
const asking = (upgrade: string, { method = "POST", target = "/exec/1/start", length = 0, more = "" } = {}) =>
  `${method} ${target} HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: ${length}\r\n` +
  `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n${more}\r\n`;

const switching = (upgrade: string, more = "") =>
  `HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n${more}\r\n`;

/** Opens a tunnel to a backend that the test plays. */
async function openTunnel(upgrade = "tcp", route: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { upgrade: [upgrade], ...route });
  const client = await openRaw(gateway.port);
  client.send(asking(upgrade));
  const request = await backend.nextRequest();
  request.send(switching(upgrade));
  await client.received("\r\n\r\n");
  return { backend, gateway, client, request };
}

const afterHead = ({ connection }: { connection: { received: Buffer } }) =>
  connection.received.toString("latin1").replace(/^.*?\r\n\r\n/s, "");

test.each(["tcp", "SPDY/3.1", "h2c"])(
  "an upgrade to %s opens a tunnel in both directions",
  async (upgrade) => {
    const { gateway, client, request } = await openTunnel(upgrade);
    expect(request.method).toBe("POST");
    expect(request.fieldLines("upgrade")).toEqual([upgrade]);
    expect(request.fieldLines("connection")).toEqual(["Upgrade"]);
    expect(request.fieldLines("content-length")).toEqual(["0"]);
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /);
    expect(client.text.match(/^(Upgrade|Connection): .*$/gm)).toEqual([
      `Upgrade: ${upgrade}`,
      "Connection: Upgrade",
    ]);
    client.send("\0up\r\n");
    await eventually(() => afterHead(request) === "\0up\r\n", "the client's bytes");
    request.send("\xffdown");
    await client.received(Buffer.from("\xffdown").toString("latin1"));
    request.halfClose();
    client.halfClose();
    expect(await gateway.requestLine()).toMatchObject({
      status: 101,
      method: "POST",
      endReason: "completed",
    });
  },
);

test.each([
  ["with the head", 0],
  ["in two parts", 20],
])(
  "the body of the request reaches the backend, and the bytes behind it the tunnel: %s",
  async (_name, cut) => {
    const body = JSON.stringify({ Detach: false, Tty: false });
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"] });
    const client = await openRaw(gateway.port);
    const head = asking("tcp", { length: body.length, more: "Content-Type: application/json\r\n" });
    const sent = `${head}${body}input`;
    client.send(cut === 0 ? sent : sent.slice(0, -cut));
    if (cut > 0) {
      await eventually(() => gateway.log.length >= 0 && client.socket.bytesWritten > 0, "the first part");
      client.send(sent.slice(-cut));
    }
    const request = await backend.nextRequest();
    expect((await request.wholeBody()).toString()).toBe(body);
    expect(request.fieldLines("content-length")).toEqual([String(body.length)]);
    // Not before the switch: a backend that refuses would read it as a second request.
    expect(request.connection.received.toString()).not.toContain("input");
    request.send(switching("tcp"));
    await eventually(() => request.connection.received.toString().endsWith(`${body}input`), "the input");
  },
);

test.each([
  ["signed body", 101],
  ["other body!", 401],
])("the body of a signed upgrade is verified: %s gets %i", async (sent, status) => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.send(switching("tcp")));
  });
  const gateway = await startGateway({
    apps: { "web-client": WEB_CLIENT },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        upgrade: ["tcp"],
        auth: { app: ["web-client"] },
      },
    },
  });
  const unsigned = { method: "POST", host: gateway.host, path: "/exec/1/start", body: "signed body" };
  const { path, headers } = signWithApigSdk(unsigned, WEB_CLIENT);
  const more = Object.entries(headers)
    .filter(([name]) => !/^(?:host|content-length)$/i.test(name))
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const client = await openRaw(gateway.port);
  const head = asking("tcp", { target: path, length: sent.length, more: more.join("") });
  client.send(head.replace("sluice.test", gateway.host) + sent);
  await client.received("\r\n\r\n");
  expect(client.status).toBe(status);
  expect(backend.requests.map((request) => request.body.toString())).toEqual(status === 101 ? [sent] : []);
});

test("a long or chunked body is served without the upgrade", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then((body) => request.respond(200, {}, `${body.length} bytes`));
  });
  const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"] });
  const client = await openRaw(gateway.port);
  const long = randomBytes(70_000);
  client.send(asking("tcp", { length: long.length }));
  client.send(long);
  await client.received("70000 bytes");
  client.send(
    asking("tcp", { more: "Transfer-Encoding: chunked\r\n" }).replace("Content-Length: 0\r\n", "") +
      "3\r\nabc\r\n0\r\n\r\n",
  );
  await client.received("3 bytes");
  expect(backend.requests.map((request) => request.field("upgrade"))).toEqual([undefined, undefined]);
});

test("a client that leaves before its body is whole reaches no backend", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"] });
  const client = await openRaw(gateway.port);
  client.send(`${asking("tcp", { length: 10 })}half`);
  client.leave();
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
  expect(backend.requests).toEqual([]);
});

test("a client that does not send its body is refused after bodyTimeout", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"], limits: { bodyTimeout: "300ms" } });
  const client = await openRaw(gateway.port);
  client.send(`${asking("tcp", { length: 10 })}half`);
  await client.ended();
  expect(client.status).toBe(408);
});

describe("an upgrade that its route does not allow", () => {
  const answering = () => startBackend((request) => request.respond(200, {}, `plain ${request.target}`));

  test.each([
    ["tcp", {}],
    ["tcp", { websocket: true }],
    ["tcp", { upgrade: ["h2c"] }],
    ["websocket", { upgrade: ["tcp"] }],
    ["SPDY/3", { upgrade: ["SPDY/3.1"] }],
  ])("is ignored: %s on a route with %j", async (upgrade, route) => {
    const backend = await answering();
    const gateway = await startGatewayTo(backend.url, route);
    const client = await openRaw(gateway.port);
    client.send(asking(upgrade));
    await client.received("plain");
    expect((await backend.nextRequest()).fieldLines("upgrade")).toEqual([]);
  });

  test("is ignored also if another route allows it", async () => {
    const backend = await answering();
    const gateway = await startGateway({
      routes: {
        open: { match: { path: "/open" }, upstream: backend.url, upgrade: ["tcp"] },
        plain: { match: { path: "/plain" }, upstream: backend.url },
      },
    });
    const client = await openRaw(gateway.port);
    client.send(asking("tcp", { target: "/plain" }));
    await client.received("plain /plain");
    client.send(asking("tcp", { target: "/open" }));
    await eventually(() => backend.requests.length === 2, "the second request");
    expect(backend.requests.map((request) => request.field("upgrade"))).toEqual([undefined, "tcp"]);
  });
});

test.each([
  ["another protocol", switching("websocket")],
  ["two protocols", switching("tcp, h2c")],
  ["no protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"],
])("a backend that switches to %s is refused", async (_name, answer) => {
  const backend = await startBackend((request) => request.send(answer));
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: "1s" };
  const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"], upstream });
  const client = await openRaw(gateway.port);
  client.send(asking("tcp"));
  await client.ended();
  expect(client.status).toBeGreaterThanOrEqual(502);
  expect(client.text).not.toContain("101 ");
  await eventually(() => backend.openConnections === 0, "the end of the backend's connection");
});

describe("a backend that does not switch", () => {
  async function answered(script: (backend: Backend) => void, route: Readonly<Record<string, unknown>> = {}) {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp", "h2c"], ...route });
    const raw = await openRaw(gateway.port);
    const client = new StreamClient(raw.socket, "POST");
    raw.send(asking("tcp"));
    const request = await backend.nextRequest();
    script(backend);
    return { gateway, raw, client, request };
  }

  test.each([
    [200, {}],
    [401, { "WWW-Authenticate": "Basic" }],
    [307, { Location: "/elsewhere" }],
  ])("gets its %i to the client", async (status, fields) => {
    const { gateway, client } = await answered((backend) => {
      backend.requests[0]?.respond(status, fields, "ordinary");
    });
    expect(await client.ended()).toBe("clean");
    expect([client.head?.status, client.text]).toEqual([status, "ordinary"]);
    for (const [name, value] of Object.entries(fields)) expect(client.fieldLines(name)).toEqual([value]);
    expect(await gateway.requestLine()).toMatchObject({ status, endReason: "completed", bytesSent: 8 });
  });

  test("gets a body to the client as it comes, for longer than a head may take", async () => {
    const upstream = (url: string) => ({ backends: [{ url }], responseHeaderTimeout: "1s" });
    const backend = await startBackend();
    const gateway = await startGatewayTo("", { upgrade: ["tcp"], upstream: upstream(backend.url) });
    const raw = await openRaw(gateway.port);
    const client = new StreamClient(raw.socket, "POST");
    raw.send(asking("tcp"));
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": "application/octet-stream" });
    for (let part = 0; part < 8; part++) {
      request.emit(`part ${part} `);
      await client.received(`part ${part} `);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    request.endStream();
    expect(await client.ended()).toBe("clean");
  });

  test("is cancelled when its client leaves", async () => {
    const { gateway, raw, client, request } = await answered((backend) =>
      backend.requests[0]?.openStream({ "Content-Type": "text/plain" }),
    );
    await eventually(() => client.head !== undefined, "the head");
    raw.leave();
    await request.connection.closed;
    expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
  });

  test("counts its stream against the limit of the route", async () => {
    const { gateway, raw, request } = await answered(() => {}, { limits: { streams: 1 } });
    request.openStream();
    await raw.received("text/event-stream");
    const second = await openRaw(gateway.port);
    second.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    await second.received(" 503 ");
  });
});

/** Keeps the backend's half of a connection open when the gateway ends its own: the fixture closes it. */
function keepOpen({ connection: { socket } }: Pick<BackendRequest, "connection">): void {
  socket.removeAllListeners("end");
  socket.allowHalfOpen = true;
}

describe("a half-closed tunnel", () => {
  test("passes the end of the client on, and keeps the other half open", async () => {
    const { gateway, client, request } = await openTunnel();
    keepOpen(request);
    const ended = new Promise((resolve) => request.connection.socket.once("end", resolve));
    client.send("input");
    client.halfClose();
    await ended;
    expect(afterHead(request)).toBe("input");
    request.send("output after the input's end");
    request.halfClose();
    await client.received("output after the input's end");
    expect(await client.ended()).toBe("end");
    expect(await gateway.requestLine()).toMatchObject({ status: 101, endReason: "completed" });
  });

  test("passes the end of the backend on, and keeps the other half open", async () => {
    const { client, request } = await openTunnel();
    request.send("output");
    request.halfClose();
    expect(await client.ended()).toBe("end");
    client.send("input after the output's end");
    await eventually(() => afterHead(request) === "input after the output's end", "the input");
    client.halfClose();
    await request.connection.closed;
  });

  test("is aborted after halfCloseTimeout of silence", async () => {
    const { gateway, client, request } = await openTunnel("tcp", { limits: { halfCloseTimeout: "300ms" } });
    keepOpen(request);
    client.halfClose();
    await client.ended();
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });
});

test("a drain waits for a tunnel of a client that does not reconnect", async () => {
  const { gateway, client, request } = await openTunnel();
  const closed = gateway.drain();
  await eventually(() => gateway.log.some(({ msg }) => msg === "draining"), "the drain");
  client.send("still here");
  await eventually(() => afterHead(request) === "still here", "the client's bytes");
  request.halfClose();
  client.halfClose();
  await closed;
  expect(await gateway.requestLine()).toMatchObject({ endReason: "completed" });
});

test("h2c gets its settings, as fields of the connection", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { upgrade: ["h2c"] });
  const client = await openRaw(gateway.port);
  const fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
  client.send(`GET / HTTP/1.1\r\nHost: \r\n${fields}\r\n`);
  const request = await backend.nextRequest();
  expect(request.fieldLines("connection")).toEqual(["Upgrade, HTTP2-Settings"]);
  expect(request.fieldLines("http2-settings")).toEqual(["AAMAAABk"]);
  expect(request.fieldLines("host")).toEqual([`127.0.0.1:${backend.port}`]);
});
