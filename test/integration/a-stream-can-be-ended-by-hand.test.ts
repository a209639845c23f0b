import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

interface Page {
  readonly total: number;
  readonly offset: number;
  readonly streams: readonly {
    readonly id: string;
    readonly route: string;
    readonly client: string;
    readonly events: number;
    readonly bytes: number;
  }[];
}

const start = async (count: number) => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startWithAdmin({
    routes: {
      one: { match: { path: "/one" }, upstream: backend.url },
      two: { match: { path: "/two" }, upstream: backend.url },
    },
  });
  const clients = [];
  for (let at = 0; at < count; at++) {
    const client = openStream(gateway.port, { path: at % 2 === 0 ? "/one" : "/two", headers: EVENT_SOURCE });
    await client.opened();
    clients.push(client);
  }
  const list = async (query = ""): Promise<Page> =>
    JSON.parse((await askAdmin(gateway, `/api/streams${query}`)).text) as Page;
  const end = (id: string, headers: Record<string, string> = {}) =>
    askAdmin(gateway, `/api/streams/${id}/end`, { method: "POST", headers });
  return { backend, gateway, clients, list, end };
};

test("the named stream ends between two events, with its reason; the others continue", async () => {
  const { backend, gateway, clients, list, end } = await start(2);
  const [first, second] = clients;
  const [request, other] = backend.requests;
  request?.emit("data: 1\n\ndata: ha");
  await first?.received("data: ha");
  const [stream] = (await list()).streams;
  expect(stream).toMatchObject({ route: "one", client: "127.0.0.1", events: 1 });

  expect((await end(stream?.id ?? "")).status).toBe(200);
  request?.emit("lf\n\n");
  expect(await first?.ended()).toBe("clean");
  expect(first?.text.endsWith("data: half\n\n")).toBe(true);
  expect(await gateway.requestLine()).toMatchObject({ route: "one", endReason: "evicted", events: 2 });
  other?.emit("data: still here\n\n");
  await second?.received("still here");
  expect((await list()).total).toBe(1);
});

test("a stream whose event does not end is aborted", async () => {
  const { backend, gateway, clients, list, end } = await start(1);
  backend.requests[0]?.emit("data: ha");
  await clients[0]?.received("ha");
  await end((await list()).streams[0]?.id ?? "");
  expect(await clients[0]?.ended(12_000)).not.toBe("clean");
  expect(await gateway.requestLine()).toMatchObject({ endReason: "evicted" });
});

test("an unknown id gives 404, and a GET ends no stream", async () => {
  const { gateway, list, end } = await start(1);
  expect((await end("nobody")).status).toBe(404);
  expect((await end("%")).status).toBe(404);
  expect((await askAdmin(gateway, `/api/streams/${(await list()).streams[0]?.id}/end`)).status).toBe(404);
  expect((await list()).total).toBe(1);
});

test("the list has pages, an order and a filter by route", async () => {
  const { gateway, clients, list } = await start(5);
  const all = await list();
  expect(all).toMatchObject({ total: 5, offset: 0 });
  const ids = all.streams.map(({ id }) => id);
  const page = await list("?limit=2&offset=2");
  expect(page.streams.map(({ id }) => id)).toEqual(ids.slice(2, 4));
  expect((await list("?sort=newest&limit=1")).streams[0]?.id).toBe(ids[4]);
  expect(await list("?route=two")).toMatchObject({ total: 2 });
  // Beyond the last page the last page is returned; an invalid number means the default.
  expect(await list("?limit=2&offset=999")).toMatchObject({ offset: 4 });
  expect(await list("?limit=-1&offset=x&sort=no")).toMatchObject({ total: 5, offset: 0 });
  expect(JSON.parse((await askAdmin(gateway, "/api/streams?limit=99999")).text)).toMatchObject({
    limit: 500,
  });
  for (const client of clients) client.leave();
  await eventually(async () => (await list()).total === 0, "an empty list");
});
