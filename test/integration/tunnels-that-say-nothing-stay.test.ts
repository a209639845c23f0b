import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw, type RawClient } from "../support/raw-client.ts";

const TUNNELS = 500;
/** Opened at a time: each has to send its request within limits.requestTimeout, on a busy machine too. */
const AT_ONCE = 25;

/** Frames of RFC 6455: a client's ping with a mask, and the server's pong. */
const PING = Buffer.from([0x89, 0x82, 1, 2, 3, 4, 0x69, 0x6b]);
const PONG = Buffer.from([0x8a, 2, 0x68, 0x69]);

test("hundreds of silent tunnels outlive every request timer and still work", async () => {
  const backend = await startBackend((request) => {
    request.send(switching());
    request.connection.socket.on("data", (bytes) => {
      if (bytes.equals(PING)) request.send(PONG);
    });
  });
  const gateway = await startGatewayTo(
    backend.url,
    { websocket: true, stream: { idleTimeout: "200ms", sendTimeout: "200ms" } },
    // Longer than a busy machine needs to get a request from each connection.
    { limits: { requestTimeout: "1500ms" } },
  );
  const open = async () => {
    const client = await openRaw(gateway.port);
    client.send(handshake());
    await client.received("101 Switching");
    return client;
  };
  const clients: RawClient[] = [];
  while (clients.length < TUNNELS) {
    clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, open))));
  }
  // Node checks its connections every second for slow requests.
  await delay(3_500);
  for (const client of clients) client.send(PING);
  const hasPong = () => clients.every(({ bytes }) => bytes.subarray(-PONG.length).equals(PONG));
  await eventually(hasPong, "a pong for each ping");
  expect(clients.filter(({ ending }) => ending !== "open")).toEqual([]);
  for (const client of clients) client.leave();
  await eventually(() => backend.openConnections === 0, "the end of every tunnel");
});
