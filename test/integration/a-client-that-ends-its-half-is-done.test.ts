import { describe, expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually, SOON_MS } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";

// A FIN after a request means a client that has disconnected or a client that has nothing more to send. Like nginx,
// sluice assumes the first: there is no other early sign, and a client that still reads keeps its half open.

describe.each([
  ["a plain request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a request that node:http reads", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
])("%s", (_, get) => {
  test("is cancelled soon when its client ends its half during a stream", async () => {
    const backend = await startBackend((request) => request.openStream());
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    await client.received(":\n");
    client.halfClose();
    await client.ended(SOON_MS);
    const [connection] = backend.connections;
    await eventually(() => connection?.isOpen === false, "the end of the backend's request", {
      timeoutMs: SOON_MS,
    });
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });

  test("is cancelled when its client ends its half before the response", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(get);
    const request = await backend.nextRequest();
    client.halfClose();
    await client.ended(SOON_MS);
    await eventually(() => !request.connection.isOpen, "the end of the backend's request", {
      timeoutMs: SOON_MS,
    });
    expect(client.text).toBe("");
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  });
});
