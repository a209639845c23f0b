import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compare } from "../../src/probe/pair.ts";
import { refusedPort } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { type EventBackend, startEventBackend } from "../support/event-backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { NGINX_BUILDS, type NginxFixture, startNginx } from "../support/nginx.ts";
import { found, probeUrl } from "../support/probe.ts";

const OFF = "proxy_http_version 1.1; proxy_buffering off;";

/** One nginx with a path for each configuration that affects streams. */
const site = (backend: number, gateway: number, tls: Readonly<Record<string, string | number>>) => `
proxy_cache_path cache keys_zone=z:1m;
server {
  listen \${PLAIN_LISTEN};
  location /off/ { ${OFF} proxy_pass http://127.0.0.1:${backend}/; }
  location /http10/ { proxy_http_version 1.0; proxy_pass http://127.0.0.1:${backend}/; }
  location /http11/ { proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}/; }
  location /gzip/ { gzip on; gzip_types *; proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}/; }
  location /gzip-off/ { gzip on; gzip_types *; ${OFF} proxy_pass http://127.0.0.1:${backend}/; }
  location /cut/ { ${OFF} proxy_read_timeout 1s; proxy_pass http://127.0.0.1:${backend}/; }
  location /cache/ {
    proxy_cache z; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control;
    proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}/;
  }
  location /lock/ {
    proxy_cache z; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control; proxy_cache_lock on;
    proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}/;
  }
  location /shared/ { ${OFF} proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:${gateway}; }
  location /cors/ { ${OFF} add_header Access-Control-Allow-Origin *; proxy_pass http://127.0.0.1:${backend}/; }
  location /no-id/ { ${OFF} proxy_set_header Last-Event-ID ""; proxy_pass http://127.0.0.1:${backend}/; }
  location /outer-off/ { ${OFF} proxy_pass http://\${PLAIN_LISTEN}/http10/; }
  location /outer-held/ { proxy_http_version 1.0; proxy_pass http://\${PLAIN_LISTEN}/off/; }
  location /.sluice/ { proxy_http_version 1.0; proxy_pass http://127.0.0.1:${gateway}; }
  location /deaf/ {
    proxy_http_version 1.0; proxy_ignore_headers X-Accel-Buffering; proxy_pass http://127.0.0.1:${gateway}/;
  }
}
server {
  listen 127.0.0.1:${tls["port"]} ssl; ssl_certificate ${tls["cert"]}; ssl_certificate_key ${tls["key"]};
  location / { proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}; }
}
server {
  listen 127.0.0.1:${tls["http2"]} ssl http2; ssl_certificate ${tls["cert"]}; ssl_certificate_key ${tls["key"]};
  location / { proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend}; }
  location /keep-alive { ${OFF} add_header Keep-Alive timeout=60; proxy_pass http://127.0.0.1:${backend}; }
}`;

describe.each(NGINX_BUILDS)("through a real nginx: %s", (executable) => {
  let backend: EventBackend;
  let gateway: GatewayFixture;
  let nginx: NginxFixture;
  let tls: { port: number; http2: number; cert: string; key: string };

  beforeAll(async () => {
    backend = await startEventBackend();
    gateway = await startGateway({
      routes: {
        shared: { match: { path: "/shared/*" }, upstream: backend.url().replace(/\/s\?$/, ""), shared: {} },
      },
      server: { probe: true },
    });
    const files = await certificateFiles();
    tls = { port: await refusedPort(), http2: await refusedPort(), ...files };
    const text = site(backend.port, gateway.port, tls);
    nginx = await startNginx({ executable, template: { text }, upstream: "unused" });
  });
  afterAll(async () => {
    await nginx?.stop();
    await gateway?.close();
    backend?.stop();
  });

  const url = (path: string, query = "") => `${nginx.url}/${path}/s?${query}`;
  const HELD = { outcome: "late", kind: "all-at-once", hop: "url", software: "nginx", exit: 1 };

  // These tests wait for seconds and need hardly any CPU. On a busy machine streams are late and the probe reports
  // it, hence the retries.
  describe.concurrent("a stream", { retry: 2 }, () => {
    test("is prompt without buffering", async () => {
      const chain = await probeUrl(url("off"), { backend: backend.url() });
      expect(found(chain)).toMatchObject({ outcome: "prompt", exit: 0, isSure: true });
      expect(chain.notes).toEqual([]);
      const single = await probeUrl(url("off"));
      expect(found(single)).toMatchObject({ outcome: "prompt", exit: 0, isSure: true, connections: 1 });
    });

    test("over HTTP/1.0 is held back to its end", async () => {
      const query = "closing";
      const chain = await probeUrl(url("http10", query), { backend: backend.url(query) });
      expect(found(chain)).toMatchObject({ ...HELD, rule: "response-buffered", isSure: true });
      const single = await probeUrl(url("http10", query));
      expect(found(single)).toMatchObject({ ...HELD, rule: "response-buffered", isSure: true });
    });

    test("that never ends is held back for good", async () => {
      const query = "n=1000&closing";
      const chain = await probeUrl(url("http10", query), { backend: backend.url(query) }, { forMs: 2_500 });
      expect(found(chain)).toMatchObject({ ...HELD, kind: "nothing", rule: "response-buffered" });
      const single = await probeUrl(url("http10", query), {}, { forMs: 2_500 });
      expect(found(single)).toMatchObject({ ...HELD, kind: "nothing", isSure: false });
      expect(single.trials[0]?.outcome).toMatch(/^HEAD gets a response after \d+ ms$/);
    });

    test("with events larger than a buffer is late, because the buffer holds back their ends", async () => {
      const query = "pad=5000&gap=350";
      const tail = { ...HELD, kind: "tail", rule: "response-buffered", directive: "proxy_buffering off;" };
      expect(found(await probeUrl(url("http11", query), { backend: backend.url(query) }))).toMatchObject(
        tail,
      );
      expect(found(await probeUrl(url("http11", query)))).toMatchObject(tail);
      expect(found(await probeUrl(url("off", query), { backend: backend.url(query) })).outcome).toBe(
        "prompt",
      );
    });

    test("has a late head, which waits for the first event", async () => {
      const query = "first=1500";
      const chain = await probeUrl(url("http11", query), { backend: backend.url(query) });
      expect(found(chain)).toMatchObject({ ...HELD, kind: "head", rule: "response-buffered" });
      // With one URL a sender that sends both together looks the same.
      const single = await probeUrl(url("http11", query));
      expect(found(single)).toMatchObject({ outcome: "prompt", exit: 0 });
      expect(single.notes).toMatchObject([{ rule: "response-buffered" }]);
    });

    test("fills TLS records for HTTP/1.1 clients and so is late", async () => {
      const only11 = await probeUrl(`https://127.0.0.1:${tls.port}/s`);
      expect(found(only11)).toMatchObject({ ...HELD, rule: "response-buffered" });
      const both = await probeUrl(`https://127.0.0.1:${tls.http2}/s`, {}, { ask: { http: "1.1" } });
      expect(found(both)).toMatchObject({ ...HELD, tried: ["http2: prompt by HTTP/2"] });
      expect(both.verdict.remedy?.text).toContain("TLS records");
      expect(found(await probeUrl(`https://127.0.0.1:${tls.http2}/s`)).outcome).toBe("prompt");
    });

    test("with a field that HTTP/2 forbids is unreachable", async () => {
      const report = await probeUrl(`https://127.0.0.1:${tls.http2}/keep-alive`);
      expect(found(report)).toMatchObject({ outcome: "unreachable", exit: 2 });
      expect(report.verdict.sentence).toContain("connection-field-in-http2");
    });

    test("compressed with buffering on is late", async () => {
      const chain = await probeUrl(url("gzip"), { backend: backend.url() });
      const expected = { ...HELD, rule: "compressed-while-buffered", directive: "gzip off;" };
      expect(found(chain)).toMatchObject({ ...expected, tried: ["identity: prompt without gzip"] });
      expect(found(await probeUrl(url("gzip")))).toMatchObject(expected);
    });

    test("compressed event by event is prompt, with a note", async () => {
      const report = await probeUrl(url("gzip-off"), { backend: backend.url() });
      expect(found(report)).toMatchObject({ outcome: "prompt", exit: 0 });
      expect(report.readings.map(({ coding }) => coding)).toEqual([undefined, "gzip"]);
      expect(report.notes).toMatchObject([{ hop: "url", rule: "stream-compressed" }]);
    });

    test("that is silent is cut by a timer", async () => {
      const query = "n=3&gap=4000";
      const cut = { outcome: "cut", kind: "timer", hop: "url", rule: "read-timeout-cuts-silence", exit: 1 };
      const chain = await probeUrl(url("cut", query), { backend: backend.url(query) });
      expect(found(chain)).toMatchObject({ ...cut, software: "nginx" });
      expect(found(await probeUrl(url("cut", query)))).toMatchObject(cut);
    });

    test("from a cache is recognized as a recording", async () => {
      await (await fetch(url("cache"))).text();
      const cached = { ...HELD, kind: "replayed", rule: "stream-cached", directive: "proxy_cache off;" };
      expect(found(await probeUrl(url("cache")))).toMatchObject(cached);
      expect(found(await probeUrl(url("cache"), { backend: backend.url() }))).toMatchObject(cached);
    });

    test("in a cache with a lock waits for another client's stream", async () => {
      const query = "n=1000";
      const leaving = new AbortController();
      await fetch(url("lock", query), { signal: leaving.signal });
      const report = await probeUrl(url("lock", query), {}, { forMs: 8_000 });
      leaving.abort();
      expect(found(report)).toMatchObject({ ...HELD, kind: "head", rule: "cache-lock-holds" });
    });

    test("shared by sluice is compared by its events", async () => {
      const query = "n=1000";
      const report = await probeUrl(
        url("shared", query),
        { sluice: `${gateway.url}/shared/s?${query}` },
        { forMs: 2_500 },
      );
      expect(found(report)).toMatchObject({ outcome: "prompt", exit: 0 });
      const [inner, outer] = report.readings;
      if (inner === undefined || outer === undefined) throw new Error("two readings");
      // One backend request serves both, so the events are the same.
      expect(compare(inner, outer)).toMatchObject({ by: "bytes" });
    });

    test("held back by the inner of two hops is attributed to the inner hop", async () => {
      const query = "closing";
      const behind = { backend: backend.url(query), inner: url("http10", query) };
      const report = await probeUrl(url("outer-off", query), behind);
      expect(found(report)).toMatchObject({ ...HELD, hop: "inner", rule: "response-buffered" });
      expect(report.connections).toBeLessThanOrEqual(2 + 2 * 2);
    });

    test("held back by the outer of two hops is attributed to the outer hop", async () => {
      const query = "n=1000";
      const behind = { backend: backend.url(query), inner: url("off", query) };
      const report = await probeUrl(url("outer-held", query), behind, { forMs: 2_500 });
      expect(found(report)).toMatchObject({ ...HELD, kind: "nothing", rule: "response-buffered" });
    });

    test("of lines, requested by POST, is measured too", async () => {
      const query = "closing&type=application/x-ndjson";
      const ask = { ask: { method: "POST", body: Buffer.from('{"prompt":"hello"}') } };
      const held = await probeUrl(url("http10", query), { backend: backend.url(query) }, ask);
      expect(found(held)).toMatchObject({ ...HELD, rule: "response-buffered" });
      expect(held.readings.map(({ format, events }) => [format, events.length])).toEqual([
        ["lines", 8],
        ["lines", 8],
      ]);
      const prompt = await probeUrl(url("off", query), { backend: backend.url(query) }, ask);
      expect(found(prompt)).toMatchObject({ outcome: "prompt", exit: 0 });
    });

    test("is prompt if its sender sends several events together", async () => {
      const query = "n=20&burst=4&gap=500";
      expect(found(await probeUrl(url("off", query)))).toMatchObject({ outcome: "prompt", exit: 0 });
      const untimed = `${query}&untimed`;
      const chain = await probeUrl(url("off", untimed), { backend: backend.url(untimed) });
      expect(found(chain)).toMatchObject({ hop: "backend", isSure: false });
      // Without times in the events the verdict is not sure, and names the flag that would make it sure.
      const single = await probeUrl(url("off", untimed));
      expect(found(single)).toMatchObject({ outcome: "late", isSure: false });
      expect(single.verdict.sentence).toContain("or the sender itself sends late");
    });

    test("with Access-Control-Allow-Origin twice, or without Last-Event-ID, is prompt with a note", async () => {
      const cors = "n=2&field=Access-Control-Allow-Origin:%20*";
      const ask = {
        origin: "https://app.example",
        ask: { fields: [["Origin", "https://app.example"]] as const },
      };
      const twice = await probeUrl(url("cors", cors), {}, ask);
      expect(found(twice).outcome).toBe("prompt");
      expect(twice.notes).toMatchObject([{ rule: "cors-twice" }]);
      const lost = await probeUrl(url("no-id"), { backend: backend.url() });
      expect(found(lost).outcome).toBe("prompt");
      expect(lost.notes).toMatchObject([{ hop: "url", rule: "request-fields-dropped" }]);
    });

    test("of sluice's own probe path needs no backend", async () => {
      const path = "/.sluice/probe?n=8&gap=250ms&pad=5000";
      const sluice = gateway.url + path;
      // Over HTTP/1.0 too, because sluice's X-Accel-Buffering switches buffering off.
      expect(found(await probeUrl(nginx.url + path, { sluice })).outcome).toBe("prompt");
      const deaf = await probeUrl(`${nginx.url}/deaf${path}`, { sluice });
      expect(found(deaf)).toMatchObject({ outcome: "late", hop: "url", software: "nginx" });
    });
  });
});
