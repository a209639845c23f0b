import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, idsOf, startSharing, subscribe } from "../support/shared.ts";

/**
 * A backend that resumes: it sends `n` events on each connection, and then `end` ends the stream or aborts it inside
 * the next event.
 */
const inPieces = (n: number, last: number, end: (request: BackendRequest, next: number) => void) => {
  return (request: BackendRequest): void => {
    const from = Number(request.field("last-event-id") ?? "0") + 1;
    request.openStream();
    for (let id = from; id < from + n && id <= last; id++) request.emit(event(`e${id}`, String(id)));
    if (from + n <= last) end(request, from + n);
  };
};

const upTo = (last: number): string[] => Array.from({ length: last }, (_, at) => `e${at + 1}`);

test.each([
  ["ends", (request: BackendRequest) => request.endStream()],
  [
    "aborts within an event",
    (request: BackendRequest, next: number) => {
      request.emit(`id: ${next}\ndata: bro`);
      request.halfClose();
    },
  ],
  [
    "aborts within a chunk",
    (request: BackendRequest, next: number) => {
      request.send(`ff\r\nid: ${next}\ndata: bro`);
      request.halfClose();
    },
  ],
  [
    "sends what is no chunk",
    (request: BackendRequest, next: number) => request.send(`no chunk\r\n${event(`e${next}`, String(next))}`),
  ],
])("a backend that %s after each third event is resumed, unnoticed by clients", async (_, end) => {
  const backend = await startBackend(inPieces(3, 30, end));
  const { port } = await startSharing(backend.url);
  const clients = [subscribe(port), subscribe(port)];
  for (const client of clients) await client.received("data: e30\n\n");
  for (const client of clients) expect(dataOf(client)).toEqual(upTo(30));
  expect(backend.requests).toHaveLength(10);
});

test("a repeated event is dropped; a different event with a known id is delivered and logged", async () => {
  let dials = 0;
  const backend = await startBackend((request) => {
    dials += 1;
    request.openStream();
    request.emit(event("1", "a") + event("2", "b"));
    if (dials === 1) return request.endStream();
    request.emit(event("other", "b") + event("3", "c"));
  });
  const gateway = await startSharing(backend.url);
  const client = subscribe(gateway.port);
  await client.received("data: 3\n\n");
  expect(dataOf(client)).toEqual(["1", "2", "other", "3"]);
  // Each event has an id of its own, so that a client that saw the first of two gets the second.
  expect(new Set(idsOf(client)).size).toBe(4);
  expect(gateway.log.filter(({ msg }) => msg === "event id was used again for another event")).toHaveLength(
    1,
  );
});

test("without ids, clients are told of a gap after a reconnection", async () => {
  let dials = 0;
  const backend = await startBackend((request) => {
    dials += 1;
    request.openStream();
    request.emit(event(`of ${dials}`));
    if (dials === 1) request.endStream();
  });
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  await client.received("data: of 2\n\n");
  expect(client.text).toMatch(
    /data: of 1\n\n(?:.*\n)*event: sluice\.gap\ndata: .*"live"}\n\n(?:.*\n)*data: of 2/,
  );
});

test("clients stay connected while the backend is away, with heartbeats", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, {}, { stream: { heartbeat: "30ms" } });
  const client = subscribe(port);
  (await backend.nextRequest()).openStream();
  await client.opened();
  backend.requests[0]?.emit(event("1", "1"));
  await client.received("data: 1\n\n");
  backend.requests[0]?.reset();
  const second = await backend.nextRequest();
  second.respond(503, { "Retry-After": "0" });
  const third = await backend.nextRequest();
  expect(third.field("last-event-id")).toBe("1");
  const before = client.text.length;
  await eventually(() => client.text.slice(before).includes(":\n:\n"), "heartbeats");
  third.openStream();
  third.emit(event("2", "2"));
  await client.received("data: 2\n\n");
  expect(dataOf(client)).toEqual(["1", "2"]);
});

test("a silent backend is asked again after idleTimeout, and clients stay connected", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url, {}, { stream: { idleTimeout: "50ms" } });
  const client = subscribe(port);
  const first = await backend.nextRequest();
  first.openStream();
  first.emit(event("1", "1"));
  const second = await backend.nextRequest();
  expect(second.field("last-event-id")).toBe("1");
  await eventually(() => !first.connection.isOpen, "the end of the silent request");
  second.openStream();
  second.emit(event("2", "2"));
  await client.received("data: 2\n\n");
});

test("a stream shorter than its Content-Length is requested again", async () => {
  const backend = await startBackend((request) => {
    const from = Number(request.field("last-event-id") ?? "0") + 1;
    request.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n");
    for (let id = from; id < from + 3; id++) request.send(event(`e${id}`, String(id)));
    if (from < 9) request.halfClose();
  });
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  await client.received("data: e9\n\n");
  expect(dataOf(client).slice(0, 9)).toEqual(upTo(9));
  expect(client.end).toBeUndefined();
});
