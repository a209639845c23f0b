import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { event, type Polled, startSharing, streaming, subscribe } from "../support/shared.ts";

async function poll(url: string, parameters: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/news?${parameters}`, { headers });
  const answer = response.status === 200 ? ((await response.json()) as Polled) : undefined;
  return { response, answer };
}

test("polling answers at once: first without an event, then with the events since", async () => {
  const backend = await startBackend(streaming());
  const { url } = await startSharing(backend.url);
  const first = await poll(url, "transport=polling");
  expect(first.answer).toMatchObject({ events: [], gap: false });
  backend.requests[0]?.emit(`${event("é\ndata: two", "1")}event: named\n${event("3")}`);
  const { lastEventId = "" } = first.answer ?? {};
  const next = await eventually(async () => {
    const { answer } = await poll(url, `transport=polling&lastEventId=${encodeURIComponent(lastEventId)}`);
    return answer?.events.length === 2 && answer;
  });
  expect(next).toMatchObject({
    events: [
      { id: "1", event: "message", data: "é\ntwo" },
      { event: "named", data: "3" },
    ],
    gap: false,
  });
  const { answer } = await poll(url, `transport=polling&lastEventId=${next ? next.lastEventId : ""}`);
  expect(answer).toEqual({ events: [], lastEventId: next ? next.lastEventId : "", gap: false });
  expect(backend.requests).toHaveLength(1);
  expect(backend.requests[0]?.target).toBe("/news");
});

test("long polling answers with the next event, or with nothing at its timeout", async () => {
  const backend = await startBackend(streaming());
  const { url } = await startSharing(backend.url);
  const waiting = poll(url, "transport=long-polling&timeout=20s");
  const request = await backend.nextRequest();
  await poll(url, "transport=polling");
  request.emit(event("1") + event("2"));
  expect((await waiting).answer?.events.map(({ data }) => data)).toEqual(["1", "2"]);
  const { lastEventId = "" } = (await waiting).answer ?? {};
  const none = await poll(url, `transport=long-polling&timeout=50ms&lastEventId=${lastEventId}`);
  expect(none.answer).toEqual({ events: [], lastEventId, gap: false });
});

test("a long poll that is behind the history's newest event does not wait", async () => {
  const backend = await startBackend(streaming(event("1", "1"), event("2", "2")));
  const { url, port } = await startSharing(backend.url);
  await subscribe(port).received("data: 2\n\n");
  const { answer, response } = await poll(url, "transport=long-polling&timeout=60s&lastEventId=1");
  expect(answer?.events.map(({ id }) => id)).toEqual(["2"]);
  expect(response.headers.get("sluice-resumed-from")).toBe("1");
});

test("an unknown id gets the gap flag and the whole history", async () => {
  const backend = await startBackend(streaming(event("1", "1"), event("2", "2")));
  const { url, port } = await startSharing(backend.url);
  await subscribe(port).received("data: 2\n\n");
  const { answer } = await poll(url, "transport=long-polling&lastEventId=nonsense");
  expect(answer).toMatchObject({ gap: true, lastEventId: "2" });
  expect(answer?.events).toHaveLength(2);
});

test("Accept: application/json polls too, and its response has the fields of any response", async () => {
  const backend = await startBackend(streaming());
  const cors = { allowOrigins: ["https://app.example.com"] };
  const { url } = await startSharing(backend.url, {}, { cors });
  const { response, answer } = await poll(url, "a=1", {
    Accept: "application/json",
    Origin: "https://app.example.com",
  });
  expect(answer).toMatchObject({ events: [] });
  expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example.com");
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-request-id")).not.toBeNull();
});

test("a long poll ends when its client leaves", async () => {
  const backend = await startBackend(streaming());
  const { url } = await startSharing(backend.url, { linger: "20ms" });
  const leaving = new AbortController();
  const answer = fetch(`${url}/news?transport=long-polling&timeout=60s`, { signal: leaving.signal });
  const request = await backend.nextRequest();
  leaving.abort();
  await expect(answer).rejects.toThrow();
  await eventually(() => !request.connection.isOpen, "the end of the backend request");
});

test("a refusal is the response to a poll too", async () => {
  const backend = await startBackend((request) => request.respond(403));
  const { url } = await startSharing(backend.url);
  expect((await poll(url, "transport=polling")).response.status).toBe(403);
  expect((await poll(url, "transport=other")).response.status).toBe(400);
});

test("with polling: false the parameters are forwarded to the backend", async () => {
  const backend = await startBackend(streaming(event("1")));
  const { port } = await startSharing(backend.url, { polling: false });
  await subscribe(port, "/news?transport=polling&timeout=5").received("data: 1");
  expect(backend.requests[0]?.target).toBe("/news?transport=polling&timeout=5");
});

test("HEAD opens nothing", async () => {
  const backend = await startBackend();
  const { url } = await startSharing(backend.url);
  const response = await fetch(`${url}/news`, { method: "HEAD" });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(backend.requests).toHaveLength(0);
});
