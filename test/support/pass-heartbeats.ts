import type { Backend } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { openStream } from "./sse-client.ts";

/**
 * Waits for as long as two heartbeats take on a route of the gateway at `port`, by the heartbeats of a silent
 * stream of its own: every other stream of that route that was silent meanwhile has had one, if it could.
 */
export async function passHeartbeats(port: number, backend: Backend, path = "/stream"): Promise<void> {
  const witness = openStream(port, { path });
  const request = await backend.nextRequest();
  request.openStream();
  // The first comment line is the prelude.
  await eventually(() => witness.text.length >= ":\n".repeat(3).length, "two heartbeats");
  witness.leave();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
}
