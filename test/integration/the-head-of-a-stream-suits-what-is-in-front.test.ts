import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

test("a stream's head forbids buffering, caching and transformation, each once", async () => {
  const { client } = await openRelay();
  expect(client.fieldLines("x-accel-buffering")).toEqual(["no"]);
  expect(client.fieldLines("cache-control")).toEqual(["no-cache, no-transform"]);
  expect(client.fieldLines("transfer-encoding")).toEqual(["chunked"]);
});

for (const [sent, expected] of [
  ["no-store", "no-store, no-transform"],
  ["private, max-age=0", "private, max-age=0, no-cache, no-transform"],
  ["No-Cache, NO-TRANSFORM", "No-Cache, NO-TRANSFORM"],
] as const) {
  test(`Cache-Control: ${sent} is kept and completed`, async () => {
    const { client } = await openRelay({ fields: { "Cache-Control": sent } });
    expect(client.fieldLines("cache-control")).toEqual([expected]);
  });
}

test("a backend cannot control the nginx in front", async () => {
  const { client } = await openRelay({
    fields: {
      "X-Accel-Buffering": "yes",
      "X-Accel-Redirect": "/internal/secret",
      "X-Accel-Expires": "3600",
      "x-accel-limit-rate": "1",
      "X-Accel-Charset": "koi8-r",
    },
  });
  expect(client.head?.fields.filter(([name]) => /^x-accel-/i.test(name))).toEqual([
    ["X-Accel-Buffering", "no"],
  ]);
});

test("X-Accel-Buffering is the only X-Accel field that an ordinary response keeps", async () => {
  const backend = await startBackend((request) =>
    request.respond(
      200,
      { "X-Accel-Redirect": "/internal/secret", "X-Accel-Expires": "1", "X-Accel-Buffering": "no" },
      "ok",
    ),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  await client.ended();
  expect(client.head?.fields.filter(([name]) => /^x-accel-/i.test(name))).toEqual([
    ["X-Accel-Buffering", "no"],
  ]);
});

test("a stream's Content-Length is removed", async () => {
  const backend = await startBackend((request) =>
    request.respond(200, { "Content-Type": "text/event-stream" }, "data: 1\n\n"),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.field("content-length")).toBeUndefined();
  expect(client.text).toBe(":\ndata: 1\n\n");
});

test("hop-by-hop fields of the backend are removed, all others are forwarded", async () => {
  const { client } = await openRelay({
    fields: {
      Connection: "keep-alive, X-Hop",
      "Keep-Alive": "timeout=987",
      "X-Hop": "1",
      "Proxy-Authenticate": "Basic",
      Upgrade: "h2c",
      "X-End-To-End": "kept",
      "Set-Cookie": ["a=1", "b=2"],
    },
  });
  for (const name of ["x-hop", "proxy-authenticate", "upgrade"])
    expect(client.field(name), name).toBeUndefined();
  expect(client.field("keep-alive") ?? "").not.toContain("timeout=987");
  expect(client.field("x-end-to-end")).toBe("kept");
  expect(client.fieldLines("set-cookie")).toEqual(["a=1", "b=2"]);
});
