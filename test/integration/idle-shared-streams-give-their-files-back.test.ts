import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { BackendFiles } from "../../src/limits/backend-files.ts";
import { type BackendRequest, refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";
import { event, QUICK, startSharing, streaming, subscribe } from "../support/shared.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";

/** Enough for Node to load its modules; a quarter is kept back. */
const FILES = 240;
const LIMITED = ["sh", "-c", `ulimit -n ${FILES} && exec "$@"`, "sh"];

/** A process with few files, and a client that has opened and closed more streams than the process has files. */
async function serveAbandoned(limits: string) {
  const backend = await startBackend(streaming(event("there")));
  const cwd = directoryOf({
    "config/sluice.yaml": `listen: 127.0.0.1:0\nadmin: false\nlimits: ${limits}\n`,
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\nshared: { linger: 10m }\n`,
  });
  const sluice = startSluice(["serve"], { cwd, under: LIMITED });
  await sluice.logged("ready");
  const port = await sluice.port();
  const statuses = new Set<number>();
  for (let count = 0; count < FILES + 60; count++) {
    const client = openStream(port, { path: `/${count}` });
    const head = await eventually(() => client.head ?? client.end, "an answer");
    statuses.add(typeof head === "object" ? head.status : 0);
    client.leave();
  }
  return { backend, sluice, port, statuses };
}

test("auto: one client without an open connection cannot use up the files; idle streams are closed", async () => {
  const { backend, sluice, port, statuses } = await serveAbandoned("{}");
  expect(statuses).toEqual(new Set([200]));
  expect(backend.openConnections).toBeLessThanOrEqual((FILES * 3) / 4);
  // With idle streams only: each client is served, with the file of an idle stream.
  const clients = Array.from({ length: 100 }, (_, at) => openStream(port, { path: `/honest/${at % 2}` }));
  // A client that joins late has missed the only event.
  for (const client of clients) expect((await client.opened()).status).toBe(200);
  for (const first of clients.slice(0, 2)) await first.received("there");
  expect(sluice.lines().filter(({ msg }) => String(msg).startsWith("out of open files"))).toEqual([]);
  expect(backend.openConnections).toBeLessThanOrEqual((FILES * 3) / 4 - clients.length);
});

test("off: with no file left, a client gets the file of an idle stream, and so do many clients at once", async () => {
  const { sluice, port } = await serveAbandoned("{ connections: off, streams: off }");
  const isServed = async (path: string) => {
    const client = openStream(port, { path });
    await eventually(() => client.head ?? client.end, "an answer");
    return client.head?.status === 200;
  };
  // The first clients may be refused, until the files of idle streams are closed.
  await eventually(() => isServed("/honest"), "a stream");
  const crowd = Array.from({ length: FILES / 2 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  onTestFinished(() => {
    for (const socket of crowd) socket.destroy();
  });
  await sluice.logged("out of open files: new connections are refused");
  await sluice.logged("open files are free again");
  await eventually(() => isServed("/honest/2"), "a stream");
});

/** The files that the gateway of this process counts. */
function watchFiles(): () => number {
  const all = new Set<BackendFiles>();
  const before = BackendFiles.prototype.hold;
  BackendFiles.prototype.hold = function (this: BackendFiles) {
    all.add(this);
    return before.call(this);
  };
  onTestFinished(() => {
    BackendFiles.prototype.hold = before;
  });
  return () => [...all].reduce((sum, { held }) => sum + held, 0);
}

const SHORT = { linger: "50ms", maxEvent: "1k" };

test("a shared stream's backend connection counts once, however many clients it has, until it has closed", async () => {
  const held = watchFiles();
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, { linger: "400ms" });
  const clients = [subscribe(port), subscribe(port), subscribe(port)];
  const request = await backend.nextRequest();
  expect(held()).toBe(1);
  request.openStream();
  request.emit(event("1"));
  for (const client of clients) await client.received("data: 1");
  expect(held()).toBe(1);
  for (const client of clients) client.leave();
  await delay(100);
  // It lingers.
  expect([held(), backend.openConnections]).toEqual([1, 1]);
  await eventually(() => held() === 0 && backend.openConnections === 0, "the end of its linger");
});

test.each<[string, (request: BackendRequest) => unknown, number]>([
  ["refuses", (request) => request.respond(403), 403],
  ["says that the stream is over", (request) => request.respond(204), 204],
  ["sends no stream", (request) => request.respond(200, { "Content-Type": "text/plain" }, "x"), 502],
  ["aborts before its head", (request) => request.reset(), 502],
  ["sends nothing", () => undefined, 504],
])("a backend that %s leaves no file counted", async (_, script, status) => {
  const held = watchFiles();
  const backend = await startBackend(script);
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: "200ms" };
  const { port } = await startSharing(upstream as never, SHORT);
  const client = subscribe(port);
  expect((await client.opened()).status).toBe(status);
  await eventually(() => held() === 0, "no file");
});

test("a failed or cancelled dial leaves no file counted", async () => {
  const held = watchFiles();
  const { port } = await startSharing(`http://127.0.0.1:${await refusedPort()}`, SHORT);
  expect((await subscribe(port).opened()).status).toBe(502);
  await eventually(() => held() === 0, "no file");
  const silent = await startBackend();
  const second = await startSharing(silent.url, SHORT);
  const client = subscribe(second.port);
  await silent.nextRequest();
  expect(held()).toBe(1);
  client.leave();
  await eventually(() => held() === 0 && silent.openConnections === 0, "no file");
});

test.each<[string, (request: BackendRequest) => void]>([
  ["ends", (request) => request.endStream()],
  ["aborts", (request) => request.reset()],
  ["sends what is no HTTP", (request) => request.send("no chunk\r\n")],
])("a backend that %s is asked again, on one connection", async (_, script) => {
  const held = watchFiles();
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, SHORT);
  const client = subscribe(port);
  for (let round = 1; round <= 3; round++) {
    const request = await backend.nextRequest();
    request.openStream();
    request.emit(event(`round ${round}`));
    await client.received(`round ${round}`);
    expect(held()).toBe(1);
    script(request);
  }
  const last = await backend.nextRequest();
  expect(held()).toBe(1);
  last.openStream();
  last.emit(event("x".repeat(2_000)));
  // Longer than shared.maxEvent, which ends the stream for good.
  await client.ended();
  await eventually(() => held() === 0, "no file");
});

test("a closed gateway and a removed route leave no file counted", async () => {
  const held = watchFiles();
  const backend = await startBackend(streaming(event("there")));
  const gateway = await startSharing(backend.url, { linger: "10m" });
  const [client, other] = [subscribe(gateway.port, "/a"), subscribe(gateway.port, "/b")];
  for (const each of [client, other]) await each.received("there");
  other.leave();
  expect(held()).toBe(2);
  await gateway.reload({ routes: { main: { match: { path: "/*" }, upstream: backend.url, shared: QUICK } } });
  // Of the old route, the stream without clients is closed; the other one when its client has left.
  await eventually(() => held() === 1, "one file");
  client.leave();
  await eventually(() => held() === 0, "no file");
  const last = await openRaw(gateway.port);
  last.send("GET /c HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
  await eventually(() => held() === 1, "one file");
  await gateway.close();
  expect(held()).toBe(0);
});
