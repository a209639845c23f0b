import { Worker } from "node:worker_threads";
import { afterTest } from "./after-test.ts";

/** Sends events without end on each connection, as fast as the client reads; runs in its own thread. */
const CODE = `
const { createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");
const event = Buffer.from("data: " + "x".repeat(64 * 1024 - 8) + "\\n\\n");
const events = Buffer.concat(Array(16).fill(event));
const chunk = Buffer.concat([Buffer.from(events.length.toString(16) + "\\r\\n"), events, Buffer.from("\\r\\n")]);
let sent = 0;
const server = createServer({ noDelay: true }, (socket) => {
  const fill = () => {
    while (!socket.destroyed) {
      sent += chunk.length;
      if (!socket.write(chunk)) return;
    }
  };
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\\r\\nContent-Type: " + workerData + "\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n");
    socket.on("drain", fill);
    fill();
  });
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage({ port: server.address().port }));
parentPort.on("message", () => parentPort.postMessage({ sent }));
`;

export interface FloodBackend {
  readonly port: number;
  /** The bytes written so far. */
  sent(): Promise<number>;
}

/** Starts the backend on a free port of 127.0.0.1; stops it when the test ends. */
export async function startFloodBackend(contentType: string): Promise<FloodBackend> {
  const worker = new Worker(CODE, { eval: true, workerData: contentType });
  afterTest(async () => void (await worker.terminate()));
  const answer = () =>
    new Promise<{ port: number; sent: number }>((resolve) => worker.once("message", resolve));
  const { port } = await answer();
  const sent = async () => {
    const next = answer();
    worker.postMessage("sent");
    return (await next).sent;
  };
  return { port, sent };
}
