import { EventSource } from "eventsource";
import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { startGatewayTo } from "../../support/gateway.ts";

/** The package `eventsource`, an EventSource for Node. */

interface Seen {
  readonly type: string;
  readonly data?: string;
  readonly id?: string;
  readonly readyState: number;
}

function openSource(url: string, headers: Readonly<Record<string, string>> = {}) {
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
  });
  afterTest(() => source.close());
  const seen: Seen[] = [];
  for (const type of ["open", "error"] as const)
    source.addEventListener(type, () => seen.push({ type, readyState: source.readyState }));
  for (const type of ["message", "tick"])
    source.addEventListener(type, ({ data, lastEventId }: MessageEvent) =>
      seen.push({ type, data, id: lastEventId, readyState: source.readyState }),
    );
  let taken = 0;
  const next = () => {
    const index = taken++;
    return eventually(() => seen[index], `record ${index + 1} of the client`);
  };
  return { source, seen, next };
}

it("sends its own fields and gets events one by one", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = openSource(`${gateway.url}/stream`, { Authorization: "Bearer blue" });
  const request = await backend.nextRequest();
  expect(request.field("authorization")).toBe("Bearer blue");
  expect(request.field("accept")).toBe("text/event-stream");
  request.openStream();
  expect(await client.next()).toMatchObject({ type: "open" });
  for (const n of [1, 2, 3]) {
    request.emit(`id: ${n}\nevent: tick\ndata: number ${n}\n\n`);
    expect(await client.next()).toMatchObject({ type: "tick", data: `number ${n}`, id: String(n) });
  }
  client.source.close();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
});

it.each(["ends", "dies in the middle of an event"])(
  "reconnects with Last-Event-ID when the backend %s",
  async (how) => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { stream: { heartbeat: "20ms", retry: "20ms" } });
    const client = openSource(`${gateway.url}/stream`);
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("id: 7\ndata: seen\n\n");
    expect(await client.next()).toMatchObject({ type: "open" });
    expect(await client.next()).toMatchObject({ type: "message", data: "seen" });
    if (how === "ends") {
      request.endStream();
    } else {
      request.emit("id: 8\ndata: ha");
      request.reset();
    }
    // The route's `retry` makes this fast; the client's own reconnection time is three seconds.
    expect(await client.next()).toMatchObject({ type: "error", readyState: EventSource.CONNECTING });
    const again = await backend.nextRequest();
    expect(again.field("last-event-id")).toBe("7");
    again.openStream();
    again.emit("data: after\n\n");
    expect(await client.next()).toMatchObject({ type: "open" });
    expect(await client.next()).toMatchObject({ type: "message", data: "after" });
  },
);

it("stops reconnecting on 204", async () => {
  const backend = await startBackend((request) => request.send("HTTP/1.1 204 No Content\r\n\r\n"));
  const gateway = await startGatewayTo(backend.url);
  const client = openSource(`${gateway.url}/stream`);
  expect(await client.next()).toMatchObject({ type: "error", readyState: EventSource.CLOSED });
});
