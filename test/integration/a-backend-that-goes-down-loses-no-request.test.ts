import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Backend, type BackendRequest, refusedPort, startBackend } from "../support/backend.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

const pool = (urls: readonly string[], options: Record<string, unknown> = {}) => ({
  upstream: { backends: urls.map((url) => ({ url })), balance: "roundRobin", ...options },
});

const refused = async () => `http://127.0.0.1:${await refusedPort()}`;
const answer = (request: BackendRequest) => request.respond(200, {}, "ok");
const slowly = (request: BackendRequest) => void delay(10).then(() => answer(request));

/** Sends GETs from ten clients at once, kills a backend meanwhile, and returns the statuses. */
async function killUnderLoad(options: Record<string, unknown>): Promise<Map<number, number>> {
  const backends = [await startBackend(slowly), await startBackend(slowly), await startBackend(slowly)];
  const gateway = await startGatewayTo(
    "",
    pool(
      backends.map(({ url }) => url),
      options,
    ),
  );
  const statuses = new Map<number, number>();
  let left = 600;
  const client = async () => {
    while (left-- > 0) {
      const response = await fetch(`${gateway.url}/${left}`);
      await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 10 }, client);
  const [victim] = backends as [Backend];
  await eventually(() => left < 400, "a third of the load");
  // While requests to it are open.
  await eventually(() => victim.requests.at(-1)?.connection.isOpen && victim.openConnections > 0);
  await victim.close();
  await Promise.all(clients);
  expect(victim.requests.length).toBeGreaterThan(20);
  return statuses;
}

test("a backend that is killed under load makes no GET fail", async () => {
  expect(await killUnderLoad({})).toEqual(new Map([[200, 600]]));
});

test("control: without retries some GETs fail", async () => {
  const statuses = await killUnderLoad({ retries: 0 });
  expect(statuses.get(502)).toBeGreaterThan(0);
});

test("after a refused connection the request goes to the next backend, and the log names both", async () => {
  const backend = await startBackend(answer);
  const dead = await refused();
  const gateway = await startGatewayTo("", pool([dead, backend.url]));
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(200);
  const line = await gateway.requestLine();
  expect(line).toMatchObject({ status: 200, backend: backend.url, endReason: "completed" });
  expect(gateway.log.filter(({ msg }) => msg === "attempt failed")).toEqual([
    expect.objectContaining({
      level: 40,
      reqId: line["reqId"],
      route: "main",
      backend: dead,
      code: "backend_connect_failed",
      reason: expect.stringContaining("ECONNREFUSED"),
    }),
  ]);
  // From then on the gateway does not use it.
  for (let n = 0; n < 4; n++) await openStream(gateway.port).ended();
  expect(gateway.log.filter(({ msg }) => msg === "attempt failed")).toHaveLength(1);
  expect(gateway.log.filter(({ msg }) => msg === "backend is out")).toHaveLength(1);
});

const UPLOADS: Record<string, StreamRequest> = {
  "a POST with a body": { method: "POST", body: "the body" },
  "a chunked POST": {
    method: "POST",
    headers: { "Transfer-Encoding": "chunked" },
  },
  "a PATCH": { method: "PATCH", body: "the body" },
  "a POST without a body": { method: "POST" },
};

test.each(Object.entries(UPLOADS))(
  "%s that could not be sent goes completely to the next backend",
  async (name, upload) => {
    const backend = await startBackend((request) => void request.wholeBody().then(() => answer(request)));
    const gateway = await startGatewayTo("", pool([await refused(), backend.url]));
    const client = openStream(gateway.port, upload);
    if (name === "a chunked POST") client.socket.write("8\r\nthe body\r\n0\r\n\r\n");
    expect(await client.ended()).toBe("clean");
    expect(client.head?.status).toBe(200);
    const request = backend.requests[0];
    expect(request?.body.toString()).toBe(name === "a POST without a body" ? "" : "the body");
  },
);

test("a request whose connection is not established in time goes to the next backend too", async () => {
  const hole = await startBlackHole();
  const backend = await startBackend((request) => void request.wholeBody().then(() => answer(request)));
  const gateway = await startGatewayTo("", pool([hole.url, backend.url], { connectTimeout: "200ms" }));
  const client = openStream(gateway.port, { method: "POST", body: "the body" });
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(200);
});

test.each(["GET", "HEAD", "OPTIONS", "DELETE"])(
  "a %s without a response goes to the next backend",
  async (method) => {
    const closing = await startBackend((request) => request.halfClose());
    const backend = await startBackend((request) => request.respond(200, {}, method === "HEAD" ? "" : "ok"));
    const gateway = await startGatewayTo("", pool([closing.url, backend.url]));
    const client = openStream(gateway.port, { method });
    expect(await client.ended()).toBe("clean");
    expect(client.head?.status).toBe(200);
    expect([closing.requests.length, backend.requests.length]).toEqual([1, 1]);
  },
);

test.each([
  ["POST", ""],
  ["PATCH", ""],
  ["POST", "{}"],
  // The body was sent with the first attempt.
  ["PUT", "{}"],
])("a %s that may have had an effect is never sent twice (body: %j)", async (method, body) => {
  const closing = await startBackend((request) => void request.wholeBody().then(() => request.halfClose()));
  const backend = await startBackend(answer);
  const gateway = await startGatewayTo("", pool([closing.url, backend.url], { retries: 5 }));
  const client = openStream(gateway.port, { method, body });
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(502);
  expect([closing.requests.length, backend.requests.length]).toEqual([1, 0]);
});

const BEGUN: Record<string, (request: BackendRequest) => void> = {
  "half a head": (request) => {
    request.send("HTTP/1.1 200 OK\r\nContent-Ty");
    void delay(30).then(() => request.halfClose());
  },
  "an early hint": (request) => {
    request.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    void delay(30).then(() => request.halfClose());
  },
  "what is no HTTP": (request) => request.send("SSH-2.0-OpenSSH_9.2\r\n"),
  "half a head, and then nothing": (request) => request.send("HTTP/1.1 200 OK\r\nContent-Ty"),
};

test.each(Object.entries(BEGUN))(
  "a response that began with %s is not requested again",
  async (_name, begin) => {
    const broken = await startBackend(begin);
    const backend = await startBackend(answer);
    const gateway = await startGatewayTo(
      "",
      // Longer than a busy machine stalls, so that the start of the response has been read.
      pool([broken.url, backend.url], { responseHeaderTimeout: "1500ms" }),
    );
    const client = openStream(gateway.port);
    expect(await client.ended()).toBe("clean");
    expect([502, 504]).toContain(client.head?.status);
    expect(backend.requests).toHaveLength(0);
  },
);

test("a backend that does not respond in time is skipped; if all are silent the client gets 504", async () => {
  const silent = [await startBackend(), await startBackend()];
  const backend = await startBackend(answer);
  const urls = [...silent, backend].map(({ url }) => url);
  const options = { responseHeaderTimeout: "400ms", retries: 2 };
  const gateway = await startGatewayTo("", pool(urls, options));
  const client = openStream(gateway.port);
  await client.ended();
  expect(client.head?.status).toBe(200);

  const without = await startGatewayTo("", pool(urls.slice(0, 2), options));
  const late = openStream(without.port);
  await late.ended();
  expect(late.head?.status).toBe(504);
  // Each gateway tried each backend once.
  expect(silent.map(({ requests }) => requests.length)).toEqual([2, 2]);
});

test("at most `retries` other backends are tried", async () => {
  const closing = await Promise.all(
    Array.from({ length: 4 }, () => startBackend((request) => request.halfClose())),
  );
  const gateway = await startGatewayTo(
    "",
    pool(
      closing.map(({ url }) => url),
      { retries: 2 },
    ),
  );
  const client = openStream(gateway.port);
  await client.ended();
  expect(client.head?.status).toBe(502);
  expect(closing.flatMap(({ requests }) => requests)).toHaveLength(3);
});

test("a single backend is tried once", async () => {
  const closing = await startBackend((request) => request.halfClose());
  for (const url of [closing.url, await refused()]) {
    const gateway = await startGatewayTo(url);
    const client = openStream(gateway.port);
    await client.ended();
    expect(client.head?.status).toBe(502);
    expect(gateway.log.filter(({ msg }) => msg === "attempt failed")).toEqual([]);
  }
  expect(closing.requests).toHaveLength(1);
});

test("a client's disconnect ends the attempts and does not count as a failure of the backend", async () => {
  const silent = await startBackend();
  const other = await startBackend(answer);
  const gateway = await startGatewayTo("", pool([silent.url, other.url]));
  const client = openStream(gateway.port);
  await silent.nextRequest();
  client.leave();
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
  expect(other.requests).toHaveLength(0);
  expect(gateway.log.filter(({ msg }) => msg === "backend is out" || msg === "attempt failed")).toEqual([]);
});

test("when all backends refuse, the client gets 502 at once, even during an upload", async () => {
  const gateway = await startGatewayTo("", pool([await refused(), await refused()]));
  for (let n = 0; n < 3; n++) {
    const client = openStream(gateway.port, { method: "POST", body: "x".repeat(300_000) });
    expect(await client.ended()).toBe("clean");
    expect(client.head?.status).toBe(502);
  }
});

test("a recovered backend is used again after failTimeout", async () => {
  let isWell = false;
  const flapping = await startBackend((request) => (isWell ? answer(request) : request.halfClose()));
  const steady = await startBackend(answer);
  const gateway = await startGatewayTo("", {
    upstream: {
      // Longer than the five requests below take on a busy machine.
      backends: [{ url: flapping.url, failTimeout: "2s" }, { url: steady.url }],
      balance: "roundRobin",
    },
  });
  await openStream(gateway.port).ended();
  isWell = true;
  for (let n = 0; n < 5; n++) await openStream(gateway.port).ended();
  expect(flapping.requests).toHaveLength(1);
  await eventually(async () => {
    await openStream(gateway.port).ended();
    return flapping.requests.length > 2;
  });
  const changes = gateway.log.filter(({ msg }) => msg.startsWith("backend is ")).map(({ msg }) => msg);
  expect(changes).toEqual(["backend is out", "backend is back"]);
});
