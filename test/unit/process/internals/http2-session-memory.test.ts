import { once } from "node:events";
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { keepSessionInMemory } from "../../../../src/process/internals/http2-session-memory.ts";
import { afterTest } from "../../../support/after-test.ts";
import { eventually } from "../../../support/eventually.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Returns the native session of `session`. */
function nativeOf(session: ServerHttp2Session): object {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === "kHandle");
  return Reflect.get(session, symbol ?? "") as object;
}

/** Lets a client send a request and leave; returns its stream, and a weak reference to the native session. */
async function goneClient(method: string, endStream: boolean, keptMs?: number) {
  const server = http2.createServer();
  afterTest(() => void server.close());
  let native: WeakRef<object> | undefined;
  server.on("session", (session) => {
    native = new WeakRef(nativeOf(session));
    session.on("stream", keepSessionInMemory(session, keptMs));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => {});
  const opened = once(server, "stream") as Promise<[ServerHttp2Stream]>;
  client.request({ ":method": method }, { endStream }).on("error", () => {});
  const [stream] = await opened;
  stream.on("error", () => {});
  const closed = once(stream, "close");
  client.destroy();
  await closed;
  return { held: { stream: stream as ServerHttp2Stream | undefined }, native };
}

test("the native session lives until the stream of a request that may have trailers is collected", async () => {
  const { held, native } = await goneClient("POST", false);
  for (let round = 0; round < 10; round++) {
    await sleep(20);
    collect();
  }
  expect(native?.deref()).toBeDefined();
  expect(held.stream?.destroyed).toBe(true);
  held.stream = undefined;
  await eventually(() => {
    collect();
    return native?.deref() === undefined;
  }, "the native session to be collected");
});

test("a stream of a request without trailers keeps no native session", async () => {
  const { held, native } = await goneClient("GET", true);
  await eventually(() => {
    collect();
    return native?.deref() === undefined;
  }, "the native session to be collected");
  expect(held.stream?.destroyed).toBe(true);
});

test("a native session is kept no longer than its time, even if the stream is never collected", async () => {
  const { held, native } = await goneClient("POST", false, 100);
  await eventually(() => {
    collect();
    return native?.deref() === undefined;
  }, "the native session to be collected");
  expect(held.stream?.destroyed).toBe(true);
});
