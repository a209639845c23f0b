import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import {
  ask,
  attach,
  cancel,
  emitToken,
  resumingRoute,
  send,
  startResuming,
  tokensOf,
} from "../support/resume.ts";

// A named answer may hold all that its client has asked a model. A request that differs in one thing must not get it.

const onRequest = (request: Parameters<typeof emitToken>[0]) => {
  request?.openStream();
  emitToken(request, "secret");
};

test.each([
  ["another owner", { user: "eve" }],
  ["an owner whose name begins alike", { user: "an" }],
  ["another key", { key: "k2" }],
  ["another path", { path: "/v1/other" }],
  ["another query", { path: "/v1/chat?x=1" }],
  ["another host", { headers: { Host: "other.example" } }],
])("%s gets no answer, and cannot cancel it", async (_, other) => {
  const { port, requests } = await startResuming({ onRequest });
  const first = ask(port);
  await first.received("secret");
  const byKey = attach(port, other);
  await byKey.opened();
  expect(byKey.head?.status).toBe(204);
  expect(await cancel(port, other)).toBe(204);
  const own = ask(port, other);
  await own.opened();
  expect(own.field("sluice-resumed-from")).toBeUndefined();
  expect(requests).toHaveLength(2);
  emitToken(requests[0], "more");
  await first.received("more");
});

test("another route and another environment have answers of their own", async () => {
  const requests: unknown[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    onRequest(request);
  });
  const route = resumingRoute(backend.url, {});
  const gateway = await startGateway({
    routes: {
      a: { ...route, match: { path: "/v1/*" }, stages: { TEST: { upstream: backend.url } } },
      b: { ...route, match: { path: "/v1/*", host: "b.example" } },
    },
  });
  await ask(gateway.port).received("secret");
  const staged = attach(gateway.port, { headers: { "X-Stage": "TEST" } });
  await staged.opened();
  expect(staged.head?.status).toBe(204);
  await ask(gateway.port, { headers: { "X-Stage": "TEST" } }).received("secret");
  await ask(gateway.port, { headers: { Host: "b.example" } }).received("secret");
  expect(requests).toHaveLength(3);
});

test("the ID opens an answer only at its own path and query", async () => {
  const { port } = await startResuming({ onRequest });
  const first = ask(port);
  await first.received("secret");
  const location = first.field("location") ?? "";
  const id = location.split("answer=")[1] ?? "";
  for (const path of [
    `/v1/other?answer=${id}`,
    `/v1/chat?x=1&answer=${id}`,
    `/v1/chat?answer=${id.slice(1)}A`,
  ])
    expect((await send(port, "GET", { path, key: "" })).status).toBe(204);
  const attached = attach(port, { path: location, key: "", user: "eve" });
  await attached.received("secret");
});

const codeOf = (app: string) => app.repeat(30);
const APPS = Object.fromEntries(
  ["ann", "eve"].map((key) => [key, { key, secret: "s".repeat(16), appCodes: [codeOf(key)] }]),
);

async function startAuthenticated(resume: Readonly<Record<string, unknown>>) {
  const backend = await startBackend(onRequest);
  const route = { ...resumingRoute(backend.url, {}), auth: { appCode: true }, resume };
  return startGateway({ routes: { main: route }, apps: APPS });
}

const as = (app: string) => ({ "X-Apig-AppCode": codeOf(app) });

test.each([
  ["by default", {}],
  ["even if by names only a field", { by: ["header:X-User"] }],
])("on a route with auth the ID and the key of another principal open nothing, %s", async (_, resume) => {
  const { port } = await startAuthenticated(resume);
  const first = ask(port, { headers: as("ann") });
  await first.received("secret");
  const path = first.field("location") ?? "";
  for (const method of ["GET", "DELETE"] as const) {
    expect((await send(port, method, { path, key: "", headers: as("eve") })).status).toBe(204);
    expect((await send(port, method, { headers: as("eve") })).status).toBe(204);
    expect((await send(port, method, { path, key: "" })).status).toBe(401);
  }
  const own = attach(port, { path, key: "", headers: as("ann") });
  await own.received("secret");
});

test("a request that lacks a field of by is not kept, and finds nothing", async () => {
  const { port, requests } = await startResuming({
    resume: { by: ["header:X-User", "header:X-Tenant"] },
    onRequest,
  });
  const first = ask(port);
  await first.received("secret");
  expect(first.field("location")).toBeUndefined();
  expect((await send(port, "GET")).status).toBe(204);
  await ask(port).received("secret");
  // Tokens of another generation would be mixed with those that it has.
  expect((await ask(port, { lastEventId: "~AAAAAAAA-1" }).opened()).status).toBe(410);
  expect(requests).toHaveLength(2);
});

test("no later client gets the cookies of the backend", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  requests[0]?.openStream({ "Set-Cookie": "session=ann", "X-Own": "1" });
  await first.opened();
  const second = attach(port);
  await second.opened();
  for (const client of [first, second]) {
    expect(client.field("set-cookie")).toBeUndefined();
    expect(client.field("x-own")).toBe("1");
  }
});

test("Location stays at this host, whatever the path looks like", async () => {
  const { port } = await startResuming({ onRequest });
  const first = ask(port, { path: "//evil.example/chat" });
  await first.opened();
  expect(first.field("location")).toMatch(/^\/evil\.example\/chat\?answer=/);
});

test("a key that is too long or has control characters is refused, also with another method", async () => {
  const { port, requests } = await startResuming({ onRequest });
  for (const key of ["k".repeat(256), "a\tb", "a\x7fb"]) {
    for (const client of [ask(port, { key }), attach(port, { key })]) {
      await client.opened();
      expect([key, client.head?.status]).toEqual([key, 400]);
    }
  }
  const twice = ask(port, { headers: { "idempotency-key": "k2" } });
  await twice.opened();
  expect(twice.head?.status).toBe(400);
  expect(requests).toHaveLength(0);
  await ask(port, { key: "k".repeat(255) }).received("secret");
  await ask(port, { key: "ключ" }).received("secret");
  expect(tokensOf(ask(port, { key: "" }))).toEqual([]);
});

test("the same value in another field is another owner, also after a reload that changes by", async () => {
  const backend = await startBackend(onRequest);
  const setup = (field: string) => ({
    routes: { main: resumingRoute(backend.url, { resume: { by: [`header:${field}`] } }) },
  });
  const gateway = await startGateway(setup("X-User"));
  await ask(gateway.port).received("secret");
  await gateway.reload(setup("X-Session"));
  const eve = attach(gateway.port, { headers: { "X-Session": "ann" } });
  expect((await eve.opened()).status).toBe(204);
  expect(await cancel(gateway.port, { headers: { "X-Session": "ann" } })).toBe(204);
  expect(backend.openConnections).toBe(1);
});
