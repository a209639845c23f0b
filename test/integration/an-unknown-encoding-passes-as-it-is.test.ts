import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

test.each([
  ["unknown", "compress"],
  ["two codings", "gzip, br"],
  ["two codings in two fields", ["gzip", "br"]],
])(
  "a content coding that cannot be decoded passes without comment lines, and a warning names it: %s",
  async (_, coding) => {
    const { client, request, gateway } = await openRelay({
      route: { stream: { heartbeat: "30ms", padding: "1k", retry: "1s" } },
      fields: { "Content-Encoding": coding },
    });
    const body = gzipSync("data: 1\n\n");
    request.emit(body.subarray(0, 5));
    await eventually(() => client.body.length === 5, "the first bytes");
    await delay(150);
    request.emit(body.subarray(5));
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.body.equals(body)).toBe(true);
    expect(client.fieldLines("content-encoding")).toEqual([coding].flat());
    const warnings = gateway.log.filter(({ level }) => level === 40);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ route: "main", coding: [coding].flat().join(", ") });
  },
);

test("Content-Encoding: identity is a plain stream", async () => {
  const { client } = await openRelay({ fields: { "Content-Encoding": "identity" } });
  await client.received(":\n");
  expect(client.field("content-encoding")).toBeUndefined();
});

test("Accept-Encoding is replaced for a client that accepts event streams, and kept for others", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const send = async (headers: Record<string, string>) => {
    await openStream(gateway.port, { headers }).ended();
    return backend.requests.at(-1)?.fieldLines("accept-encoding");
  };
  const compressed = { "Accept-Encoding": "gzip, br" };
  expect(await send({ Accept: "text/event-stream", ...compressed })).toEqual(["identity"]);
  expect(await send({ Accept: "application/json, Text/Event-Stream;q=0.9", ...compressed })).toEqual([
    "identity",
  ]);
  expect(await send({ Accept: "text/event-stream" })).toEqual(["identity"]);
  expect(await send({ Accept: "*/*", ...compressed })).toEqual(["gzip, br"]);
  expect(await send(compressed)).toEqual(["gzip, br"]);
  expect(await send({ Accept: "text/html" })).toEqual([]);
});

test("upstream.acceptEncoding: identity asks for no compression for every client", async () => {
  const backend = await startBackend((request) => request.respond());
  const upstream = { backends: [{ url: backend.url }], acceptEncoding: "identity" };
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, upstream } } });
  for (const headers of [
    { Accept: "application/json", "Accept-Encoding": "gzip, br" },
    { Accept: "*/*", "accept-encoding": "zstd" },
    {},
  ]) {
    await openStream(gateway.port, { headers }).ended();
    expect(backend.requests.at(-1)?.fieldLines("accept-encoding")).toEqual(["identity"]);
  }
});
