import { expect, test } from "vitest";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { openRaw, type RawClient, rawRequest } from "../support/raw-client.ts";

const OTHER = { key: "other", secret: "other-secret" };
const BODY = "b".repeat(60_000);
/** Room for two bodies, but not for a third. */
const LIMITS = { bodyBytes: "64k", bodiesBytes: "128k", failedAuth: "off" };
const ROOM = 2;

async function start() {
  const backend = await startBackend();
  const auth = { app: ["web-client"] };
  const gateway = await startGateway({
    server: { limits: LIMITS },
    apps: { "web-client": WEB_CLIENT, other: OTHER },
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, auth },
      dead: { match: { path: "/dead" }, upstream: `http://127.0.0.1:${await refusedPort()}`, auth },
      drained: {
        match: { path: "/drained" },
        upstream: backend.url,
        auth,
        stream: { onClientGone: "drain" },
      },
      mock: { match: { path: "/mock" }, mock: { body: "mocked" }, auth },
      scripted: { match: { path: "/scripted" }, mock: { events: [{ data: "x", after: "1h" }] }, auth },
    },
  });
  return { backend, gateway };
}

type Edit = (lines: readonly string[]) => readonly string[];

const signed = (gateway: GatewayFixture, path: string, app = WEB_CLIENT, edit?: Edit): Buffer =>
  rawSigned({ method: "POST", host: gateway.host, path, body: BODY }, edit ? { app, edit } : { app });

/** Sends a request without the last byte of its body. */
async function hold(gateway: GatewayFixture, app = WEB_CLIENT): Promise<RawClient> {
  const client = await openRaw(gateway.port);
  client.send(signed(gateway, "/held", app).subarray(0, -1));
  return client;
}

const UNSIGNED = { key: "nobody", secret: "x" };

/** Returns the gateway's own response to a request with a body. */
const refusalAt = async (gateway: GatewayFixture, app = UNSIGNED) =>
  rawRequest(gateway.port, signed(gateway, "/refused", app), { until: "request_id" });

/** Checks that exactly the allowed number of bodies has room, and that all room is free afterwards. */
async function expectExactRoom(gateway: GatewayFixture): Promise<void> {
  const held = await Promise.all(Array.from({ length: ROOM }, () => hold(gateway)));
  await eventually(async () => (await refusalAt(gateway)).status === 503, "no room for a third body");
  expect(held.map(({ status }) => status)).toEqual(Array.from({ length: ROOM }));
  for (const client of held) client.leave();
  await eventually(async () => (await refusalAt(gateway)).status === 401, "room again");
}

test("beyond limits.bodiesBytes a body is refused, but not a body that needs no room", async () => {
  const { gateway } = await start();
  const held = await Promise.all([hold(gateway, UNSIGNED), hold(gateway, UNSIGNED)]);
  await eventually(async () => (await refusalAt(gateway)).status === 503, "no room");
  const { text } = await refusalAt(gateway);
  expect(text).toMatch(/^HTTP\/1\.1 503 /);
  expect(text).toMatch(/\r\nRetry-After: \d+\r\n/);
  expect(text).toContain("SLUICE.0015");
  const lines = gateway.requestLines().filter(({ status }) => status === 503);
  expect(lines.at(-1)?.["err"]).toMatchObject({ code: "too_many_bodies" });
  // The signature is checked first: no body is buffered for a forged one.
  const declared = signed(gateway, "/refused", UNSIGNED, (fields) => [
    ...fields,
    `X-Sdk-Content-Sha256: ${"0".repeat(64)}`,
  ]);
  expect((await rawRequest(gateway.port, declared, { until: "request_id" })).status).toBe(401);
  const bodyless = rawSigned({ method: "GET", host: gateway.host, path: "/" }, { app: UNSIGNED });
  expect((await rawRequest(gateway.port, bodyless, { until: "request_id" })).status).toBe(401);
  for (const client of held) client.leave();
});

test("with a declared hash no byte of the body is read before the signature is verified", async () => {
  const { backend, gateway } = await start();
  const head = (app: typeof WEB_CLIENT, hash: string) => {
    const unsigned = {
      method: "POST",
      host: gateway.host,
      path: "/a",
      headers: { "X-Sdk-Content-Sha256": hash },
    };
    return rawSigned(unsigned, {
      app,
      edit: (lines) => [...lines, "Content-Length: 3", "Expect: 100-continue"],
    });
  };
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  for (const [app, status] of [
    [UNSIGNED, 401],
    [OTHER, 403],
  ] as const) {
    const answer = await rawRequest(gateway.port, head(app, abc), { until: "request_id" });
    expect([answer.status, answer.text.includes("100 Continue")]).toEqual([status, false]);
  }
  const client = await openRaw(gateway.port);
  client.send(head(WEB_CLIENT, abc));
  await client.received("100 Continue");
  client.send("abc");
  const request = await backend.nextRequest();
  expect((await request.wholeBody()).toString()).toBe("abc");
  request.respond(200);
});

test("every outcome of a request releases its body's room exactly once", async () => {
  const { backend, gateway } = await start();
  const whole = async (raw: Buffer) => {
    const client = await openRaw(gateway.port);
    client.send(raw);
    return client;
  };
  const chunked: Edit = (lines) => [
    ...lines.filter((line) => !line.startsWith("content-length")),
    "Transfer-Encoding: chunked",
  ];
  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    async served() {
      const client = await whole(signed(gateway, "/a"));
      const request = await backend.nextRequest();
      expect((await request.wholeBody()).toString()).toBe(BODY);
      request.respond(200, {}, "served");
      await client.received("served");
    },
    "of an unknown key": async () => expect((await refusalAt(gateway)).status).toBe(401),
    "of an app that may not": async () => expect((await refusalAt(gateway, OTHER)).status).toBe(403),
    "longer than it may be": async () => {
      const head = signed(gateway, "/a", WEB_CLIENT, chunked);
      const start = head.subarray(0, head.indexOf("\r\n\r\n") + 4);
      const size = 70_000;
      const answer = await rawRequest(
        gateway.port,
        [start, `${size.toString(16)}\r\n${"b".repeat(size)}\r\n`],
        {
          until: "request_id",
        },
      );
      expect(answer.status).toBe(413);
    },
    "left by its client": async () => (await hold(gateway)).leave(),
    "reset by its client": async () => (await hold(gateway)).reset(),
    "without a backend": async () =>
      expect((await rawRequest(gateway.port, signed(gateway, "/dead"), { until: "request_id" })).status).toBe(
        502,
      ),
    "reset by its backend": async () => {
      const client = await whole(signed(gateway, "/a"));
      const request = await backend.nextRequest();
      await request.wholeBody();
      request.reset();
      await client.received("request_id");
    },
    "answered before it was sent": async () => {
      const client = await whole(signed(gateway, "/a"));
      const request = await backend.nextRequest();
      request.stall();
      request.respond(409, {}, "early");
      await client.received("early");
      request.reset();
    },
    "left while its backend works": async () => {
      const client = await whole(signed(gateway, "/drained"));
      const request = await backend.nextRequest();
      await request.wholeBody();
      client.leave();
      request.respond(200, {}, "for nobody");
    },
    "answered by a stream that stays": async () => {
      const client = await whole(signed(gateway, "/a"));
      const request = await backend.nextRequest();
      await request.wholeBody();
      request.openStream();
      request.emit("data: 1\n\n");
      await client.received("data: 1");
    },
    "answered by a download that stays": async () => {
      const client = await whole(signed(gateway, "/a"));
      const request = await backend.nextRequest();
      await request.wholeBody();
      request.openStream({ "Content-Type": "application/octet-stream" });
      request.emit("a part");
      await client.received("a part");
    },
    "answered by a mock": async () => {
      const client = await whole(signed(gateway, "/mock"));
      await client.received("mocked");
    },
    "answered by a script": async () => {
      const client = await whole(signed(gateway, "/scripted"));
      await client.received("text/event-stream");
    },
  };
  await expectExactRoom(gateway);
  for (const [name, way] of Object.entries(ways)) {
    for (let round = 0; round <= ROOM; round++) await way();
    await eventually(async () => (await refusalAt(gateway)).status === 401, `room after a body ${name}`);
  }
  await expectExactRoom(gateway);
}, 120_000);

test("a body takes room until its backend has responded", async () => {
  const { backend, gateway } = await start();
  const clients = [await openRaw(gateway.port), await openRaw(gateway.port)];
  for (const client of clients) client.send(signed(gateway, "/a"));
  const requests = [await backend.nextRequest(), await backend.nextRequest()];
  for (const request of requests) await request.wholeBody();
  expect((await refusalAt(gateway)).status).toBe(503);
  for (const request of requests) request.respond(200, {}, "served");
  await eventually(async () => (await refusalAt(gateway)).status === 401, "room again");
});
