import { createServer, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import httpProxy from "http-proxy";
import { afterTest } from "./after-test.ts";

/**
 * Starts http-proxy as its manual shows it, without our protections: the control of the tests in test/security.
 *
 * `prepare` adds parts of an application, such as listeners.
 */
export async function startBareHttpProxy(
  target: string,
  options: httpProxy.ServerOptions = {},
  prepare?: (proxy: httpProxy) => void,
): Promise<{ readonly port: number }> {
  const proxy = httpProxy.createProxyServer({ target, ...options });
  proxy.on("error", (_error, _request, response) => {
    if (response instanceof ServerResponse && !response.headersSent) response.writeHead(502).end();
  });
  prepare?.(proxy);
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => proxy.web(request, response));
  server.on("connection", (socket) => sockets.add(socket));
  server.on("upgrade", (request, socket, head) => {
    // Only so that a control survives the crash that "crash-on-early-reset" shows.
    socket.on("error", () => {});
    proxy.ws(request, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port };
}

/** Long enough for any event on the loopback: a control asserts that an event does not happen. */
export const settled = (): Promise<void> => delay(250);
