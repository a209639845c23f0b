import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { COMPRESSORS, FlushingCompressor } from "../support/compressed.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import {
  ask,
  attach,
  cancel,
  emitToken,
  lastIdOf,
  resumingRoute,
  send,
  startResuming,
  tokensOf,
} from "../support/resume.ts";
import { openStream } from "../support/sse-client.ts";

const streaming = (request: BackendRequest) => {
  request.openStream();
  emitToken(request, "one");
};

/** Sends a named POST as these bytes behind the fields, and waits for the first token. */
async function askRaw(port: number, rest: string, version = "1.1") {
  const client = await openRaw(port);
  const fields = `Host: 127.0.0.1:${port}\r\nx-user: ann\r\nIDEMPOTENCY-KEY: k1\r\n`;
  client.send(`POST /v1/chat HTTP/${version}\r\n${fields}${rest}`);
  return client;
}

test("the same body is the same request, however it is framed", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  await ask(port, { body: "hello" }).received("one");
  for (const rest of [
    "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "Content-Length: 5\r\nContent-Encoding: identity\r\n\r\nhello",
  ]) {
    const client = await askRaw(port, rest);
    await client.received("data: one");
    expect(client.text).toContain("Sluice-Resumed-From: earliest");
  }
  const waiting = await askRaw(port, "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  await waiting.received("100 Continue");
  waiting.send("hello");
  await waiting.received("data: one");
  const old = await askRaw(port, "Content-Length: 5\r\n\r\nhello", "1.0");
  await old.received("data: one");
  const other = await askRaw(port, "Transfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n0\r\n\r\n");
  await other.received("HTTP/1.1 422");
  expect(requests).toHaveLength(1);
});

test("pipelined POSTs with one key are one backend request", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  const client = await askRaw(port, "Content-Length: 2\r\n\r\n{}");
  await askRaw(port, "Content-Length: 2\r\n\r\n{}");
  client.send(
    `POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nx-user: ann\r\nidempotency-key: k1\r\nContent-Length: 2\r\n\r\n{}`,
  );
  await client.received("data: one");
  requests[0]?.endStream();
  await eventually(() => client.text.split("HTTP/1.1 200").length === 3, "the second response");
  expect(requests).toHaveLength(1);
});

test("HEAD tells of an answer, and other methods reach the backend", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  const first = ask(port);
  await first.received("one");
  const path = first.field("location") ?? "";
  const known = openStream(port, { method: "HEAD", path, headers: { "X-User": "ann" } });
  expect([(await known.opened()).status, await known.ended(), known.text]).toEqual([200, "clean", ""]);
  const unknown = openStream(port, { method: "HEAD", path: `/v1/chat?answer=${"x".repeat(22)}` });
  expect((await unknown.opened()).status).toBe(204);
  expect(requests).toHaveLength(1);
  for (const method of ["OPTIONS", "PUT", "PATCH"])
    await openStream(port, { method, path, headers: { "X-User": "ann" } }).received("one");
  expect(requests.map(({ target }) => target)).toEqual(["/v1/chat", path, path, path]);
});

test("an application may have a parameter named answer of its own", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  const path = "/v1/quiz?answer=42&x=1";
  const first = ask(port, { path });
  await first.received("one");
  expect(first.field("location")).toMatch(/^\/v1\/quiz\?answer=42&x=1&answer=[\w-]{22}$/);
  await attach(port, { path: first.field("location") ?? "", key: "" }).received("one");
  await attach(port, { path }).received("one");
  expect((await send(port, "GET", { path: path.replace("42", "43") })).status).toBe(204);
  expect(requests).toHaveLength(1);
  await attach(port, { path, key: "" }).received("one");
  expect(requests[1]?.target).toBe(path);
});

test("an answer that the backend compresses all the same is kept decoded", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port, { headers: { "Accept-Encoding": "gzip" } });
  await eventually(() => requests.length === 1, "the backend request");
  const gzip = COMPRESSORS["gzip"];
  if (gzip === undefined) throw new Error("Node has gzip");
  const compressor = new FlushingCompressor(gzip());
  requests[0]?.openStream({ "Content-Encoding": "gzip" });
  requests[0]?.emit(await compressor.write("data: one\n\n"));
  await first.received("one");
  requests[0]?.emit(await compressor.write("data: two\n\n"));
  await first.received("two");
  requests[0]?.emit(await compressor.end());
  requests[0]?.endStream();
  expect(await first.ended()).toBe("clean");
  const second = ask(port, { lastEventId: lastIdOf({ text: first.text.split("data: one")[0] ?? "" }) });
  expect(await second.ended()).toBe("clean");
  expect([tokensOf(first), tokensOf(second)]).toEqual([["one", "two"], ["two"]]);
  expect(first.field("content-encoding")).toBeUndefined();
});

test("an answer with an unknown coding is kept byte for byte", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  const bytes = "\x01\n\ndata: \x02\n\n\x03";
  requests[0]?.openStream({ "Content-Encoding": "own" });
  requests[0]?.emit(bytes);
  requests[0]?.endStream();
  for (const client of [first, ask(port)]) {
    expect([await client.ended(), client.text]).toEqual(["clean", bytes]);
    expect(client.field("content-encoding")).toBe("own");
  }
});

test("interim responses reach the first client, unless it may be a proxy that cannot read them", async () => {
  const { port, requests } = await startResuming();
  const asked = async (fields: string) => {
    const client = await askRaw(port, `${fields}Content-Length: 2\r\n\r\n{}`);
    const before = requests.length;
    await eventually(() => requests.length > before, "the backend request");
    requests.at(-1)?.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    await delay(50);
    requests.at(-1)?.respond(429, {}, "later");
    await client.received("later");
    return client.text.includes("103 Early Hints");
  };
  expect(await asked("")).toBe(true);
  expect(await asked("X-Forwarded-For: 192.0.2.1\r\n")).toBe(false);
});

test("the first client of a sticky upstream gets its cookie, and no other client does", async () => {
  const backends = [await startBackend(streaming), await startBackend(streaming)];
  const upstream = {
    backends: backends.map(({ url }) => ({ url })),
    sticky: { cookie: { name: "home" } },
    balance: "roundRobin",
  };
  const gateway = await startGateway({ routes: { main: { ...resumingRoute("", {}), upstream } } });
  const first = ask(gateway.port);
  await first.received("one");
  const [cookie = ""] = (first.field("set-cookie") ?? "").split(";");
  expect(cookie).toMatch(/^home=/);
  const second = attach(gateway.port);
  await second.received("one");
  expect(second.field("set-cookie")).toBeUndefined();
  for (const key of ["k2", "k3"])
    await ask(gateway.port, { key, headers: { Cookie: cookie } }).received("one");
  expect(backends.map(({ requests }) => requests.length).sort()).toEqual([0, 3]);
});

test("an id that the answer does not have is refused, and asks for no other generation", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  const first = ask(port);
  await first.received("one");
  const generation = lastIdOf(first).replace(/-\d+$/, "");
  const ids = ["0", "x", "é", `${generation}-0`, `${generation}-2`, "~AAAAAAAA-1", "y".repeat(5_000)];
  for (const lastEventId of ids) {
    for (const client of [ask(port, { lastEventId }), attach(port, { lastEventId })])
      expect([lastEventId, (await client.opened()).status]).toEqual([lastEventId, 410]);
  }
  expect(requests).toHaveLength(1);
});

test("a backend that ends inside an event loses no byte of it", async () => {
  const { port, requests } = await startResuming({ onRequest: streaming });
  const first = ask(port);
  await first.received("one");
  requests[0]?.emit("data: half");
  requests[0]?.endStream();
  expect([await first.ended(), first.text.endsWith("\n\ndata: half")]).toEqual(["clean", true]);
  const second = attach(port, { lastEventId: lastIdOf(first) });
  expect([await second.ended(), second.text]).toEqual(["clean", "data: half"]);
});

test("a DELETE at any moment ends at most one generation, and the key is usable at once", async () => {
  const { port, requests, backend } = await startResuming();
  // In one packet with the POST, before the dial.
  const fields = `Host: 127.0.0.1:${port}\r\nX-User: ann\r\nIdempotency-Key: k1\r\nContent-Length:`;
  const asking = await openRaw(port);
  const cancelling = await openRaw(port);
  asking.send(`POST /v1/chat HTTP/1.1\r\n${fields} 2\r\n\r\n{}`);
  cancelling.send(`DELETE /v1/chat HTTP/1.1\r\n${fields} 0\r\n\r\n`);
  await cancelling.received("HTTP/1.1 204");
  await eventually(() => asking.text.includes("HTTP/1.1 410") || requests.length === 1, "either");
  asking.leave();
  expect(await cancel(port)).toBe(204);
  await eventually(() => backend.openConnections === 0, "no backend request");

  // While the first event is written, and after the end.
  const before = requests.length;
  const running = ask(port);
  await eventually(() => requests.length > before, "the backend request");
  streaming(requests.at(-1) as BackendRequest);
  const [one, two] = await Promise.all([cancel(port), cancel(port)]);
  expect([one, two]).toEqual([204, 204]);
  await requests.at(-1)?.connection.closed;
  await running.ended();
  expect(await cancel(port)).toBe(204);
  const anew = ask(port);
  await eventually(() => requests.length === before + 2, "another backend request");
  requests.at(-1)?.openStream();
  emitToken(requests.at(-1), "new");
  requests.at(-1)?.endStream();
  expect([await anew.ended(), tokensOf(anew)]).toEqual(["clean", ["new"]]);
  // A whole answer stays: there is nothing to cancel.
  expect(await cancel(port)).toBe(204);
  const whole = attach(port);
  expect([await whole.ended(), tokensOf(whole)]).toEqual(["clean", ["new"]]);
});

test.each([{}, { llm: {} }])(
  "a response that is not kept is cancelled when its client leaves: %o",
  async (route) => {
    const { port, requests } = await startResuming({ route });
    const client = ask(port);
    await eventually(() => requests.length === 1, "the backend request");
    requests[0]?.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    await client.received("{");
    client.leave();
    await requests[0]?.connection.closed;
  },
);

test("a reload that removes the route ends no answer, and one that changes by or key finds none", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    streaming(request);
  });
  const other = { match: { path: "/other" }, upstream: backend.url };
  const setup = (resume?: object) => ({
    routes: { other, ...(resume && { main: resumingRoute(backend.url, { resume: { ...resume } }) }) },
  });
  const gateway = await startGateway(setup({}));
  const first = ask(gateway.port);
  await first.received("one");
  await gateway.reload(setup({ key: "X-Name" }));
  const named = { key: "", headers: { "X-Name": "k1" } };
  await attach(gateway.port, named).received("one");
  await gateway.reload(setup({ key: "X-Name", by: ["header:X-Other"] }));
  const foreign = attach(gateway.port, { key: "", headers: { "X-Name": "k1", "X-Other": "ann" } });
  expect((await foreign.opened()).status).toBe(204);
  await gateway.reload(setup());
  expect((await send(gateway.port, "GET")).status).toBe(404);
  emitToken(requests[0], "two");
  requests[0]?.endStream();
  expect([await first.ended(), tokensOf(first)]).toEqual(["clean", ["one", "two"]]);
  expect(requests).toHaveLength(1);
});

test("an answer of exactly resume.bytes is kept from its start, and one byte more is not", async () => {
  const { port, requests } = await startResuming({
    resume: { bytes: "1k", ids: "never" },
    onRequest: (request) => request.openStream(),
  });
  for (const [key, last, status] of [
    ["exact", 248, 200],
    ["more", 249, 410],
  ] as const) {
    const first = ask(port, { key });
    await first.opened();
    for (const size of [248, 248, 248, last]) {
      const before = first.bodyLength;
      emitToken(requests.at(-1), "x".repeat(size));
      await eventually(() => first.bodyLength === before + size + 8, "the token");
    }
    requests.at(-1)?.endStream();
    expect(await first.ended()).toBe("clean");
    expect((await send(port, "GET", { key })).status).toBe(status);
  }
});
