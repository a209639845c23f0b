import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { CODINGS, compressedParts } from "../support/compressed.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startSharing, subscribe } from "../support/shared.ts";
import { openStream } from "../support/sse-client.ts";

const MIB = 1024 * 1024;

/** A body of a few KiB for each 64 MiB of text. */
async function bomb(coding: string, fill: string | number): Promise<Buffer> {
  const [part = Buffer.alloc(0)] = await compressedParts(coding, [Buffer.alloc(64 * MIB, fill)]);
  return part;
}

const EVENTS = `data: ${"x".repeat(100)}\n\n`;

describe.each(CODINGS)("%s", (coding) => {
  test("a client that reads nothing stops the decoding", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { stream: { clientBuffer: "64k" } });
    const client = openStream(gateway.port, { headers: { Accept: "*/*" }, paused: true });
    const request = await backend.nextRequest();
    request.openStream({ "Content-Encoding": coding });
    request.emit(await bomb(coding, EVENTS));
    await delay(1000);
    client.leave();
    const line = await gateway.requestLine();
    expect(line).toMatchObject({ endReason: "client_gone" });
    // The kernel's buffers hold up to 10 MiB.
    expect(line["bytesSent"]).toBeLessThan(16 * MIB);
    await eventually(() => request.connection.closedBy, "the cancellation at the backend");
  });

  test("other streams go on while a body decodes to many times its size", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const other = openStream(gateway.port, { path: "/other" });
    const quiet = await backend.nextRequest();
    quiet.openStream();
    const client = openStream(gateway.port, { path: "/bomb" });
    const request = await backend.nextRequest();
    request.openStream({ "Content-Encoding": coding });
    request.emit(await bomb(coding, EVENTS));
    for (let number = 0; number < 50; number++) {
      quiet.emit(`data: ${number}\n\n`);
      await other.received(`data: ${number}\n\n`);
    }
    // Not all was decoded meanwhile, or this test shows nothing.
    expect(client.bodyLength).toBeLessThan(64 * MIB);
    client.leave();
  });

  test("a shared event that never ends is refused at shared.maxEvent", async () => {
    const backend = await startBackend();
    const { port } = await startSharing(backend.url);
    const client = subscribe(port);
    const request = await backend.nextRequest();
    request.openStream({ "Content-Encoding": coding });
    request.emit(await bomb(coding, "x"));
    expect(await client.ended()).toBe("truncated");
    await eventually(() => request.connection.closedBy, "the cancellation at the backend");
  });
});
