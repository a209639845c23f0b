import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, idsOf, startSharing, subscribe } from "../support/shared.ts";

test("a thousand first clients cause one dial, and each gets every event once", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url);
  const clients = Array.from({ length: 1000 }, () => subscribe(port));
  const request = await backend.nextRequest();
  request.openStream();
  for (const client of clients) expect((await client.opened()).status).toBe(200);
  for (let n = 1; n <= 5; n++) request.emit(event(`e${n}`));
  for (const client of clients) await client.received("data: e5\n\n");
  for (const client of clients) expect(dataOf(client)).toEqual(["e1", "e2", "e3", "e4", "e5"]);
  expect(new Set(clients.map(({ text }) => text)).size).toBe(1);
  expect(new Set(idsOf(clients[0] ?? subscribe(port))).size).toBe(5);
  expect(backend.requests).toHaveLength(1);
});

test("the backend request lingers after the last client, and a client in that time uses it", async () => {
  const backend = await startBackend();
  // Longer than a machine stands still between two clients.
  const { port } = await startSharing(backend.url, { linger: "1500ms" });
  const first = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(event("1"));
  await first.received("data: 1");
  first.leave();
  const second = subscribe(port);
  await second.opened();
  request.emit(event("2"));
  await second.received("data: 2");
  expect(dataOf(second)).toEqual(["2"]);
  second.leave();
  await eventually(() => !request.connection.isOpen, "the end of the backend request");
  expect(backend.requests).toHaveLength(1);
});

test("streams of different paths and queries are different streams", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url);
  const paths = ["/a", "/a?x=%", "/a?x=%25", "/a?x=1", "/a?x=2", "/b"];
  for (const path of paths) subscribe(port, path);
  for (const _ of paths) await backend.nextRequest();
  expect(backend.requests.map(({ target }) => target).sort()).toEqual(paths);
});

test("events of one turn are sent in one write", async () => {
  const backend = await startBackend();
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  request.send([1, 2, 3, 4, 5].map((n) => chunk(event(`e${n}`))).join(""));
  await client.received("data: e5");
  expect(client.arrivals.filter(({ bytes }) => bytes.includes("data:"))).toHaveLength(1);
});

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
