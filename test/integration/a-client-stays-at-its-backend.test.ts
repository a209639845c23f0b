import { expect, test } from "vitest";
import { type Backend, type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

const answer = (request: BackendRequest) => request.respond(200, {}, "ok");

async function startPool(
  upstream: Readonly<Record<string, unknown>> = {},
  { script = answer, ...route }: { script?: (request: BackendRequest) => void; websocket?: boolean } = {},
) {
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(script)));
  const config = { backends: backends.map(({ url }) => ({ url })), sticky: { cookie: "home" }, ...upstream };
  const gateway = await startGatewayTo("", { upstream: config, ...route }, { trustedProxies: ["127.0.0.1"] });
  return { backends, gateway, config };
}

/** Sends a request; returns the backend that answered, and the cookies that were set. */
async function ask(
  gateway: GatewayFixture,
  { headers, ...request }: StreamRequest & { cookie?: string } = {},
) {
  const before = gateway.requestLines().length;
  const cookie = request.cookie === undefined ? {} : { Cookie: request.cookie };
  const client = openStream(gateway.port, { ...request, headers: { ...headers, ...cookie } });
  await client.ended();
  const line = await gateway.requestLine(before);
  const set = client.head?.fields.filter(([name]) => name.toLowerCase() === "set-cookie") ?? [];
  return { home: String(line["backend"]), status: client.head?.status, set: set.map(([, value]) => value) };
}

const tokenIn = (set: readonly string[]): string => /^home=([\w-]{22});/.exec(set[0] ?? "")?.[1] ?? "";

test("a cookie keeps a client at the backend of its first response", async () => {
  const { gateway, backends } = await startPool();
  const homes = new Set<string>();
  for (let n = 0; n < 3; n++) {
    const first = await ask(gateway);
    homes.add(first.home);
    expect(first.set).toEqual([expect.stringMatching(/^home=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/)]);
    // Opaque: neither the address, nor its plain encoding.
    const port = new URL(first.home).port;
    expect(first.set[0]).not.toContain(port);
    for (let again = 0; again < 4; again++) {
      const next = await ask(gateway, { cookie: `home=${tokenIn(first.set)}` });
      expect([next.home, next.set]).toEqual([first.home, []]);
    }
  }
  expect(homes.size).toBe(3);
  expect(backends.map(({ requests }) => requests.length)).toEqual([5, 5, 5]);
});

test("the cookie is Secure if the client came by TLS, and has the attributes of the configuration", async () => {
  const { gateway } = await startPool();
  const byTls = await ask(gateway, { headers: { "X-Forwarded-Proto": "https" } });
  expect(byTls.set[0]).toMatch(/; SameSite=Lax; Secure$/);
  const cookie = { name: "home", sameSite: "none", maxAge: "1h", secret: "s3cret" };
  const { gateway: other } = await startPool({ sticky: { cookie } });
  expect((await ask(other)).set[0]).toMatch(/; Path=\/; HttpOnly; SameSite=None; Max-Age=3600; Secure$/);
});

test("the backend does not see the cookie, and gets the client's other cookies", async () => {
  const { gateway, backends } = await startPool();
  const { set, home } = await ask(gateway);
  await ask(gateway, { cookie: `theme=dark; home=${tokenIn(set)}; homepage=1; a=home=b` });
  await ask(gateway, { cookie: `home=${tokenIn(set)}` });
  const backend = backends.find(({ url }) => url === home);
  expect(backend?.requests.map((request) => request.fieldLines("cookie"))).toEqual([
    [],
    ["theme=dark; homepage=1; a=home=b"],
    [],
  ]);
});

test("a secret changes the cookie's value, and a value that names no backend is replaced", async () => {
  const { gateway, config } = await startPool();
  const { set, home } = await ask(gateway);
  const secret = { ...config, sticky: { cookie: { name: "home", secret: "s3cret" } } };
  await gateway.reload(setupOf(secret));
  for (const value of [tokenIn(set), "127.0.0.1:80", "", "x".repeat(4000), "a b", "%00"]) {
    const { set: replaced } = await ask(gateway, { cookie: `home=${value}` });
    expect(tokenIn(replaced)).toMatch(/./);
    expect(tokenIn(replaced)).not.toBe(tokenIn(set));
  }
  await gateway.reload(setupOf(config));
  expect(await ask(gateway, { cookie: `home=${tokenIn(set)}` })).toMatchObject({ home, set: [] });
});

const setupOf = (upstream: unknown) => ({
  routes: { main: { match: { path: "/*" }, upstream } },
  server: { trustedProxies: ["127.0.0.1"] },
});

test("a reload that adds a backend moves no client; one that removes a backend moves only its clients", async () => {
  const { gateway, config } = await startPool();
  const clients = [await ask(gateway), await ask(gateway), await ask(gateway)];
  const added = await startBackend(answer);
  const more = [{ url: added.url }, ...config.backends];
  await gateway.reload(setupOf({ ...config, backends: more }));
  for (const { home, set } of clients) {
    expect(await ask(gateway, { cookie: `home=${tokenIn(set)}` })).toMatchObject({ home, set: [] });
  }
  const [gone, ...stayed] = config.backends;
  await gateway.reload(setupOf({ ...config, backends: stayed }));
  for (const { home, set } of clients) {
    const next = await ask(gateway, { cookie: `home=${tokenIn(set)}` });
    if (home === gone?.url) expect(next.set).toHaveLength(1);
    else expect(next).toMatchObject({ home, set: [] });
  }
});

test("if its backend is down, a client gets another one and the cookie of that one", async () => {
  const { gateway, backends } = await startPool();
  const first = await ask(gateway);
  await backends.find(({ url }) => url === first.home)?.close();
  const second = await ask(gateway, { cookie: `home=${tokenIn(first.set)}` });
  expect(second.status).toBe(200);
  expect(second.home).not.toBe(first.home);
  expect(second.set).toHaveLength(1);
  const third = await ask(gateway, { cookie: `home=${tokenIn(second.set)}` });
  expect([third.home, third.set]).toEqual([second.home, []]);
});

test("a backend that checks find unhealthy gives its clients to others", async () => {
  const sick = new Set<Backend>();
  const script = (request: BackendRequest) => {
    const isSick = [...sick].some(({ requests }) => requests.includes(request));
    request.respond(isSick && request.target === "/healthz" ? 503 : 200);
  };
  const { gateway, backends } = await startPool(
    { healthCheck: { path: "/healthz", interval: "50ms", timeout: "5s" } },
    { script },
  );
  const first = await ask(gateway);
  const backend = backends.find(({ url }) => url === first.home);
  if (backend !== undefined) sick.add(backend);
  await eventually(() => gateway.log.some(({ msg }) => msg === "backend is unhealthy"), "the change");
  const second = await ask(gateway, { cookie: `home=${tokenIn(first.set)}` });
  expect(second.home).not.toBe(first.home);
  expect(second.set).toHaveLength(1);
});

test("a WebSocket follows the cookie, and a stream and a handshake set it", async () => {
  const script = (request: BackendRequest) => {
    if (request.field("upgrade") !== undefined) return request.send(switching());
    request.openStream();
    request.emit("data: 1\n\n");
    request.endStream();
  };
  const { gateway, backends } = await startPool({}, { script, websocket: true });
  const { home, set } = await ask(gateway);
  for (let n = 0; n < 3; n++) {
    const client = await openRaw(gateway.port);
    client.send(handshake("/", { Cookie: `home=${tokenIn(set)}; a=b` }));
    await client.received("\r\n\r\n");
    expect(client.text).not.toMatch(/set-cookie/i);
  }
  const backend = backends.find(({ url }) => url === home);
  expect(backend?.requests).toHaveLength(4);
  expect(backend?.requests.at(-1)?.fieldLines("cookie")).toEqual(["a=b"]);
  const stranger = await openRaw(gateway.port);
  stranger.send(handshake());
  await stranger.received("\r\n\r\n");
  expect(stranger.text).toMatch(/\r\nset-cookie: home=[\w-]{22}; Path=/i);
});

test("an HTTP/2 client over TLS gets a Secure cookie and follows it", async () => {
  const script = (request: BackendRequest) => request.respond(200, { "Set-Cookie": "own=1" }, "ok");
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(script)));
  const gateway = await startSecureGatewayTo("", {
    upstream: { backends: backends.map(({ url }) => ({ url })), sticky: { cookie: "home" } },
  });
  const client = await openHttp2(gateway.port);
  const headers = await client.request().opened();
  expect(headers["set-cookie"]).toEqual([
    "own=1",
    expect.stringMatching(/^home=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax; Secure$/),
  ]);
  const cookie = ["own=1", `home=${tokenIn(headers["set-cookie"]?.slice(1) ?? [])}`];
  for (let n = 0; n < 3; n++)
    expect((await client.request({ cookie }).opened())["set-cookie"]).toEqual(["own=1"]);
  const home = backends.find(({ requests }) => requests.length > 0);
  await eventually(() => home?.requests.length === 4, "all requests at one backend");
  expect(home?.requests.at(-1)?.fieldLines("cookie")).toEqual(["own=1"]);
});

test("a backup keeps the clients that it got while the others were down", async () => {
  let isDown = true;
  const primary = await startBackend((request) => (isDown ? request.halfClose() : answer(request)));
  const backup = await startBackend(answer);
  const gateway = await startGatewayTo("", {
    upstream: {
      backends: [
        { url: primary.url, failTimeout: "50ms" },
        { url: backup.url, backup: true },
      ],
      sticky: { cookie: "home" },
    },
  });
  const moved = await ask(gateway);
  expect(moved.home).toBe(backup.url);
  isDown = false;
  await eventually(async () => (await ask(gateway)).home === primary.url, "the primary backend");
  expect((await ask(gateway, { cookie: `home=${tokenIn(moved.set)}` })).home).toBe(backup.url);
});

test("routes and environments with the same backends share the cookie", async () => {
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(answer)));
  const upstream = { backends: backends.map(({ url }) => ({ url })), sticky: { cookie: "home" } };
  const gateway = await startGateway({
    routes: {
      page: { match: { path: "/page" }, upstream, stages: { TEST: {} } },
      api: { match: { path: "/api/*" }, upstream: { ...upstream, backends: upstream.backends.toReversed() } },
    },
  });
  const { home, set } = await ask(gateway, { path: "/page" });
  const cookie = `home=${tokenIn(set)}`;
  for (const request of [{ path: "/api/x" }, { path: "/page", headers: { "X-Stage": "TEST" } }]) {
    expect(await ask(gateway, { ...request, cookie })).toMatchObject({ home, set: [] });
  }
});

test("the route's edits of response fields and its CORS leave the cookie", async () => {
  const { gateway } = await startPool({}, {
    headers: { response: { remove: ["Set-Cookie"] } },
    cors: { allowOrigins: ["https://app.example.com"], allowCredentials: true },
  } as object);
  const { set } = await ask(gateway, { headers: { Origin: "https://app.example.com" } });
  expect(set).toEqual([expect.stringMatching(/^home=/)]);
});
