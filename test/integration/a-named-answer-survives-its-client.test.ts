import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import {
  ask,
  attach,
  emitToken,
  lastIdOf,
  resumingRoute,
  send,
  startResuming,
  tokensOf,
} from "../support/resume.ts";

test("a POST without a key is served as if resume were not there", async () => {
  const { port, requests } = await startResuming({
    onRequest: (request) => request.openStream({ "Set-Cookie": "a=b" }),
  });
  const client = ask(port, { key: "" });
  await client.opened();
  emitToken(requests[0], "one");
  await client.received("one");
  expect(client.text).toBe("data: one\n\n");
  expect(client.field("location")).toBeUndefined();
  expect(client.field("set-cookie")).toBe("a=b");
  client.leave();
  await requests[0]?.connection.closed;
});

test("a client that lost its connection gets every token once, from one backend request", async () => {
  const { port, requests } = await startResuming({ onRequest: (request) => request.openStream() });
  const first = ask(port);
  await first.opened();
  emitToken(requests[0], "one");
  await first.received("one");
  first.leave();
  emitToken(requests[0], "two");

  const second = ask(port, { lastEventId: lastIdOf(first) });
  await second.received("two");
  expect(tokensOf(second)).toEqual(["two"]);
  expect(second.field("sluice-resumed-from")).toBe(lastIdOf(first));
  emitToken(requests[0], "three");
  requests[0]?.endStream();
  expect(await second.ended()).toBe("clean");
  expect(tokensOf(second)).toEqual(["two", "three"]);

  const whole = ask(port);
  expect(await whole.ended()).toBe("clean");
  expect(tokensOf(whole)).toEqual(["one", "two", "three"]);
  expect(whole.field("sluice-resumed-from")).toBe("earliest");
  expect(requests).toHaveLength(1);
});

test("a POST that waits for the first token is answered by the same backend request when it comes again", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  first.leave();
  const second = ask(port);
  const third = attach(port);
  requests[0]?.openStream();
  emitToken(requests[0], "one");
  requests[0]?.endStream();
  expect([await second.ended(), await third.ended()]).toEqual(["clean", "clean"]);
  expect([tokensOf(second), tokensOf(third)]).toEqual([["one"], ["one"]]);
  expect(requests).toHaveLength(1);
});

test("a GET attaches by the key and by the Location, and gets 204 when all is read", async () => {
  const { port, requests } = await startResuming({ onRequest: (request) => request.openStream() });
  const first = ask(port, { path: "/v1/chat?model=m" });
  await first.opened();
  const location = first.field("location") ?? "";
  expect(location).toMatch(/^\/v1\/chat\?model=m&answer=[\w-]{22}$/);
  expect(first.field("sluice-resumed-from")).toBeUndefined();
  emitToken(requests[0], "one");
  requests[0]?.endStream();
  await first.ended();

  const byKey = await send(port, "GET", { path: "/v1/chat?model=m" });
  const byId = await send(port, "GET", { path: location, key: "", user: "none" });
  for (const response of [byKey, byId]) {
    expect(response.status).toBe(200);
    expect(tokensOf({ text: await response.text() })).toEqual(["one"]);
  }
  const lastEventId = lastIdOf(first);
  const again = await send(port, "GET", { path: location, key: "", lastEventId });
  expect(again.status).toBe(204);
  expect(again.headers.get("cache-control")).toBe("no-store");
  const appended = await send(port, "GET", {
    path: `${location}&lastEventId=${encodeURIComponent(lastEventId)}`,
    key: "",
  });
  expect(appended.status).toBe(204);
  expect(requests).toHaveLength(1);
});

test("a GET or DELETE of an unknown answer gets 204 and does not reach the backend", async () => {
  const { port, requests } = await startResuming();
  expect((await send(port, "GET", { key: "nothing" })).status).toBe(204);
  expect((await send(port, "GET", { key: "", path: `/v1/chat?answer=${"x".repeat(22)}` })).status).toBe(204);
  expect((await send(port, "DELETE", { key: "nothing" })).status).toBe(204);
  expect((await send(port, "DELETE", { key: "", path: `/v1/chat?answer=${"x".repeat(22)}` })).status).toBe(
    204,
  );
  expect(requests).toHaveLength(0);
});

test("another body under the same key is refused", async () => {
  const { port, requests } = await startResuming({ onRequest: (request) => request.openStream() });
  const first = ask(port, { body: "a" });
  await first.opened();
  const other = await send(port, "POST", { body: "b" });
  expect(other.status).toBe(422);
  expect(await other.json()).toMatchObject({ error_code: "SLUICE.0030" });
  requests[0]?.endStream();
  await first.ended();
  expect((await send(port, "POST", { body: "b" })).status).toBe(422);
  expect((await send(port, "POST", { body: "a" })).status).toBe(200);
  expect(requests).toHaveLength(1);
});

test("a DELETE cancels the backend request at once, before and after the first token", async () => {
  const { port, requests } = await startResuming();
  const waiting = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  expect((await send(port, "DELETE")).status).toBe(204);
  await requests[0]?.connection.closed;
  await waiting.opened();
  expect(waiting.head?.status).toBe(410);

  const running = ask(port);
  await eventually(() => requests.length === 2, "the second backend request");
  requests[1]?.openStream();
  await running.opened();
  emitToken(requests[1], "one");
  await running.received("one");
  expect((await send(port, "DELETE")).status).toBe(204);
  await requests[1]?.connection.closed;
  expect(await running.ended()).toBe("truncated");
});

test.each([
  ["a status other than 200", 429, { "Content-Type": "application/json" }],
  ["a 200 that is no stream", 200, { "Content-Type": "application/json" }],
])("%s goes to all who wait as it is, and the key is free again", async (_, status, fields) => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  const second = ask(port);
  const third = attach(port);
  await eventually(() => requests.length === 1, "the backend request");
  // The second request is known when its body was compared.
  await new Promise((resolve) => setTimeout(resolve, 100));
  requests[0]?.respond(status, { ...fields, "Set-Cookie": "a=b", "X-Own": "1" }, '{"a":1}');
  for (const client of [first, second, third]) {
    await client.received('{"a":1}');
    expect(client.head?.status).toBe(status);
    expect(client.field("x-own")).toBe("1");
    expect(client.field("set-cookie")).toBe("a=b");
    expect(client.field("location")).toBeUndefined();
  }
  expect((await send(port, "GET")).status).toBe(204);
  ask(port);
  await eventually(() => requests.length === 2, "a new backend request");
});

test("a failed dial is the answer of all who wait, and the key is free again", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  requests[0]?.reset();
  await first.opened();
  expect(first.head?.status).toBe(502);
  ask(port);
  await eventually(() => requests.length === 2, "a new backend request");
});

test("a broken answer is replayed and broken off every time, and only a POST without an id starts it anew", async () => {
  const { port, requests } = await startResuming({ onRequest: (request) => request.openStream() });
  const first = ask(port);
  await first.opened();
  const location = first.field("location") ?? "";
  emitToken(requests[0], "one");
  await first.received("one");
  emitToken(requests[0], "two");
  await first.received("two");
  requests[0]?.reset();
  expect(await first.ended()).toBe("truncated");
  const [firstId = ""] = /~[\w-]+-1/.exec(first.text) ?? [];
  for (const attempt of [1, 2]) {
    const byGet = attach(port);
    expect([attempt, await byGet.ended(), tokensOf(byGet)]).toEqual([attempt, "truncated", ["one", "two"]]);
    const byPost = ask(port, { lastEventId: firstId });
    expect([attempt, await byPost.ended(), tokensOf(byPost)]).toEqual([attempt, "truncated", ["two"]]);
  }
  expect(requests).toHaveLength(1);
  const anew = ask(port);
  await anew.opened();
  emitToken(requests[1], "new");
  await anew.received("new");
  expect(tokensOf(anew)).toEqual(["new"]);
  // The old generation is still told apart.
  const old = attach(port, { path: location, key: "" });
  expect(await old.ended()).toBe("truncated");
  expect(tokensOf(old)).toEqual(["one", "two"]);
  expect((await send(port, "POST", { body: "{}", lastEventId: lastIdOf(first) })).status).toBe(410);
  expect(requests).toHaveLength(2);
});

test("an answer without a client goes on for resume.grace, and is cancelled then", async () => {
  const { port, requests } = await startResuming({
    resume: { grace: "100ms" },
    onRequest: (request) => request.openStream(),
  });
  const first = ask(port);
  await first.opened();
  emitToken(requests[0], "one");
  await first.received("one");
  first.leave();
  await requests[0]?.connection.closed;
  const later = attach(port);
  expect(await later.ended()).toBe("truncated");
  expect(tokensOf(later)).toEqual(["one"]);
});

test("an answer is forgotten resume.keep after its end", async () => {
  const { port, requests } = await startResuming({
    resume: { keep: "200ms" },
    onRequest: (request) => {
      request.openStream();
      emitToken(request, "one");
      request.endStream();
    },
  });
  await ask(port).ended();
  await eventually(async () => (await send(port, "GET")).status === 204, "the answer is forgotten");
  expect(requests).toHaveLength(1);
});

test("over HTTP/2 a client comes back in the same way", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    request.openStream();
    emitToken(request, "one");
  });
  const { match: _, upstream: __, ...route } = resumingRoute(backend.url, {});
  const gateway = await startSecureGatewayTo(backend.url, route);
  const client = await openHttp2(gateway.port);
  const post = (body: string) => {
    const fields = { "idempotency-key": "k1", "x-user": "ann" };
    const exchange = client.request(
      { ":method": "POST", ":path": "/v1/chat", ...fields },
      { endStream: false },
    );
    exchange.stream.end(body);
    return exchange;
  };
  const first = post("{}");
  await eventually(() => first.text.includes("one"), "the first token");
  first.stream.close();
  const second = post("{}");
  await eventually(() => second.text.includes("one"), "the first token again");
  const other = post("other");
  await other.closed();
  expect(other.headers?.[":status"]).toBe(422);
  requests[0]?.endStream();
  expect(await second.closed()).toBe(0);
  expect(requests).toHaveLength(1);
});

test("POSTs with one key in one packet are one backend request", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    request.openStream();
    emitToken(request, "one");
  });
  const { match: _, upstream: __, ...route } = resumingRoute(backend.url, {});
  const gateway = await startSecureGatewayTo(backend.url, route);
  const client = await openHttp2(gateway.port);
  const fields = { "idempotency-key": "k1", "x-user": "ann" };
  const exchanges = Array.from({ length: 4 }, () =>
    client.request({ ":method": "POST", ":path": "/v1/chat", ...fields }),
  );
  for (const exchange of exchanges) await exchange.received("one");
  expect(requests).toHaveLength(1);
});
