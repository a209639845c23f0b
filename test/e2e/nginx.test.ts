import { spawn } from "node:child_process";
import { request as sendRequest } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { constants, createGunzip } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { type NginxFixture, type NginxSetup, startNginx } from "../support/nginx.ts";
import { openStream, type StreamClient, type StreamRequest } from "../support/sse-client.ts";

type Site = Pick<NginxSetup, "template" | "httpVersion" | "extra">;

/** Buffering is on unless the site switches it off; the version is that of HTTP to sluice. */
const SITES: readonly (Site & { readonly name: string })[] = [
  { name: "plain, HTTP/1.0", template: "plain", httpVersion: "1.0" },
  { name: "plain, HTTP/1.1", template: "plain", httpVersion: "1.1" },
  { name: "recommended", template: "recommended", httpVersion: "1.0" },
];

/** How long an event must be missing before a test concludes that a hop holds it back. */
const HELD_MS = 600;

/** The source of a control's events. */
interface Source {
  emit(text: string): void;
  end(): void;
}

/** A chain of a scripted backend, sluice and nginx. */
async function startRow(site: Site, route: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, route);
  const nginx = await startNginx({ ...site, upstream: gateway.host });
  return { backend, gateway, nginx };
}

/** One stream through a chain: its client, and its request at the backend, after the response head. */
async function openThrough(site: Site, route?: Readonly<Record<string, unknown>>, sent?: StreamRequest) {
  const { backend, nginx } = await startRow(site, route);
  const client = openStream(nginx.port, { path: "/stream", ...sent });
  const request = await backend.nextRequest();
  request.openStream();
  return { client, request };
}

/**
 * Sends each event only after the client has the previous one: a hop that holds events back stops this forever, which
 * needs no clock to detect.
 */
async function exchangeEvents(request: BackendRequest, client: StreamClient, count = 20): Promise<string> {
  let sent = "";
  for (let number = 1; number <= count; number += 1) {
    const event = `data: event ${number}\n\n`;
    request.emit(event);
    await client.received(event);
    sent += event;
  }
  return sent;
}

/** Whether an event arrives within the time that any prompt hop needs. */
const comesThrough = (client: StreamClient, event: string): Promise<boolean> =>
  eventually(() => client.text.includes(event), "the event", { timeoutMs: HELD_MS }).catch(() => false);

/** Fails unless events are held back until the backend ends its stream. */
async function expectHeldBack(source: Source, client: StreamClient): Promise<void> {
  // nginx forwards the data that it reads together with the head in any case, so this event shows nothing.
  source.emit("data: with the head\n\n");
  await comesThrough(client, "data: with the head\n\n");
  source.emit("data: first\n\n");
  expect(await comesThrough(client, "data: first\n\n")).toBe(false);
  source.emit("data: second\n\n");
  source.end();
  await client.ended();
  // Both are in one read although the second was sent long after the first.
  const piece = client.arrivals.find(({ bytes }) => bytes.includes("data: first"));
  expect(piece?.bytes.toString()).toContain("data: first\n\ndata: second\n\n");
}

const chunked = (request: BackendRequest): Source => ({
  emit: (text) => request.emit(text),
  end: () => request.endStream(),
});

/** The head of a stream without sluice, for nginx with HTTP/1.0: it ends with the connection. */
function openUnframed(request: BackendRequest, fields = ""): Source {
  request.send(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n${fields}\r\n`);
  return { emit: (text) => request.send(text), end: () => request.halfClose() };
}

describe.each(SITES)("nginx in front: $name", (site) => {
  it("forwards the events of a GET one by one", async () => {
    const { client, request } = await openThrough(site);
    // The head and the first comment arrive before the backend sends any event.
    await client.received(":\n");
    const sent = await exchangeEvents(request, client);
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe(`:\n${sent}`);
    expect(client.field("content-type")).toBe("text/event-stream");
    expect(client.field("cache-control")).toBe("no-cache, no-transform");
  });

  it("forwards the events of a POST one by one", async () => {
    const { client, request } = await openThrough(site, {}, { method: "POST", body: '{"prompt":"hello"}' });
    const sent = await exchangeEvents(request, client);
    expect((await request.wholeBody()).toString()).toBe('{"prompt":"hello"}');
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe(`:\n${sent}`);
  });

  it("forwards the heartbeats of a silent stream", async () => {
    const { client, request } = await openThrough(site, { stream: { heartbeat: "50ms" } });
    await client.received(":\n:\n:\n:\n");
    request.emit("data: awake\n\n");
    await client.received("data: awake\n\n");
    expect(client.text).toMatch(/^(:\n){4,}data: awake\n\n(:\n)*$/);
  });

  it("forwards the parts of a page that its backend streams with X-Accel-Buffering: no", async () => {
    const { backend, nginx } = await startRow(site);
    const client = openStream(nginx.port);
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": "text/html", "X-Accel-Buffering": "no" });
    let sent = "";
    for (const part of ["<p>shell", "<p>first", "<p>second"]) {
      request.emit(part);
      sent += part;
      await client.received(sent);
    }
    request.endStream();
    expect(await client.ended()).toBe("clean");
  });

  it("forwards JSON lines one by one", async () => {
    const { backend, nginx } = await startRow(site);
    const client = openStream(nginx.port, { method: "POST", body: '{"prompt":"hello"}' });
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": "application/x-ndjson" });
    let sent = "";
    for (let number = 1; number <= 5; number += 1) {
      const line = `{"number":${number}}\n`;
      request.emit(line);
      sent += line;
      await client.received(sent);
    }
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe(sent);
  });

  it("gets the response of a backend that sends Early Hints before it", async () => {
    const { backend, nginx } = await startRow(site);
    const client = openStream(nginx.port);
    const request = await backend.nextRequest();
    request.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    // Without a pause nginx would read both at once.
    await delay(200);
    request.respond(200, {}, "ok");
    await client.received("ok");
    expect(client.head?.status).toBe(200);
    expect(client.text).toBe("ok");
  });

  it("ends the backend's request when the client disconnects", async () => {
    const { client, request } = await openThrough(site);
    await exchangeEvents(request, client, 1);
    expect(request.connection.isOpen).toBe(true);
    client.leave();
    await request.connection.closed;
  });

  it("shows the client that a stream was aborted", async () => {
    const { client, request } = await openThrough(site);
    await exchangeEvents(request, client, 1);
    request.emit("data: half");
    await client.received("data: half");
    request.reset();
    expect(["truncated", "reset"]).toContain(await client.ended());
  });
});

describe("controls: nginx needs sluice's header", () => {
  /** nginx directly in front of the backend. */
  async function openWithoutSluice(httpVersion: "1.0" | "1.1") {
    const backend = await startBackend();
    const nginx = await startNginx({ httpVersion, upstream: `127.0.0.1:${backend.port}` });
    const client = openStream(nginx.port);
    return { client, request: await backend.nextRequest() };
  }

  it("holds events back without sluice", async () => {
    const { client, request } = await openWithoutSluice("1.0");
    await expectHeldBack(openUnframed(request), client);
  });

  it("holds events back when nginx ignores the header", async () => {
    const deaf: Site = { httpVersion: "1.0", extra: "proxy_ignore_headers X-Accel-Buffering;" };
    const { client, request } = await openThrough(deaf);
    await expectHeldBack(chunked(request), client);
  });

  it("forwards the same events at once with only the header", async () => {
    const { client, request } = await openWithoutSluice("1.0");
    const source = openUnframed(request, "X-Accel-Buffering: no\r\n");
    for (const event of ["data: one\n\n", "data: two\n\n", "data: three\n\n"]) {
      source.emit(event);
      await client.received(event);
    }
  });

  // Over HTTP/1.1 nginx forwards small chunks at once, with or without buffering. Of a large chunk in several reads
  // it holds back whole events, even when the chunk is complete, unless the header switches buffering off.
  it.each([
    { header: {}, passes: false },
    { header: { "X-Accel-Buffering": "no" }, passes: true },
  ])("HTTP/1.1, an event in the middle of a chunk, $header: $passes", async ({ header, passes }) => {
    const { client, request } = await openWithoutSluice("1.1");
    request.openStream(header);
    const event = "data: of three\n\n";
    request.send(`${(event.length * 3).toString(16)}\r\n${event}`);
    await client.received(event);
    request.send(event);
    if (passes) await client.received(event + event);
    else expect(await comesThrough(client, event + event)).toBe(false);
    request.send(`${event}\r\n`);
    request.endStream();
    await client.received(event + event + event);
  });
});

describe("nginx with a read timeout of a few seconds", () => {
  // Longer than this process, which sends the heartbeats, may stall.
  const IMPATIENT: Site = { extra: "proxy_read_timeout 2500ms;" };

  it("keeps a quiet stream with heartbeats", async () => {
    const { client, request } = await openThrough(IMPATIENT, { stream: { heartbeat: "200ms" } });
    const opened = performance.now();
    await eventually(() => performance.now() - opened > 3500, "more than a read timeout");
    expect(client.end).toBeUndefined();
    await exchangeEvents(request, client, 1);
  });

  it("cuts a quiet stream without heartbeats", async () => {
    const { client } = await openThrough(IMPATIENT, { stream: { heartbeat: "off" } });
    await client.received(":\n");
    expect(["truncated", "reset"]).toContain(await client.ended());
  });
});

describe("a second nginx in front of the first", () => {
  async function openThroughTwo(extra: string) {
    const { backend, nginx: inner } = await startRow({ extra });
    const outer = await startNginx({ httpVersion: "1.0", upstream: `127.0.0.1:${inner.port}` });
    const client = openStream(outer.port);
    const request = await backend.nextRequest();
    request.openStream();
    return { client, request };
  }

  it("holds events back, because the first nginx removes the header", async () => {
    const { client, request } = await openThroughTwo("");
    await expectHeldBack(chunked(request), client);
  });

  it("forwards events at once when the first nginx forwards the header", async () => {
    const { client, request } = await openThroughTwo("proxy_pass_header X-Accel-Buffering;");
    await exchangeEvents(request, client);
  });
});

describe("other settings of nginx", () => {
  it("forwards events one by one through gzip", async () => {
    const gzip = "gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;";
    const { backend, nginx } = await startRow({ extra: gzip });
    const text = readCompressed(nginx);
    const request = await backend.nextRequest();
    request.openStream();
    for (let number = 1; number <= 5; number += 1) {
      request.emit(`data: event ${number}\n\n`);
      await eventually(() => text().includes(`data: event ${number}\n\n`), `event ${number}, unpacked`);
    }
  });

  /** Requests gzip and decompresses incrementally. */
  function readCompressed(nginx: NginxFixture): () => string {
    let text = "";
    const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
    gunzip.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    // The client disconnects during the stream, which both ends report.
    gunzip.on("error", () => undefined);
    const request = sendRequest(
      nginx.url,
      { agent: false, headers: { "Accept-Encoding": "gzip" } },
      (response) => {
        expect(response.headers["content-encoding"]).toBe("gzip");
        response.on("error", () => undefined);
        response.pipe(gunzip);
      },
    );
    request.on("error", () => undefined);
    request.end();
    onTestFinished(() => {
      request.destroy();
    });
    return () => text;
  }
});

describe("curl -N through nginx with its defaults", () => {
  it("shows one line per second", async () => {
    const { backend, nginx } = await startRow({ template: "plain", httpVersion: "1.0" });
    const curl = spawn("curl", ["-sN", `${nginx.url}/stream`], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => {
      curl.kill();
    });
    let shown = "";
    curl.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
    });
    const request = await backend.nextRequest();
    request.openStream();
    for (let number = 1; number <= 4; number += 1) {
      await delay(1000);
      request.emit(`data: line ${number}\n\n`);
      // Each line is printed before the next is sent.
      await eventually(() => shown.includes(`data: line ${number}\n\n`), `line ${number}`);
    }
  });
});
