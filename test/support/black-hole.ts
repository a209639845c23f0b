import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as immediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterTest } from "./after-test.ts";

// The listener's thread sleeps forever and never accepts: the kernel completes handshakes until the backlog is full,
// and then drops every SYN, as a firewall would.
const LISTENER = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

/** A loopback connection is established at once or never; a process that stalled notices it later. */
async function connects(socket: Socket): Promise<boolean> {
  socket.on("error", () => undefined);
  await Promise.race([once(socket, "connect").catch(() => undefined), delay(200)]);
  await immediate();
  return !socket.connecting && !socket.destroyed;
}

/** Returns a port that neither accepts nor refuses connections. */
export async function startBlackHole(): Promise<{ url: string; close(): Promise<void> }> {
  const worker = new Worker(LISTENER, { eval: true });
  const port = await new Promise<number>((resolve) => worker.once("message", resolve));
  const fillers: Socket[] = [];
  do fillers.push(connect(port, "127.0.0.1"));
  while ((await connects(fillers.at(-1) as Socket)) && fillers.length < 16);
  const close = async () => {
    for (const socket of fillers) socket.destroy();
    await worker.terminate();
  };
  afterTest(close);
  return { url: `http://127.0.0.1:${port}`, close };
}
