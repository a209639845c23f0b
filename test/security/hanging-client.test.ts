import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { settled, startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

// http-proxy pipes the response without further listeners: when the backend aborted, the client waited forever for
// the rest, and an EventSource never reconnected.

const breakdowns: [string, (request: BackendRequest) => void][] = [
  ["resets", (request) => request.reset()],
  ["closes in the middle of a body", (request) => request.connection.socket.destroy()],
];

test.each(breakdowns)(
  "control: the client of http-proxy keeps waiting when the backend %s",
  async (_name, act) => {
    const backend = await startBackend();
    const { port } = await startBareHttpProxy(backend.url);
    const client = openStream(port);
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("data: 1\n\n");
    await client.received("data: 1");
    act(request);
    await settled();
    expect(client.end).toBeUndefined();
  },
);

test.each(breakdowns)("the client's response is aborted when the backend %s", async (_name, act) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  for (const type of ["text/event-stream", "text/plain"]) {
    const client = openStream(gateway.port);
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": type });
    request.emit("data: 1\n\n");
    await client.received("data: 1");
    act(request);
    expect(await client.ended()).not.toBe("clean");
  }
  expect((await gateway.requestLine(1))["endReason"]).toBe("backend_failed");
});
