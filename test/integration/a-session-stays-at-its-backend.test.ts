import { expect, test } from "vitest";
import { type Backend, type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const FIELD = "Session-Id";

/** Names a session that the query asks for, as `?new=NAME`; other requests get an answer without the field. */
function answer(request: BackendRequest): void {
  const name = /[?&]new=([^&]*)/.exec(request.target)?.[1];
  request.respond(200, name === undefined ? {} : { [FIELD]: decodeURIComponent(name) }, "ok");
}

const startBackends = (script = answer) => Promise.all(Array.from({ length: 3 }, () => startBackend(script)));

const upstreamOf = (backends: readonly { readonly url: string }[], learn: unknown = FIELD) => ({
  backends: backends.map(({ url }) => ({ url })),
  // With turns, a session that is not followed is noticed at once.
  balance: "roundRobin",
  sticky: { learn },
});

const setupOf = (backends: readonly { readonly url: string }[], learn: unknown = FIELD) => ({
  routes: { main: { match: { path: "/*" }, upstream: upstreamOf(backends, learn), websocket: true } },
});

/** Returns the URL of the backend that answers. */
async function homeOf(gateway: GatewayFixture, path = "/", fields: readonly string[] = []): Promise<string> {
  const before = gateway.requestLines().length;
  const client = await openRaw(gateway.port);
  client.send(
    `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields.map((line) => `${line}\r\n`).join("")}\r\n`,
  );
  await eventually(() => client.ending !== "open", "the response");
  return String((await gateway.requestLine(before))["backend"]);
}

const named = (name: string) => [`${FIELD}: ${name}`];

async function expectHome(gateway: GatewayFixture, name: string, home: string, path = "/"): Promise<void> {
  for (let n = 0; n < 4; n++) expect(await homeOf(gateway, path, named(name))).toBe(home);
}

/** Whether four requests with the name have gone to more than one backend. */
async function isFree(gateway: GatewayFixture, name: string, path = "/"): Promise<boolean> {
  const homes = new Set<string>();
  for (let n = 0; n < 4; n++) homes.add(await homeOf(gateway, path, named(name)));
  return homes.size > 1;
}

test("a session goes to the backend that has named it, and another session to another one", async () => {
  const gateway = await startGateway(setupOf(await startBackends()));
  const homes = new Map<string, string>();
  for (const name of ["a", "b", "c"]) homes.set(name, await homeOf(gateway, `/?new=${name}`));
  expect(new Set(homes.values()).size).toBe(3);
  for (const [name, home] of homes) await expectHome(gateway, name, home);
});

test("a name that no backend has given is balanced and not remembered", async () => {
  const gateway = await startGateway(setupOf(await startBackends(), { field: FIELD, maxKeys: 1 }));
  const home = await homeOf(gateway, "/?new=real");
  for (let n = 0; n < 6; n++) await homeOf(gateway, "/", named(`made-up-${n}`));
  expect(await isFree(gateway, "made-up-0")).toBe(true);
  await expectHome(gateway, "real", home);
});

test("maxKeys bounds the sessions, and expires forgets an unused one", async () => {
  const backends = await startBackends();
  const gateway = await startGateway(setupOf(backends, { field: FIELD, maxKeys: 2 }));
  for (const name of ["a", "b", "c"]) await homeOf(gateway, `/?new=${name}`);
  expect(await isFree(gateway, "a")).toBe(true);
  expect(await isFree(gateway, "c")).toBe(false);
  await gateway.reload(setupOf(backends, { field: FIELD, expires: "1ms" }));
  await homeOf(gateway, "/?new=d");
  await eventually(() => isFree(gateway, "d"), "the end of the session");
});

test.each([
  ["empty", ""],
  ["too long", "x".repeat(4097)],
])("a name that is %s is not learned", async (_, name) => {
  const gateway = await startGateway(setupOf(await startBackends()));
  await homeOf(gateway, `/?new=${name}`);
  expect(await isFree(gateway, name)).toBe(true);
});

test("a request that names two sessions is balanced", async () => {
  const gateway = await startGateway(setupOf(await startBackends()));
  await homeOf(gateway, "/?new=a");
  const homes = new Set<string>();
  for (let n = 0; n < 3; n++) homes.add(await homeOf(gateway, "/", [...named("a"), ...named("b")]));
  expect(homes.size).toBe(3);
});

test("if the backend is down, another one gets the session and keeps it", async () => {
  const backends = await startBackends();
  const gateway = await startGateway(setupOf(backends));
  const first = await homeOf(gateway, "/?new=a");
  await backends.find(({ url }) => url === first)?.close();
  const second = await homeOf(gateway, "/", named("a"));
  expect(second).not.toBe(first);
  await expectHome(gateway, "a", second);
});

test("a reload keeps the sessions of the backends that stay", async () => {
  const backends = await startBackends();
  const gateway = await startGateway(setupOf(backends));
  const homes = new Map<string, string>();
  for (const name of ["a", "b", "c"]) homes.set(name, await homeOf(gateway, `/?new=${name}`));
  const [gone, ...stayed] = backends;
  await gateway.reload(setupOf([await startBackend(answer), ...stayed]));
  for (const [name, home] of homes) {
    if (home !== gone?.url) await expectHome(gateway, name, home);
    else await expectHome(gateway, name, await homeOf(gateway, "/", named(name)));
  }
});

test("sessions belong to one route in one environment", async () => {
  const backends = await startBackends();
  const upstream = upstreamOf(backends);
  const gateway = await startGateway({
    routes: {
      one: { match: { path: "/one" }, upstream, stages: { TEST: {} } },
      two: { match: { path: "/two" }, upstream },
    },
  });
  const home = await homeOf(gateway, "/one?new=a");
  await expectHome(gateway, "a", home, "/one");
  expect(await isFree(gateway, "a", "/two")).toBe(true);
  const inTest = new Set<string>();
  for (let n = 0; n < 3; n++) inTest.add(await homeOf(gateway, "/one", [...named("a"), "X-Stage: TEST"]));
  expect(inTest.size).toBe(3);
});

test("a WebSocket and a stream follow the session, and their responses can name one", async () => {
  const script = (request: BackendRequest) => {
    if (request.field("upgrade") !== undefined) return request.send(switching({ [FIELD]: "socket" }));
    request.openStream({ [FIELD]: "stream" });
    request.emit("data: 1\n\n");
    request.endStream();
  };
  const gateway = await startGateway(setupOf(await startBackends(script)));
  const stream = openStream(gateway.port);
  await stream.ended();
  const home = String((await gateway.requestLine())["backend"]);
  const openSocket = async (name: string) => {
    const before = gateway.requestLines().length;
    const client = await openRaw(gateway.port);
    client.send(handshake("/", { [FIELD]: name }));
    await client.received("101");
    client.socket.destroy();
    return String((await gateway.requestLine(before))["backend"]);
  };
  for (let n = 0; n < 3; n++) expect(await openSocket("stream")).toBe(home);
  const ofSocket = await openSocket("new");
  expect(await openSocket("socket")).toBe(ofSocket);
});

test("all workers know a session before its client has the response", async () => {
  const backends = await startBackends();
  const served = await serveWorkers(setupOf(backends));
  for (let n = 0; n < 10; n++) {
    const name = `session-${n}`;
    expect((await fetchOnce(`${served.url}/?new=${name}`)).status).toBe(200);
    await Promise.all(
      Array.from({ length: 6 }, () => fetchOnce(`${served.url}/`, { headers: { [FIELD]: name } })),
    );
    const homes = (name: string) =>
      backends.filter(({ requests }) => requests.some((request) => request.field(FIELD) === name));
    const [home, ...others] = homes(name);
    expect(others).toEqual([]);
    expect(isNamedBy(home, name)).toBe(true);
  }
  served.write(setupOf(backends, { field: FIELD, maxKeys: 50 }));
  const reloads = 'sluice_config_reloads_total{result="success"}';
  await eventually(async () => (await served.metrics()).get(reloads) === 1, "a reload");
  const before = backends.map(({ requests }) => requests.length);
  for (let n = 0; n < 4; n++) await fetchOnce(`${served.url}/`, { headers: { [FIELD]: "session-0" } });
  expect(backends.filter(({ requests }, at) => requests.length > (before[at] ?? 0))).toHaveLength(1);
});

const isNamedBy = (backend: Backend | undefined, name: string): boolean =>
  backend?.requests.some(({ target }) => target === `/?new=${name}`) ?? false;
