import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { restartReading } from "../../../../src/process/internals/restart-reading.ts";
import { afterTest } from "../../../support/after-test.ts";
import { openRaw } from "../../../support/raw-client.ts";

/**
 * A socket that Node's parser gave away for an upgrade; the upgrade came in one packet with the unread body of an
 * earlier request.
 */
async function detachedSocket() {
  const server = http.createServer({ highWaterMark: 16 * 1024 }, () => {});
  afterTest(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const upgraded = once(server, "upgrade");
  const client = await openRaw((server.address() as AddressInfo).port);
  const body = `4e20\r\n${"x".repeat(20_000)}\r\n0\r\n\r\n`;
  client.send(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}` +
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
  );
  const [, socket] = (await upgraded) as [unknown, Socket];
  afterTest(() => void socket.destroy());
  socket.on("error", () => {});
  return { client, socket };
}

test("control: a socket whose parser had stopped reading reports neither bytes nor the end of its client", async () => {
  const { client, socket } = await detachedSocket();
  const seen: string[] = [];
  socket.on("data", () => seen.push("data")).on("end", () => seen.push("end"));
  client.send("more");
  client.halfClose();
  await delay(300);
  expect(seen).toEqual([]);
});

test("after a restart, the socket reports the client's bytes and its end", async () => {
  const { client, socket } = await detachedSocket();
  const data = once(socket, "data");
  const end = once(socket, "end");
  restartReading(socket);
  client.send("more");
  expect(String((await data)[0])).toBe("more");
  client.halfClose();
  await end;
});
