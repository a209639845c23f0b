import type { Backend } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { openStream } from "./sse-client.ts";

/**
 * Waits for two heartbeats on a silent stream of its own, on a route of the gateway at `port`: every other silent
 * stream of that route then had time for at least one heartbeat.
 */
export async function passHeartbeats(port: number, backend: Backend, path = "/stream"): Promise<void> {
  const witness = openStream(port, { path });
  const request = await backend.nextRequest();
  request.openStream();
  // The first comment line opens the stream.
  await eventually(() => witness.text.length >= ":\n".repeat(3).length, "two heartbeats");
  witness.leave();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
}
