import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { setMaxHeaderSize } from "../../../../src/process/internals/max-header-size.ts";
import { afterTest } from "../../../support/after-test.ts";
import { rawRequest } from "../../../support/raw-client.ts";

test("a server takes its maxHeaderSize for each new connection", async () => {
  const server = http.createServer({ maxHeaderSize: 16_384 }, (_request, response) => response.end());
  afterTest(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const request = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: ${"x".repeat(4_000)}\r\n\r\n`;
  const statusOf = async () => (await rawRequest(port, request)).status;
  expect(await statusOf()).toBe(200);
  setMaxHeaderSize(server, 2_000);
  expect(await statusOf()).toBe(431);
  setMaxHeaderSize(server, 8_000);
  expect(await statusOf()).toBe(200);
});
