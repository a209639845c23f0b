import { expect, onTestFinished, test, vi } from "vitest";
import { Backend as CountedBackend } from "../../src/upstream/backend.ts";
import { type Backend, type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const answer = (request: BackendRequest) => request.respond(200, {}, "ok");
const stream = (request: BackendRequest) => request.openStream();

async function get(port: number, headers: Record<string, string> = {}): Promise<void> {
  const client = openStream(port, { headers });
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(200);
  client.leave();
}

test("requests are distributed by weight", async () => {
  const backends = [await startBackend(answer), await startBackend(answer)];
  const gateway = await startGatewayTo("", {
    upstream: {
      backends: backends.map(({ url }, at) => ({ url, weight: at === 0 ? 3 : 1 })),
      balance: "roundRobin",
    },
  });
  for (let n = 0; n < 8; n++) await get(gateway.port);
  expect(backends.map(({ requests }) => requests.length)).toEqual([6, 2]);
});

test("a stream counts for its backend until it ends", async () => {
  const backends = [await startBackend(stream), await startBackend(stream)];
  const gateway = await startGatewayTo("", { upstream: { backends: backends.map(({ url }) => ({ url })) } });
  const open = async () => {
    const client = openStream(gateway.port);
    await client.opened();
    return client;
  };
  const counts = () => backends.map(({ requests }) => requests.length);
  const first = await open();
  await open();
  expect(counts()).toEqual([1, 1]);
  const [busy, idle] = backends as [Backend, Backend];
  for (let n = 0; n < 6; n++) await open();
  expect(counts()).toEqual([4, 4]);
  // All streams of one backend end: by their client, by the backend, or by an abort.
  first.leave();
  busy.requests[1]?.endStream();
  busy.requests[2]?.reset();
  await eventually(() => gateway.requestLines().length === 3, "the ends of three streams");
  for (let n = 0; n < 3; n++) await open();
  expect([busy.requests.length, idle.requests.length]).toEqual([7, 4]);
});

test("a stream that is drained after its client's disconnect still counts", async () => {
  const backends = [await startBackend(stream), await startBackend(stream)];
  const gateway = await startGatewayTo("", {
    upstream: { backends: backends.map(({ url }) => ({ url })) },
    stream: { onClientGone: "drain" },
  });
  const [first, second] = backends as [Backend, Backend];
  await openStream(gateway.port).opened();
  const client = openStream(gateway.port);
  await client.opened();
  expect([first.requests.length, second.requests.length]).toEqual([1, 1]);
  client.leave();
  await gateway.requestLine();
  first.requests[0]?.endStream();
  await gateway.requestLine(1);
  // If the drained stream did not count, the second backend would be next.
  await openStream(gateway.port).opened();
  expect([first.requests.length, second.requests.length]).toEqual([2, 1]);
});

test("every request releases its count, however it ends", async () => {
  const scripts: ((request: BackendRequest) => void)[] = [
    answer,
    (request) => request.reset(),
    (request) => request.send("no HTTP\r\n\r\n"),
    (request) => request.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
    (request) => {
      request.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
      request.halfClose();
    },
    (request) => request.respond(204),
    (request) => request.openStream(),
    () => {},
  ];
  const counted = new Set<CountedBackend>();
  const acquire = vi.spyOn(CountedBackend.prototype, "acquire");
  onTestFinished(() => acquire.mockRestore());
  let turn = 0;
  const odd = await startBackend((request) => scripts[turn++ % scripts.length]?.(request));
  const gateway = await startGatewayTo("", { upstream: { backends: [{ url: odd.url }], retries: 0 } });
  for (let n = 0; n < scripts.length * 3; n++) {
    const client = openStream(gateway.port, n % 2 === 0 ? {} : { method: "POST", body: "{}" });
    await eventually(() => turn > n, "the request");
    const isSilent = n % scripts.length === scripts.length - 1;
    if (!isSilent) await client.opened();
    for (const backend of acquire.mock.contexts) counted.add(backend as CountedBackend);
    if (isSilent) expect([...counted].map(({ inFlight }) => inFlight)).toEqual([1]);
    client.leave();
    await gateway.requestLine(n);
  }
  await eventually(() => [...counted].every(({ inFlight }) => inFlight === 0), "a count of nothing");
  expect([counted.size, acquire.mock.calls.length]).toEqual([1, scripts.length * 3]);
});

test("hash sends the requests of an address to the same backend", async () => {
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(answer)));
  const gateway = await startGatewayTo(
    "",
    { upstream: { backends: backends.map(({ url }) => ({ url })), balance: "hash" } },
    { trustedProxies: ["127.0.0.1"] },
  );
  const addresses = Array.from({ length: 30 }, (_, at) => `198.51.100.${at}`);
  const homes = new Map<string, Set<number>>();
  for (const address of [...addresses, ...addresses]) {
    const before = backends.map(({ requests }) => requests.length);
    await get(gateway.port, { "X-Forwarded-For": address });
    const home = backends.findIndex(({ requests }, at) => requests.length > (before[at] ?? 0));
    homes.set(address, (homes.get(address) ?? new Set()).add(home));
  }
  expect([...homes.values()].every(({ size }) => size === 1)).toBe(true);
  expect(new Set([...homes.values()].flatMap((set) => [...set])).size).toBe(3);
});

test.each([
  ["header:X-User", (user: string) => ({ headers: { "X-User": user } })],
  ["cookie:session", (user: string) => ({ headers: { Cookie: `theme=dark; session=${user}` } })],
  ["query:room", (user: string) => ({ path: `/chat?page=2&r%6fom=${user}` })],
] as const)(
  "hash by %s sends the requests of one value to the same backend, if it serves",
  async (by, from) => {
    const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(answer)));
    const gateway = await startGatewayTo("", {
      upstream: { backends: backends.map(({ url }) => ({ url })), balance: { method: "hash", by } },
    });
    const home = async (options: object) => {
      const client = openStream(gateway.port, options);
      expect(await client.ended()).toBe("clean");
      const line = await gateway.requestLine(asked++);
      return String(line["backend"]);
    };
    let asked = 0;
    const users = Array.from({ length: 24 }, (_, at) => `user${at}`);
    const homes = new Map<string, string>();
    for (const user of users) homes.set(user, await home(from(user)));
    for (const user of users) expect(await home(from(user))).toBe(homes.get(user));
    expect(new Set(homes.values()).size).toBe(3);
    // Requests without the value take turns, as idle backends do with leastConnections.
    const others = [await home({}), await home({}), await home({})];
    expect(new Set(others).size).toBe(3);
    const [gone] = backends as [Backend];
    await gone.close();
    for (const user of users) {
      const now = await home(from(user));
      if (homes.get(user) === gone.url) expect(now).not.toBe(gone.url);
      else expect(now).toBe(homes.get(user));
    }
  },
);

test("a backup backend serves while the others are down", async () => {
  const backup = await startBackend(answer);
  let isWell = true;
  const primary = await startBackend((request) => (isWell ? answer(request) : request.halfClose()));
  const gateway = await startGatewayTo("", {
    upstream: {
      backends: [
        { url: primary.url, failTimeout: "150ms" },
        { url: backup.url, backup: true },
      ],
    },
  });
  for (let n = 0; n < 3; n++) await get(gateway.port);
  expect(backup.requests).toHaveLength(0);
  isWell = false;
  await get(gateway.port);
  expect(backup.requests).toHaveLength(1);
  isWell = true;
  await eventually(async () => {
    const before = primary.requests.length;
    await get(gateway.port);
    return primary.requests.length > before;
  });
});

test("a WebSocket counts until its tunnel ends, and after a refused connection goes to the next backend", async () => {
  const accept = (request: BackendRequest) => request.send(switching());
  const backends = [await startBackend(accept), await startBackend(accept)];
  const dead = { url: "http://127.0.0.1:1" };
  const gateway = await startGatewayTo("", {
    upstream: { backends: [dead, ...backends.map(({ url }) => ({ url }))] },
    websocket: true,
  });
  const open = async () => {
    const client = await openRaw(gateway.port);
    client.send(handshake());
    await client.received("101");
    return client;
  };
  const first = await open();
  expect(gateway.log.filter(({ msg }) => msg === "attempt failed")).toHaveLength(1);
  for (let n = 0; n < 3; n++) await open();
  expect(backends.map(({ requests }) => requests.length)).toEqual([2, 2]);
  first.leave();
  const line = await gateway.requestLine();
  const home = backends.findIndex(({ url }) => url === line["backend"]);
  await open();
  expect(backends[home]?.requests).toHaveLength(3);
});

test("after a refused connection the next backend gets the complete WebSocket handshake", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const gateway = await startGatewayTo("", {
    upstream: { backends: [{ url: "http://127.0.0.1:1" }, { url: backend.url }], balance: "roundRobin" },
    websocket: true,
  });
  const client = await openRaw(gateway.port);
  client.send(`${handshake("/room")}early`);
  const request = await backend.nextRequest();
  await client.received("101");
  expect(request.field("sec-websocket-key")).toBeDefined();
  await eventually(() => request.connection.received.toString().endsWith("early"), "what came early");
  client.send("late");
  await eventually(() => request.connection.received.toString().endsWith("earlylate"), "what came late");
});
