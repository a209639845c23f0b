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

/** Buffering is on unless the site says otherwise; the version is what nginx speaks to sluice. */
const SITES: readonly (Site & { readonly name: string })[] = [
  { name: "plain, HTTP/1.0", template: "plain", httpVersion: "1.0" },
  { name: "plain, HTTP/1.1", template: "plain", httpVersion: "1.1" },
  { name: "recommended", template: "recommended", httpVersion: "1.0" },
];

/** How long a hop must hold an event back before a test believes that it does. */
const HELD_MS = 600;

/** Where the events of a control come from. */
interface Source {
  emit(text: string): void;
  end(): void;
}

/** A scripted backend, sluice and nginx in a row. */
async function startRow(site: Site, route: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, route);
  const nginx = await startNginx({ ...site, upstream: gateway.host });
  return { backend, gateway, nginx };
}

/** One stream through a row: its client, and its request at the backend, whose head is sent. */
async function openThrough(site: Site, route?: Readonly<Record<string, unknown>>, sent?: StreamRequest) {
  const { backend, nginx } = await startRow(site, route);
  const client = openStream(nginx.port, { path: "/stream", ...sent });
  const request = await backend.nextRequest();
  request.openStream();
  return { client, request };
}

/**
 * Sends each event only after the client has the one before: a hop that gathers events stops this for good,
 * and no clock is needed to see it.
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

/** Whether this event comes through, given time enough for any hop that does not hold it. */
const comesThrough = (client: StreamClient, event: string): Promise<boolean> =>
  eventually(() => client.text.includes(event), "the event", { timeoutMs: HELD_MS }).catch(() => false);

/** Fails unless events are held back until the backend ends its stream. */
async function expectHeldBack(source: Source, client: StreamClient): Promise<void> {
  // What nginx reads together with the head passes, held or not, so this one tells nothing.
  source.emit("data: with the head\n\n");
  await comesThrough(client, "data: with the head\n\n");
  source.emit("data: first\n\n");
  expect(await comesThrough(client, "data: first\n\n")).toBe(false);
  source.emit("data: second\n\n");
  source.end();
  await client.ended();
  // One piece holds both, though the second was sent long after the first.
  const piece = client.arrivals.find(({ bytes }) => bytes.includes("data: first"));
  expect(piece?.bytes.toString()).toContain("data: first\n\ndata: second\n\n");
}

const chunked = (request: BackendRequest): Source => ({
  emit: (text) => request.emit(text),
  end: () => request.endStream(),
});

/** The head of a stream without sluice, for an nginx that speaks HTTP/1.0: its end is the connection's. */
function openUnframed(request: BackendRequest, fields = ""): Source {
  request.send(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n${fields}\r\n`);
  return { emit: (text) => request.send(text), end: () => request.halfClose() };
}

describe.each(SITES)("nginx in front: $name", (site) => {
  it("lets the events of a GET through one by one", async () => {
    const { client, request } = await openThrough(site);
    // The head and the first comment are through before the backend has sent an event.
    await client.received(":\n");
    const sent = await exchangeEvents(request, client);
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe(`:\n${sent}`);
    expect(client.field("content-type")).toBe("text/event-stream");
    expect(client.field("cache-control")).toBe("no-cache, no-transform");
  });

  it("lets the events of a POST through one by one", async () => {
    const { client, request } = await openThrough(site, {}, { method: "POST", body: '{"prompt":"hello"}' });
    const sent = await exchangeEvents(request, client);
    expect((await request.wholeBody()).toString()).toBe('{"prompt":"hello"}');
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe(`:\n${sent}`);
  });

  it("lets the heartbeats of a silent stream through", async () => {
    const { client, request } = await openThrough(site, { stream: { heartbeat: "50ms" } });
    await client.received(":\n:\n:\n:\n");
    request.emit("data: awake\n\n");
    await client.received("data: awake\n\n");
    expect(client.text).toMatch(/^(:\n){4,}data: awake\n\n(:\n)*$/);
  });

  it("ends the backend's request when the client leaves", async () => {
    const { client, request } = await openThrough(site);
    await exchangeEvents(request, client, 1);
    expect(request.connection.isOpen).toBe(true);
    client.leave();
    await request.connection.closed;
  });

  it("shows the client that a stream broke off", async () => {
    const { client, request } = await openThrough(site);
    await exchangeEvents(request, client, 1);
    request.emit("data: half");
    await client.received("data: half");
    request.reset();
    expect(["truncated", "reset"]).toContain(await client.ended());
  });
});

describe("controls: what sluice does for nginx is needed", () => {
  /** The backend directly behind nginx. */
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

  it("holds events back when nginx is told to ignore the header", async () => {
    const deaf: Site = { httpVersion: "1.0", extra: "proxy_ignore_headers X-Accel-Buffering;" };
    const { client, request } = await openThrough(deaf);
    await expectHeldBack(chunked(request), client);
  });

  it("lets the same events through for the header alone", async () => {
    const { client, request } = await openWithoutSluice("1.0");
    const source = openUnframed(request, "X-Accel-Buffering: no\r\n");
    for (const event of ["data: one\n\n", "data: two\n\n", "data: three\n\n"]) {
      source.emit(event);
      await client.received(event);
    }
  });

  // Over HTTP/1.1 nginx passes small chunks on, buffering or not. Of a large chunk that comes in pieces it
  // holds whole events back, even when the chunk is complete, unless the header says otherwise.
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

describe("an nginx that waits for a few seconds only", () => {
  // More than this process may stand still, which sends the heartbeats.
  const IMPATIENT: Site = { extra: "proxy_read_timeout 2500ms;" };

  it("keeps a quiet stream for its heartbeats", async () => {
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

  it("holds events back, because the first keeps the header to itself", async () => {
    const { client, request } = await openThroughTwo("");
    await expectHeldBack(chunked(request), client);
  });

  it("lets events through when the first passes the header on", async () => {
    const { client, request } = await openThroughTwo("proxy_pass_header X-Accel-Buffering;");
    await exchangeEvents(request, client);
  });
});

describe("other settings of nginx", () => {
  it("gets events through its gzip one by one", async () => {
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

  /** Asks for gzip and unpacks as it comes. */
  function readCompressed(nginx: NginxFixture): () => string {
    let text = "";
    const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
    gunzip.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    // The stream is left in the middle, which both ends report.
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

describe("curl -N through an nginx with its defaults", () => {
  it("shows one line a second", async () => {
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
      // Each line is on the screen before the next is sent.
      await eventually(() => shown.includes(`data: line ${number}\n\n`), `line ${number}`);
    }
  });
});
