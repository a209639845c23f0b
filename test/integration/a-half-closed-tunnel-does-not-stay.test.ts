import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { watchTunnel } from "../../src/websocket/tunnel.ts";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";

/** The two ends of one connection; like those of an HTTP server, they may be half-closed. */
async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const far = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  const [near] = (await once(server, "connection")) as [Socket];
  far.on("error", () => {});
  far.resume();
  afterTest(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

async function tunnel(maxSilenceMs: number, isOrdinary = false) {
  const client = await socketPair();
  const backend = await socketPair();
  backend.near.pipe(client.near).pipe(backend.near);
  const over = watchTunnel(client.near, backend.near, { fault() {} }, { maxSilenceMs, isOrdinary });
  return { client, backend, over };
}

test("a client that does not close after its backend is disconnected", async () => {
  const { client, backend, over } = await tunnel(100);
  const begun = performance.now();
  backend.far.end("bye");
  expect(await over).toEqual({ endReason: "completed", bytesSent: 3, bytesReceived: 0 });
  expect(performance.now() - begun).toBeGreaterThan(80);
  await eventually(() => client.far.readableEnded, "the client's end");
});

test("a backend that does not close after its client is disconnected", async () => {
  const { client, over } = await tunnel(100);
  client.far.end();
  expect((await over).endReason).toBe("client_gone");
});

test("a half-closed tunnel that still forwards bytes stays open", async () => {
  // Longer than a busy machine stalls, so that a byte comes in time.
  const { client, backend, over } = await tunnel(1_300);
  let received = 0;
  client.far.on("data", (bytes) => {
    received += bytes.length;
  });
  client.far.end();
  const drip = setInterval(() => backend.far.write("x"), 50);
  await eventually(() => received >= 32, "more bytes than fit into one silence");
  clearInterval(drip);
  backend.far.end();
  expect((await over).bytesSent).toBeGreaterThanOrEqual(32);
});

test("when both ends have closed, no timer is left", async () => {
  const { client, backend, over } = await tunnel(60_000);
  backend.far.end();
  client.far.end();
  expect((await over).endReason).toMatch(/completed|client_gone/);
});
