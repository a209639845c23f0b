import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { generateSite, type SiteOptions } from "../../src/nginx/generate/site.ts";
import { type NginxVersion, parseVersion } from "../../src/nginx/version.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { inlineConfig, startGateway } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS, type NginxBuild } from "../support/nginx-lab.ts";
import { openStream } from "../support/sse-client.ts";

const ORIGIN = "https://app.example.com";
const SERVER = { trustedProxies: ["127.0.0.1"] };

interface Setup {
  readonly build: NginxBuild;
  readonly isTls: boolean;
  readonly route?: Readonly<Record<string, unknown>>;
  readonly edit?: (text: string) => string;
  readonly options?: Partial<SiteOptions>;
  /** nginx proxies directly to the backend. */
  readonly inPlaceOfSluice?: boolean;
}

/** A scripted backend, sluice, and nginx with the generated configuration. */
async function startRow(setup: Setup) {
  const { build, isTls, route = {}, edit = (text: string) => text, options, inPlaceOfSluice } = setup;
  const backend = await startBackend();
  const routes = {
    main: {
      match: { path: "/app/*" },
      upstream: backend.url,
      websocket: true,
      cors: { allowOrigins: [ORIGIN] },
      ...route,
    },
  };
  const gateway = await startGateway({ routes, server: SERVER });
  const text = generateSite(inlineConfig({ routes, server: SERVER }), {
    listen: "${PLAIN_LISTEN}",
    tls: isTls ? await certificateFiles() : undefined,
    http2: isTls,
    servers: ["${SLUICE_UPSTREAM}"],
    behind: [],
    mode: "routes",
    version: parseVersion(build.version) as NginxVersion,
    ...options,
  });
  const template = { text: edit(text) };
  const nginx = await startNginx({
    executable: build.path,
    template,
    upstream: inPlaceOfSluice ? `127.0.0.1:${backend.port}` : gateway.host,
    httpVersion: "1.0",
  });
  return { backend, gateway, nginx, open: opener(nginx.port, isTls) };
}

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The parts of a response that tests check, over any protocol. */
interface Answer {
  received(text: string): Promise<void>;
  status(): Promise<number>;
  field(name: string): string | undefined;
  text(): string;
  hasEnded(): boolean;
  /** Whether the response ended cleanly. */
  ended(): Promise<boolean>;
}

/** Sends a request over plain HTTP/1.1, or over HTTP/2 with TLS. */
const opener = (port: number, isTls: boolean) => (asked: Asked) =>
  isTls ? askHttp2(port, asked) : askHttp1(port, asked);

async function askHttp1(port: number, { path = "/app/stream", ...rest }: Asked): Promise<Answer> {
  const client = openStream(port, { path, ...rest });
  return {
    received: (text) => client.received(text),
    status: async () => (await client.opened()).status,
    field: (name) => client.field(name),
    text: () => client.text,
    hasEnded: () => client.end !== undefined,
    ended: async () => (await client.ended()) === "clean",
  };
}

async function askHttp2(port: number, { path = "/app/stream", method = "GET", headers, body }: Asked) {
  const client = await openHttp2(port);
  const fields = { ":path": path, ":method": method, ...headers };
  const exchange = client.request(fields, { endStream: body === undefined });
  if (body !== undefined) exchange.stream.end(body);
  return {
    received: (text: string) => exchange.received(text),
    status: async () => Number((await exchange.opened())[":status"]),
    field: (name: string) => exchange.headers?.[name] as string | undefined,
    text: () => exchange.text,
    hasEnded: () => exchange.isClosed,
    ended: async () => (await exchange.closed()) === 0 && exchange.hasEnded,
  };
}

const WAYS = BUILDS.flatMap((build) => [
  { name: `nginx ${build.version}, plain`, build, isTls: false },
  { name: `nginx ${build.version}, TLS and HTTP/2`, build, isTls: true },
]);

describe.each(WAYS)("generated: $name", (way) => {
  test("events are forwarded one by one, but the client's own forwarded fields are not", async () => {
    const { backend, open } = await startRow(way);
    const client = await open({
      path: "/app/a%2Fb/stream?q=%2F%20",
      headers: {
        "Last-Event-ID": "41",
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        Forwarded: "for=6.6.6.6",
      },
    });
    const request = await backend.nextRequest();
    expect(request.target).toBe("/app/a%2Fb/stream?q=%2F%20");
    expect(request.fieldLines("last-event-id")).toEqual(["41"]);
    expect(request.fieldLines("x-forwarded-proto")).toEqual([way.isTls ? "https" : "http"]);
    expect(request.field("x-forwarded-for")).toContain("127.0.0.1");
    expect(request.head.raw.toString()).not.toContain("6.6.6.6");
    request.openStream();
    await client.received(":\n");
    for (let number = 1; number <= 10; number += 1) {
      // Each event is read before the next is sent; the end of an event larger than a buffer would be held back.
      const event = `data: ${number} ${"x".repeat(number * 1000)}\n\n`;
      request.emit(event);
      await client.received(event);
    }
    request.endStream();
    expect(await client.ended()).toBe(true);
  });

  test("sluice gets the client's data only from nginx", async () => {
    // The backend replaces sluice here, because sluice itself removes some of these fields.
    const { backend, nginx } = await startRow({ ...way, inPlaceOfSluice: true });
    const forged = ["X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"];
    const removed = ["Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix"];
    const headers = Object.fromEntries([...forged, ...removed].map((name) => [name, "6.6.6.6"]));
    await opener(nginx.port, way.isTls)({ headers });
    const request = await backend.nextRequest();
    const told = Object.fromEntries(forged.map((name) => [name, request.fieldLines(name)]));
    expect(told).toEqual({
      "X-Forwarded-For": ["127.0.0.1"],
      "X-Real-IP": ["127.0.0.1"],
      "X-Forwarded-Proto": [way.isTls ? "https" : "http"],
      "X-Forwarded-Host": [`127.0.0.1:${nginx.port}`],
      "X-Request-Id": [expect.stringMatching(/^[0-9a-f]{32}$/)],
    });
    expect(request.fieldLines("host")).toEqual([`127.0.0.1:${nginx.port}`]);
    for (const name of removed) expect(request.fieldLines(name), name).toEqual([]);
    expect(request.head.version).toContain("1.1");
    request.respond();
  });

  test("an aborted stream does not look complete", async () => {
    const { backend, open } = await startRow(way);
    const client = await open({});
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("data: half");
    await client.received("data: half");
    request.reset();
    expect(await client.ended()).toBe(false);
  });

  test("a body of 2 MB arrives", async () => {
    const { backend, open } = await startRow(way);
    const client = await open({ method: "POST", body: "x".repeat(2 ** 21) });
    const request = await backend.nextRequest();
    expect((await request.wholeBody()).length).toBe(2 ** 21);
    request.respond(200, {}, "done");
    expect(await client.status()).toBe(200);
  });

  test("a silent stream is kept open by its heartbeats, and is cut without them", async () => {
    const edit = (text: string) => text.replace(/proxy_read_timeout \S+;/, "proxy_read_timeout 2500ms;");
    const silent = async (heartbeat: string) => {
      const { backend, open } = await startRow({ ...way, edit, route: { stream: { heartbeat } } });
      const client = await open({});
      const request = await backend.nextRequest();
      request.openStream();
      await client.received(":\n");
      return { client, request };
    };
    const [kept, cut] = [await silent("200ms"), await silent("off")];
    const opened = performance.now();
    expect(await cut.client.ended()).toBe(false);
    await eventually(() => performance.now() - opened > 3_000, "more than a read timeout");
    expect(kept.client.hasEnded()).toBe(false);
    kept.request.emit("data: awake\n\n");
    await kept.client.received("data: awake\n\n");
  });

  test("a WebSocket opens", async () => {
    const { backend, nginx } = await startRow(way);
    const sent = handshake("/app/ws", { Host: `127.0.0.1:${nginx.port}` });
    const answer = sendRaw(nginx.port, way.isTls, sent);
    const request = await backend.nextRequest();
    request.send(switching());
    await eventually(() => answer().startsWith("HTTP/1.1 101 "), "101");
    request.send("\u0081\u0002hi");
    await eventually(() => answer().endsWith("hi"), "the first frame");
  });

  test("while sluice does not respond only an allowed page can read the error", async () => {
    const { gateway, open } = await startRow(way);
    await gateway.close();
    const own = await open({ headers: { Origin: ORIGIN } });
    expect(await own.status()).toBe(502);
    expect(await own.ended()).toBe(true);
    expect(own.field("content-type")).toBe("application/json");
    expect(own.field("access-control-allow-origin")).toBe(ORIGIN);
    expect(own.field("retry-after")).toBe("5");
    expect(JSON.parse(own.text())).toMatchObject({ error_code: "APIG.0201", request_id: expect.any(String) });
    const other = await open({ headers: { Origin: "https://evil.example" } });
    expect(await other.status()).toBe(502);
    expect(other.field("access-control-allow-origin")).toBeUndefined();
    const posted = await open({ method: "POST", body: "{}", headers: { Origin: ORIGIN } });
    expect(await posted.status()).toBe(502);
    expect(posted.field("access-control-allow-origin")).toBe(ORIGIN);
  });
});

describe.each(BUILDS)("generated behind a load balancer: nginx $version", (build) => {
  const asked = { headers: { "X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Forwarded-Proto": "https" } };
  const seen = async (behind: readonly string[]) => {
    const { backend, open } = await startRow({ build, isTls: false, options: { behind, mode: "all" } });
    await open(asked);
    const request = await backend.nextRequest();
    return [
      request.field("x-real-ip") ?? request.field("x-forwarded-for"),
      request.field("x-forwarded-proto"),
    ];
  };

  test("the load balancer's fields are trusted, and its last address is the client's", async () => {
    const [address, proto] = await seen(["127.0.0.0/8"]);
    expect(address).toContain("203.0.113.7");
    expect(address).not.toContain("6.6.6.6");
    expect(proto).toBe("https");
  });

  test("the fields of other clients are not trusted", async () => {
    const [address, proto] = await seen(["10.9.8.7"]);
    expect(address).toContain("127.0.0.1");
    expect(address).not.toContain("203.0.113.7");
    expect(proto).toBe("http");
  });
});

test("with --mode routes nginx itself serves all other paths", async () => {
  const build = BUILDS[0] as NginxBuild;
  const { backend, open } = await startRow({ build, isTls: false });
  const other = await open({ path: "/apple" });
  expect(await other.status()).toBe(404);
  expect(other.text()).not.toContain("error_code");
  // With only the prefix location nginx would redirect to /app/, and clients would turn a POST into a GET.
  await open({ path: "/app", method: "POST", body: "{}" });
  const request = await backend.nextRequest();
  expect([request.method, request.target]).toEqual(["POST", "/app"]);
});

/** Sends bytes on a new connection; returns a function for the bytes received so far. */
function sendRaw(port: number, isTls: boolean, bytes: string): () => string {
  const socket = isTls
    ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] })
    : connect(port, "127.0.0.1");
  afterTest(() => {
    socket.destroy();
  });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  return () => text;
}
