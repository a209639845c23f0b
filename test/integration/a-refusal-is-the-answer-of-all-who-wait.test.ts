import { expect, test } from "vitest";
import { type BackendRequest, refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, startSharing, subscribe } from "../support/shared.ts";

/** Returns the responses to `count` clients that wait for the same stream; `answer` is the backend's part. */
async function answersTo(
  answer: (request: BackendRequest) => void,
  count = 100,
): Promise<{
  statuses: Set<number | undefined>;
  bodies: string[];
  dials: number;
  field(name: string): string | undefined;
}> {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, { redial: { min: "10s", max: "10s" } });
  const clients = Array.from({ length: count }, () => subscribe(port));
  const request = await backend.nextRequest();
  answer(request);
  for (const client of clients) expect(await client.ended()).toBe("clean");
  // A client directly afterwards gets the same refusal without a further request.
  const late = subscribe(port);
  await late.ended();
  const statuses = new Set([...clients, late].map(({ head }) => head?.status));
  const bodies = clients.map(({ text }) => text);
  return { statuses, bodies, dials: backend.requests.length, field: (name) => late.field(name) };
}

test.each([301, 302, 401, 403, 404, 410, 429, 500, 503])(
  "a %i goes to all waiting clients, once",
  async (status) => {
    const { statuses, bodies, dials } = await answersTo((request) =>
      request.respond(status, { "Set-Cookie": "a=b", "X-Secret": "s" }, "private words"),
    );
    expect([...statuses]).toEqual([status]);
    expect(dials).toBe(1);
    for (const body of bodies) expect(body).not.toContain("private");
  },
);

test("a redirect keeps its Location and no cookie", async () => {
  const { field } = await answersTo(
    (request) => request.respond(302, { Location: "https://elsewhere.example/x", "Set-Cookie": "a=b" }),
    3,
  );
  expect(field("location")).toBe("https://elsewhere.example/x");
  expect(field("set-cookie")).toBeUndefined();
});

test("the backend is asked again after its Retry-After", async () => {
  const { field } = await answersTo((request) => request.respond(503, { "Retry-After": "20" }), 3);
  expect(Number(field("retry-after"))).toBeGreaterThanOrEqual(19);
  expect(Number(field("retry-after"))).toBeLessThanOrEqual(22);
});

test.each([
  ["another type", { "Content-Type": "text/html" }],
  ["another charset", { "Content-Type": "text/event-stream;charset=latin1" }],
  ["an unknown encoding", { "Content-Encoding": "compress" }],
  ["two encodings", { "Content-Encoding": "gzip, br" }],
] as const)("a stream of %s is a 502 for all", async (_, fields) => {
  const { statuses, dials } = await answersTo((request) => request.openStream(fields), 10);
  expect([...statuses]).toEqual([502]);
  expect(dials).toBe(1);
});

test("a 204 goes to all waiting clients, and the backend is not asked again", async () => {
  const { statuses, dials } = await answersTo((request) => request.send("HTTP/1.1 204 Done\r\n\r\n"));
  expect([...statuses]).toEqual([204]);
  expect(dials).toBe(1);
});

test("an unreachable backend is a 502 for all, and its channel is removed", async () => {
  const gateway = await startSharing(`http://127.0.0.1:${await refusedPort()}`);
  const clients = Array.from({ length: 100 }, () => subscribe(gateway.port));
  for (const client of clients) {
    await client.ended();
    expect(client.head?.status).toBe(502);
  }
  const refusals = () => gateway.log.filter(({ msg }) => msg === "shared stream refused");
  await eventually(
    () => gateway.log.filter(({ msg }) => msg === "shared stream closed").length === refusals().length,
    "the end of the channel",
  );
});

test("a silent backend is a 504 for all waiting clients, after responseHeaderTimeout", async () => {
  const backend = await startBackend();
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: "100ms", retries: 0 };
  const { port } = await startSharing(backend.url, { redial: { min: "10s", max: "10s" } }, { upstream });
  const clients = Array.from({ length: 100 }, () => subscribe(port));
  const from = performance.now();
  for (const client of clients) {
    await client.ended();
    expect(client.head?.status).toBe(504);
  }
  // A redial would be five seconds away.
  expect(performance.now() - from).toBeLessThan(4_000);
  expect(backend.requests).toHaveLength(1);
});

test("a 204 after a lost stream ends it for its clients, and a reconnecting client gets 204", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  const first = await backend.nextRequest();
  first.openStream();
  first.emit(event("1", "1") + event("2", "2"));
  await client.received("data: 2\n\n");
  first.endStream();
  (await backend.nextRequest()).send("HTTP/1.1 204 Done\r\n\r\n");
  expect(await client.ended()).toBe("clean");
  const behind = subscribe(port, "/news", "1");
  expect(await behind.ended()).toBe("clean");
  expect(dataOf(behind)).toEqual(["2"]);
  const done = subscribe(port, "/news", "2");
  await done.ended();
  expect(done.head?.status).toBe(204);
  expect(backend.requests).toHaveLength(2);
});

test("a final refusal aborts the streams of all clients", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  const first = await backend.nextRequest();
  first.openStream();
  first.emit(event("1", "1"));
  await client.received("data: 1\n\n");
  first.endStream();
  (await backend.nextRequest()).respond(403);
  expect(await client.ended()).toBe("truncated");
});

test("a failing backend is asked once per wait, for any number of clients", async () => {
  const backend = await startBackend((request) => {
    if (backend.requests.length > 1) return request.respond(500);
    request.openStream();
  });
  const { port } = await startSharing(backend.url, { redial: { min: "50ms", max: "100ms" } });
  const clients = Array.from({ length: 200 }, () => subscribe(port));
  for (const client of clients) await client.opened();
  backend.requests[0]?.endStream();
  const begun = performance.now();
  await eventually(() => backend.requests.length >= 6, "five attempts");
  // 25 to 50 ms before the first, 50 to 100 before each of the others.
  expect(performance.now() - begun).toBeGreaterThan(200);
  for (const client of clients) expect(client.end).toBeUndefined();
});

test("an event longer than maxEvent ends the stream for all, and is not kept", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(backend.url, { maxEvent: "4k" });
  const client = subscribe(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(event("1", "1"));
  await client.received("data: 1\n\n");
  request.emit(`data: ${"x".repeat(8_000)}`);
  expect(await client.ended()).toBe("truncated");
  await eventually(() => !request.connection.isOpen, "the end of the backend request");
  expect((await gateway.requestLine())["err"]).toMatchObject({ code: "event_too_large" });
});
