import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { dataOf, event, idsOf, startSharing, streaming, subscribe } from "../support/shared.ts";

/** Returns the data of a stream's gap event; undefined without one. */
const gapOf = (text: string): unknown => {
  const data = /event: sluice\.gap\ndata: (.*)\n\n/.exec(text)?.[1];
  return data === undefined ? undefined : JSON.parse(data);
};

const EVENTS = [event("1", "i1"), event("2", "i2"), event("3", "i3")];

test.each([
  ["unknown", "nonsense"],
  ["of another record", "0123456789ab-2"],
  ["as long as a head may be", "x".repeat(12_000)],
  ["the same letter in other bytes", "é"],
])("an id that is %s gets the gap event first, then the whole history", async (_, id) => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit(Buffer.from(event("0", "é"), "latin1"));
    for (const block of EVENTS) request.emit(block);
  });
  const { port } = await startSharing(backend.url);
  await subscribe(port).received("data: 3\n\n");
  const back = subscribe(port, "/news", id);
  await back.received("data: 3\n\n");
  expect(gapOf(back.text)).toEqual({ lastEventId: id, resumedFrom: "earliest" });
  expect(back.text.indexOf("sluice.gap")).toBeLessThan(back.text.indexOf("data: 0"));
  expect(back.field("sluice-resumed-from")).toBe("earliest");
  expect(dataOf(back).slice(1)).toEqual(["0", "1", "2", "3"]);
});

test("an id of a later position is unknown", async () => {
  const backend = await startBackend(streaming(event("1")));
  const { port } = await startSharing(backend.url);
  const first = subscribe(port);
  await first.received("data: 1\n\n");
  const [epoch = ""] = (idsOf(first)[0] ?? "").split("-");
  const back = subscribe(port, "/news", `${epoch}-99`);
  await back.received("data: 1\n\n");
  expect(gapOf(back.text)).toEqual({ lastEventId: `${epoch}-99`, resumedFrom: "earliest" });
});

test("an id that is older than the history", async () => {
  const backend = await startBackend(streaming(...EVENTS));
  const { port } = await startSharing(backend.url, { history: { events: 1 } });
  await subscribe(port).received("data: 3\n\n");
  const back = subscribe(port, "/news", "i1");
  await back.received("data: 3\n\n");
  expect(gapOf(back.text)).toEqual({ lastEventId: "i1", resumedFrom: "earliest" });
  const inTime = subscribe(port, "/news", "i2");
  await inTime.received("data: 3\n\n");
  expect(gapOf(inTime.text)).toBeUndefined();
});

test("with an empty history the stream continues live", async () => {
  const backend = await startBackend(streaming());
  const { port } = await startSharing(backend.url);
  const back = subscribe(port, "/news", "gone");
  await back.received("sluice.gap");
  expect(gapOf(back.text)).toEqual({ lastEventId: "gone", resumedFrom: "live" });
  expect(back.field("sluice-resumed-from")).toBe("live");
});

test("a client is told of a gap once: it reconnects with a known id", async () => {
  const backend = await startBackend(streaming());
  const { port } = await startSharing(backend.url);
  const back = subscribe(port, "/news", "gone");
  await back.received("sluice.gap");
  const again = subscribe(port, "/news", idsOf(back)[0]);
  await again.opened();
  backend.requests[0]?.emit(event("1"));
  await again.received("data: 1");
  expect(gapOf(again.text)).toBeUndefined();
});

test("onGap: close sends the gap event, resets the id and ends the stream", async () => {
  const backend = await startBackend(streaming(...EVENTS));
  const { port } = await startSharing(backend.url, { onGap: "close" });
  await subscribe(port).received("data: 3\n\n");
  const back = subscribe(port, "/news", "gone");
  expect(await back.ended()).toBe("clean");
  expect(gapOf(back.text)).toEqual({ lastEventId: "gone", resumedFrom: "earliest" });
  expect(idsOf(back)).toEqual([""]);
  expect(dataOf(back)).toHaveLength(1);
});
