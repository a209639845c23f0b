import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startSecureGatewayTo } from "../support/http2-client.ts";
import { ACK, FRAME, frame, get, openFrames, uint32 } from "../support/http2-frames.ts";

/** After a GOAWAY of either side, Node sends no PING, yet calls back as if the client had answered one. */

const PING_MS = 500;
const GOAWAY = frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)]));

async function startStream() {
  const backend = await startBackend((request) => request.openStream());
  const http2 = { pingInterval: `${PING_MS}ms` };
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2 });
  const client = await openFrames(gateway.port);
  client.request(1, [...get(), ["accept", "text/event-stream"]]);
  await client.settled(1);
  expect(client.status(1)).toBe(200);
  return { backend, client, request: await backend.nextRequest() };
}

test("a client that answers nothing behind its GOAWAY has left, and its backend request is cancelled", async () => {
  const { client, request } = await startStream();
  client.send(GOAWAY);
  await client.closed();
  await eventually(() => !request.connection.isOpen, "the end of the backend request");
});

test("a client that takes its last stream to the end behind its GOAWAY keeps it", async () => {
  const { client, request } = await startStream();
  const asked = () => client.of(FRAME.settings).filter(({ flags }) => (flags & ACK) === 0).length;
  let answered = asked();
  const answering = setInterval(() => {
    for (; answered < asked(); answered++) client.send(frame(FRAME.settings, ACK, 0));
  }, 10);
  client.send(GOAWAY);
  await eventually(() => answered >= 5, "some questions that were answered");
  await delay(2 * PING_MS);
  clearInterval(answering);
  request.emit("data: late\n\n");
  const text = () => Buffer.concat(client.of(FRAME.data, 1).map(({ payload }) => payload)).toString();
  await eventually(() => text().includes("data: late\n\n"), "the event");
  expect(client.isClosed).toBe(false);
});
