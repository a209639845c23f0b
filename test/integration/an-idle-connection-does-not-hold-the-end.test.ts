import { once } from "node:events";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { expect, it } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

// For Node a connection without a request is busy: `close()` waited its whole grace period of five seconds for the
// spare connections of browsers and fetch.
it("closes at once although a client holds a connection without a request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const spare = connect(gateway.port, "127.0.0.1");
  const spareClosed = once(spare, "close");
  await once(spare, "connect");
  // A response on a later connection proves that the spare one has been accepted.
  const client = openStream(gateway.port, { headers: EVENT_SOURCE });
  (await backend.nextRequest()).openStream();
  await client.opened();
  const startedAt = performance.now();
  await gateway.close();
  expect(performance.now() - startedAt).toBeLessThan(4000);
  await spareClosed;
  expect(await client.ended()).toBe("clean");
});

// The response came before the request's body, so Node never counted the connection as idle again.
it("closes a connection whose request ends after its response", async () => {
  const gateway = await startGateway({
    routes: { early: { match: { path: "/" }, mock: { body: "served" } } },
  });
  const client = await openRaw(gateway.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
  await client.received("served");
  const startedAt = performance.now();
  const closed = gateway.close();
  client.send("def");
  expect(await client.ended()).toBe("end");
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

// Such a connection may stay for `limits.bodyTimeout` or, behind its last response, for 30 s: it held the drain that long.
it("a drain waits only a little for the rest of an upload that is answered", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, { drain: { timeout: "25s" } });
  const upload = async (path: string, fields = "") => {
    const client = await openRaw(gateway.port);
    client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: 1000\r\n\r\nhalf`);
    const answer = async () => {
      backend.requests.find(({ target }) => target === path)?.respond(413, {}, "too large");
      await client.received("too large");
    };
    return { client, answer };
  };
  const kept = await upload("/kept");
  const lingering = await upload("/lingering", "Connection: close\r\n");
  const late = await upload("/late");
  for (let count = 0; count < 3; count++) await backend.nextRequest();
  await Promise.all([kept.answer(), lingering.answer()]);
  const startedAt = performance.now();
  const drained = gateway.drain();
  await late.answer();
  // The client may still send for a while: a reset would take the response from it.
  for (const { client } of [kept, lingering, late]) client.send("more");
  await drained;
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});
