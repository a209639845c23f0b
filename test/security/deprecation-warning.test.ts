import { createRequire } from "node:module";
import util from "node:util";
import { beforeEach, expect, test, vi } from "vitest";
import { startBackend } from "../support/backend.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy calls util._extend, for which Node 22 and later print DEP0060. Node 20 prints nothing, so the tests look
// for the call itself.

const require = createRequire(import.meta.url);
const extend = vi.spyOn(util as unknown as { _extend: typeof Object.assign }, "_extend");

beforeEach(() => {
  // Modules that are already loaded keep the original function.
  for (const path of Object.keys(require.cache))
    if (path.includes("/http-proxy/")) delete require.cache[path];
  vi.resetModules();
  extend.mockClear();
});

async function upgradeThrough(port: number, nextRequest: () => Promise<{ send(bytes: string): void }>) {
  const client = await openRaw(port);
  client.send(handshake());
  (await nextRequest()).send(switching());
  await client.received("101");
}

test("control: http-proxy calls the deprecated util._extend", async () => {
  const backend = await startBackend();
  const bare = require("http-proxy").createProxyServer({ target: backend.url });
  const { createServer } = await import("node:http");
  const server = createServer().on("upgrade", (request, socket, head) => bare.ws(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await upgradeThrough((server.address() as { port: number }).port, () => backend.nextRequest());
  server.close();
  expect(extend).toHaveBeenCalled();
});

test("an upgrade through the gateway never calls it, and causes no warning", async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on("warning", listener);
  const before = (util as unknown as { _extend: unknown })._extend;
  const { startGatewayTo } = await import("../support/gateway.ts");
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  await upgradeThrough(gateway.port, () => backend.nextRequest());
  process.removeListener("warning", listener);
  expect(extend).not.toHaveBeenCalled();
  expect(warnings).toEqual([]);
  // All other code still has Node's own function.
  expect((util as unknown as { _extend: unknown })._extend).toBe(before);
});
