import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { dataOf, event, idsOf, startSharing, streaming, subscribe } from "../support/shared.ts";
import { openStream } from "../support/sse-client.ts";

test("a backend without ids becomes resumable: sluice adds ids to its events", async () => {
  const backend = await startBackend(streaming(event("1"), event("2"), event("3")));
  const { port } = await startSharing(backend.url);
  const first = subscribe(port);
  await first.received("data: 3\n\n");
  const [, second = ""] = idsOf(first);
  const back = subscribe(port, "/news", second);
  await back.received("data: 3\n\n");
  expect(dataOf(back)).toEqual(["3"]);
  expect(back.field("sluice-resumed-from")).toBe(second);
  expect(backend.requests).toHaveLength(1);
});

test("a backend's own ids are not changed, even with gaps and out of order", async () => {
  const blocks = [event("a", "100"), event("b", "7"), event("c"), event("d", "x y")];
  const backend = await startBackend(streaming(...blocks));
  const { port } = await startSharing(backend.url);
  const first = subscribe(port);
  await first.received("data: d\n\n");
  const ids = idsOf(first);
  expect([ids[0], ids[1], ids[3]]).toEqual(["100", "7", "x y"]);
  for (const [at, id] of ids.entries()) {
    const back = subscribe(port, "/news", id);
    await back.opened();
    if (at < 3) await back.received("data: d\n\n");
    expect(dataOf(back)).toEqual(["a", "b", "c", "d"].slice(at + 1));
  }
});

test("the id is read from the query, as polyfills send it, and not forwarded to the backend", async () => {
  const backend = await startBackend(streaming(event("1", "é/1"), event("2", "é/2")));
  const { port } = await startSharing(backend.url);
  await subscribe(port, "/news?a=1").received("data: 2\n\n");
  const back = openStream(port, { path: "/news?a=1&lastEventId=%C3%A9%2F1" });
  await back.received("data: 2\n\n");
  expect(dataOf(back)).toEqual(["2"]);
  expect(backend.requests.map(({ target }) => target)).toEqual(["/news?a=1"]);
});

test("the field takes precedence over the query, which has the id of the first connection", async () => {
  const backend = await startBackend(streaming(event("1", "i1"), event("2", "i2"), event("3", "i3")));
  const { port } = await startSharing(backend.url);
  await subscribe(port).received("data: 3\n\n");
  const back = openStream(port, { path: "/news?lastEventId=i1", headers: { "Last-Event-ID": "i2" } });
  await back.received("data: 3\n\n");
  expect(dataOf(back)).toEqual(["3"]);
});

test.each([
  ["always", (ids: string[]) => expect(ids[0]).toMatch(/^[0-9a-f]{12}-1$/)],
  ["never", (ids: string[]) => expect(ids).toEqual(["own"])],
] as const)("with ids: %s", async (ids, check) => {
  const backend = await startBackend(streaming(event("1", "own"), event("2")));
  const { port } = await startSharing(backend.url, { ids });
  const client = subscribe(port);
  await client.received("data: 2\n\n");
  check(idsOf(client));
});
