import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy sends `url.parse(request.url).path` and merges slashes: the backend then serves another path than the
// one that was checked and routed.

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: sluice.test\r\n\r\n`;

async function seenBy(start: (url: string) => Promise<{ port: number }>, bytes: string): Promise<string> {
  const backend = await startBackend();
  const { port } = await start(backend.url);
  (await openRaw(port)).send(bytes);
  return (await backend.nextRequest()).target;
}

const bare = (url: string) => startBareHttpProxy(url);
const sluice = (url: string) => startGatewayTo(url, { websocket: true });

test.each([
  ["/a\\..\\b", "/a/../b"],
  ["/a//b", "/a/b"],
  ["//host/x", "/host/x"],
  ["/a#b", "/a"],
])("control: http-proxy changes the path %s", async (target, seen) => {
  expect(await seenBy(bare, get(target))).toBe(seen);
  expect(await seenBy(bare, handshake(target))).toBe(seen);
});

test.each([
  "/a//b",
  "//host/x",
  "/a'b",
  "/a%2fb?u=http://x//y",
  "/?u=http://x//y?z&&=#".slice(0, -1),
  "/a;b=c,d/(e)!$&*+=:@",
  "/?a=%2e%2e/../b\\c",
  '/p?{}|^`"<>',
])("the backend gets %s unchanged", async (target) => {
  expect(await seenBy(sluice, get(target))).toBe(target);
  expect(await seenBy(sluice, handshake(target))).toBe(target);
});

test.each(["/a\\..\\b", "/a/../b", "/a/%2e%2E/b", "/a#b", "/a%zz"])("%s is refused", async (target) => {
  const backend = await startBackend();
  const { port } = await sluice(backend.url);
  for (const bytes of [get(target), handshake(target)]) {
    const client = await openRaw(port);
    client.send(bytes);
    await client.ended();
    expect(client.status).toBe(400);
  }
  expect(backend.requests).toEqual([]);
});
