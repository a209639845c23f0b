import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCaddy } from "../support/caddy.ts";
import { type EventBackend, startEventBackend } from "../support/event-backend.ts";
import { startHaproxyWith } from "../support/haproxy.ts";
import { found, probeUrl } from "../support/probe.ts";
import { openStream } from "../support/sse-client.ts";

type Proxy = { readonly port: number; stop(): Promise<void> };

let backend: EventBackend;
beforeAll(async () => {
  backend = await startEventBackend();
});
afterAll(() => backend.stop());

const urlOf = ({ port }: Proxy, query = "") => `http://127.0.0.1:${port}/s?${query}`;

describe("through a real HAProxy", () => {
  const proxies: Proxy[] = [];
  const start = async (lines: readonly string[]) => {
    const common = ["mode http", "timeout client 30s"];
    const proxy = await startHaproxyWith({
      server: `127.0.0.1:${backend.port}`,
      lines: [...common, ...lines],
    });
    proxies.push(proxy);
    return proxy;
  };
  let bare: Proxy;
  let clean: Proxy;
  let gzip: Proxy;
  beforeAll(async () => {
    const prompt = ["option http-no-delay", "timeout server 1500ms"];
    bare = await start(["timeout server 30s"]);
    clean = await start(prompt);
    gzip = await start([...prompt, "compression algo gzip", "compression type text/event-stream"]);
  });
  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  });

  // A busy machine makes streams late by itself, hence the retries.
  describe.concurrent("a stream", { retry: 2 }, () => {
    test("waits 200 ms for fuller packets, without option http-no-delay", async () => {
      const report = await probeUrl(urlOf(bare, "n=12"), { backend: backend.url("n=12") });
      const late = { outcome: "late", hop: "url", exit: 1, directive: "option http-no-delay" };
      expect(found(report)).toMatchObject(late);
    });

    test("is prompt with option http-no-delay", async () => {
      const report = await probeUrl(urlOf(clean), { backend: backend.url() });
      expect(found(report)).toMatchObject({ outcome: "prompt", exit: 0 });
      expect(report.notes).toEqual([]);
    });

    test("is cut by timeout server", async () => {
      const query = "n=2&gap=6000";
      const report = await probeUrl(urlOf(clean, query), { backend: backend.url(query) });
      expect(found(report)).toMatchObject({ outcome: "cut", kind: "timer", hop: "url", exit: 1 });
    });

    test("is held back with compression", async () => {
      const report = await probeUrl(urlOf(gzip, "n=12"), { backend: backend.url("n=12") });
      const tried = ["identity: prompt without gzip"];
      expect(found(report)).toMatchObject({ outcome: "late", hop: "url", exit: 1, tried });
    });
  });
});

describe("through a real Caddy", () => {
  let plain: Proxy;
  let encoding: Proxy;
  beforeAll(async () => {
    const proxy = `reverse_proxy 127.0.0.1:${backend.port}`;
    plain = await startCaddy(proxy);
    // The compression of SSE is the default of later versions.
    const match = "match {\n header Content-Type text/event-stream*\n }";
    encoding = await startCaddy(`encode {\n gzip\n minimum_length 1\n ${match}\n }\n ${proxy}`);
  });
  afterAll(async () => {
    await plain?.stop();
    await encoding?.stop();
  });

  test("a stream is prompt", async () => {
    const report = await probeUrl(urlOf(plain), { backend: backend.url() });
    expect(found(report)).toMatchObject({ outcome: "prompt", software: "Caddy", exit: 0 });
  });

  test("a stream compressed by encode is held back, in versions that do not flush, for the probe and any client", async () => {
    const client = openStream(encoding.port, { path: "/s", headers: { "Accept-Encoding": "gzip" } });
    await client.ended();
    // Eight events in 1.75 s.
    const isHeld = client.arrivals.filter(({ bytes }) => bytes.length > 0).length < 6;
    const report = await probeUrl(urlOf(encoding), { backend: backend.url() });
    expect(report.readings.map(({ coding }) => coding)).toEqual([undefined, "gzip"]);
    if (!isHeld) return expect(found(report)).toMatchObject({ outcome: "prompt", exit: 0 });
    expect(found(report)).toMatchObject({
      outcome: "late",
      kind: "all-at-once",
      hop: "url",
      software: "Caddy",
    });
    expect(found(report).tried).toEqual(["identity: prompt without gzip"]);
    expect(found(report).directive).toContain("encode");
  });
});
