import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { epoch, startIssuer } from "../support/issuer.ts";
import { openRelay } from "../support/relay.ts";
import { event, startSharing } from "../support/shared.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

// An EventSource reconnects after a clean end. The reader of a POST took it for the end of the response: of 20 answers
// of a language model at SIGTERM, 6 were cut without an error.

const POST: StreamRequest = { method: "POST", body: "{}", headers: { Accept: "*/*" } };
const PLAIN_GET: StreamRequest = {};
const BROKEN = /^(truncated|reset)$/;

test("of 20 responses to POST at SIGTERM, with defaults, each arrives whole", async () => {
  const backend = await startBackend();
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\n",
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\n`,
  });
  const sluice = startSluice(["serve"], { cwd });
  const port = await sluice.port();
  const answers = [];
  for (let at = 0; at < 20; at++) {
    const client = openStream(port, POST);
    const request = await backend.nextRequest();
    request.openStream();
    request.emit(event("token"));
    await client.received("token");
    answers.push({ client, request });
  }
  sluice.kill("SIGTERM");
  // An early end would come in the part of the drain that belongs to it: 24 s for 20 streams, so 6 s are 5 streams.
  for (let tick = 0; tick < 60; tick++) {
    for (const { request } of answers) request.emit(event("token"));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(answers.map(({ client }) => client.end)).toEqual(Array.from({ length: 20 }, () => undefined));
  for (const { request } of answers) {
    request.emit(event("[DONE]"));
    request.endStream();
  }
  for (const { client } of answers) {
    expect(await client.ended()).toBe("clean");
    expect(client.text.endsWith("data: [DONE]\n\n")).toBe(true);
  }
  // With the last response the drain is over.
  expect(await sluice.ended).toMatchObject({ code: 0 });
}, 30_000);

test.each([
  ["a POST", POST],
  ["a GET without Accept", PLAIN_GET],
])("%s that is still open at drain.timeout is aborted", async (_name, request) => {
  const backend = await startBackend((received) => received.openStream());
  const gateway = await startGatewayTo(backend.url, {}, { drain: { timeout: "1s" } });
  const client = openStream(gateway.port, request);
  await client.opened();
  const startedAt = performance.now();
  await gateway.drain();
  expect(await client.ended()).toMatch(BROKEN);
  expect(client.endedAt - startedAt).toBeGreaterThan(990);
  expect(client.text).not.toContain("retry:");
  expect(await gateway.requestLine()).toMatchObject({ endReason: "drained" });
});

test.each([
  ["a plain GET", PLAIN_GET],
  ["a GET that accepts an event stream", { headers: { Accept: "text/event-stream" } }],
])("a stream of JSON lines goes on too: %s", async (_name, asked) => {
  const { client, request, gateway } = await openRelay({
    request: asked,
    fields: { "Content-Type": "application/x-ndjson" },
  });
  const drained = gateway.drain();
  await eventually(() => gateway.log.some(({ msg }) => msg === "draining"), "the drain to begin");
  request.emit('{"done":true}\n');
  request.endStream();
  expect(await client.ended()).toBe("clean");
  await drained;
});

test.each([
  ["a POST", POST],
  ["a GET without Accept", PLAIN_GET],
])("maxDuration aborts %s", async (_name, request) => {
  const opened = await openRelay({ route: { stream: { maxDuration: "500ms" } }, request });
  expect(await opened.client.ended()).toMatch(BROKEN);
  expect(await opened.gateway.requestLine()).toMatchObject({ endReason: "max_duration" });
});

test("the expiry of its credential aborts a POST, when it would have ended it", async () => {
  const backend = await startBackend((request) => request.openStream());
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { auth: { jwt: issuer.config() } });
  const authorization = `Bearer ${await issuer.token({ expiresIn: 3 })}`;
  const expiresAt = epoch(3) * 1000;
  const client = openStream(gateway.port, { ...POST, headers: { authorization } });
  expect(await client.ended()).toMatch(BROKEN);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 1_000);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "auth_expired" });
});

test("an operator who ends the stream of a POST aborts it", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startWithAdmin({ routes: { one: { match: { path: "/*" }, upstream: backend.url } } });
  const client = openStream(gateway.port, POST);
  await client.opened();
  const { streams } = JSON.parse((await askAdmin(gateway, "/api/streams")).text) as {
    streams: { id: string }[];
  };
  await askAdmin(gateway, `/api/streams/${streams[0]?.id}/end`, { method: "POST" });
  expect(await client.ended()).toMatch(BROKEN);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "evicted" });
});

test("a subscriber of a shared stream that did not ask for an event stream is aborted", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { port } = await startSharing(backend.url, {}, { stream: { maxDuration: "500ms" } });
  const client = openStream(port, { path: "/news" });
  expect(await client.ended()).toMatch(BROKEN);
});
