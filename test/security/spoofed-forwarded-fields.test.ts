import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy's `xfwd` appends to the client's own list and trusts its X-Forwarded-Host: a client could choose the
// first address in the list, which most applications read.

const SPOOFED = {
  "X-Forwarded-For": "6.6.6.6",
  "X-Forwarded-Host": "evil.test",
  "X-Forwarded-Proto": "https",
};

const requests = {
  "ordinary request": `GET / HTTP/1.1\r\nHost: sluice.test\r\n${Object.entries(SPOOFED)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`,
  upgrade: handshake("/", SPOOFED),
};

test.each(Object.entries(requests))("control: http-proxy trusts them, %s", async (_name, bytes) => {
  const backend = await startBackend();
  const { port } = await startBareHttpProxy(backend.url, { xfwd: true });
  (await openRaw(port)).send(bytes);
  const request = await backend.nextRequest();
  expect(request.field("x-forwarded-for")).toMatch(/^6\.6\.6\.6,/);
  expect(request.field("x-forwarded-host")).toBe("evil.test");
});

test.each(Object.entries(requests))("the backend gets only sluice's own values, %s", async (_name, bytes) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  (await openRaw(gateway.port)).send(bytes);
  const request = await backend.nextRequest();
  expect(request.fieldLines("x-forwarded-for")).toEqual(["127.0.0.1"]);
  expect(request.fieldLines("x-forwarded-host")).toEqual(["sluice.test"]);
  expect(request.fieldLines("x-forwarded-proto")).toEqual(["http"]);
});
