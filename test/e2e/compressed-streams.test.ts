import { EventSource } from "eventsource";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { COMPRESSORS, FlushingCompressor } from "../support/compressed.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS } from "../support/nginx-lab.ts";
import { openStream } from "../support/sse-client.ts";

/** An nginx that compresses the streams of its backend, and flushes each event because it does not buffer. */
const COMPRESSING = {
  text: `server {
    listen \${PLAIN_LISTEN};
    location / {
      proxy_pass http://\${SLUICE_UPSTREAM};
      proxy_buffering off;
      gzip on;
      gzip_types *;
      gzip_min_length 1;
    }
  }`,
};

/** Returns where clients connect: the gateway itself, or an nginx with default buffering in front of it. */
const FRONTS: readonly (readonly [name: string, open: (gateway: GatewayFixture) => Promise<string>])[] = [
  ["bare", async ({ url }) => url],
  ...BUILDS.map(
    ({ version, path }) =>
      [
        `behind nginx ${version}`,
        async ({ host }: GatewayFixture) => {
          const httpVersion = version === "1.22" ? "1.0" : "1.1";
          return (await startNginx({ executable: path, httpVersion, upstream: host })).url;
        },
      ] as const,
  ),
];

/** Starts a backend behind an nginx that compresses its responses. */
async function startCompressing() {
  const backend = await startBackend();
  const nginx = await startNginx({ template: COMPRESSING, upstream: `127.0.0.1:${backend.port}` });
  return { backend, nginx };
}

const eventOf = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

it("control: the compressing nginx compresses a stream for the SDK's Accept-Encoding", async () => {
  const { backend, nginx } = await startCompressing();
  const client = openStream(nginx.port, { headers: { Accept: "*/*", "Accept-Encoding": "gzip, deflate" } });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(eventOf("one"));
  await eventually(() => client.body.length > 0, "the first bytes");
  expect(client.field("content-encoding")).toBe("gzip");
  expect(client.text).not.toContain("data:");
});

describe.each(FRONTS)("%s", (_, openFront) => {
  it.each(["pass", "identity"])(
    "openai gets each delta of a compressing nginx at once, with acceptEncoding: %s",
    async (acceptEncoding) => {
      const { backend, nginx } = await startCompressing();
      const gateway = await startGatewayTo(nginx.url, {
        upstream: { backends: [{ url: nginx.url }], acceptEncoding },
        stream: { heartbeat: "20ms" },
      });
      const client = new OpenAI({ apiKey: "k", baseURL: `${await openFront(gateway)}/v1`, maxRetries: 0 });
      const answer = client.chat.completions.create({ model: "m", stream: true, messages: [] });
      const request = await backend.nextRequest();
      expect(request.field("accept-encoding")).toBe(acceptEncoding === "pass" ? "gzip, deflate" : "identity");
      request.openStream();
      request.emit(eventOf("first"));
      const chunks = (await answer)[Symbol.asyncIterator]();
      const next = async () => (await chunks.next()).value?.choices[0]?.delta.content;
      expect(await next()).toBe("first");
      for (const content of ["one", "日本", "x".repeat(20_000)]) {
        request.emit(eventOf(content));
        expect(await next()).toBe(content);
      }
      request.emit("data: [DONE]\n\n");
      request.endStream();
      expect(await next()).toBeUndefined();
      expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_ended", events: 5 });
    },
  );

  it("openai detects a compressed stream that breaks off", async () => {
    const { backend, nginx } = await startCompressing();
    const gateway = await startGatewayTo(nginx.url);
    const client = new OpenAI({ apiKey: "k", baseURL: `${await openFront(gateway)}/v1`, maxRetries: 0 });
    const answer = client.chat.completions.create({ model: "m", stream: true, messages: [] });
    const request = await backend.nextRequest();
    request.openStream();
    request.emit(eventOf("first"));
    const chunks = (await answer)[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.choices[0]?.delta.content).toBe("first");
    request.reset();
    await expect(chunks.next()).rejects.toThrow();
  });

  it.each(Object.keys(COMPRESSORS))(
    "an EventSource gets each event of a backend that sends %s unasked",
    async (coding) => {
      const backend = await startBackend();
      const gateway = await startGatewayTo(backend.url, { shared: {}, stream: { heartbeat: "20ms" } });
      const source = new EventSource(`${await openFront(gateway)}/stream`);
      afterTest(() => source.close());
      const seen: string[] = [];
      source.addEventListener("message", ({ data }) => seen.push(data));
      const request = await backend.nextRequest();
      expect(request.field("accept-encoding")).toBe("identity");
      const emit = compressing(coding, request);
      for (const data of ["one", "two", "three"]) {
        await emit(`data: ${data}\n\n`);
        await eventually(() => seen.at(-1) === data, `the event ${data}`);
      }
      expect(seen).toEqual(["one", "two", "three"]);
    },
  );

  it("fetch gets each line of compressed NDJSON at once, and still compressed", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const answer = fetch(`${await openFront(gateway)}/api/chat`, { method: "POST", body: "{}" });
    const request = await backend.nextRequest();
    const emit = compressing("gzip", request, { "Content-Type": "application/x-ndjson" });
    await emit('{"n":0}\n');
    const response = await answer;
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const parts = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async () => Buffer.from((await parts.read()).value ?? []).toString();
    expect(await next()).toBe('{"n":0}\n');
    for (const line of ['{"n":1}\n', '{"n":2}\n']) {
      await emit(line);
      expect(await next()).toBe(line);
    }
    await parts.cancel();
  });
});

/** Opens a compressed stream; the returned function sends a part of it. */
function compressing(coding: string, request: BackendRequest, fields: Record<string, string> = {}) {
  const compressor = new FlushingCompressor((COMPRESSORS[coding] as (typeof COMPRESSORS)[string])());
  request.openStream({ "Content-Encoding": coding, ...fields });
  return async (text: string) => request.emit(await compressor.write(text));
}
