import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { burst } from "./burst.ts";
import { Chat } from "./chat.ts";
import { Clock } from "./clock.ts";
import { Completions } from "./completions.ts";
import { PAGE_PATHS, type PageSetup, pathOf, servePage } from "./page.ts";
import { Readings } from "./readings.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

/** A running server; `close` ends its streams and waits until its port is free. */
export interface Running {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The address of the sample backends, and the app that signs on their page. */
interface BackendsSetup extends Pick<PageSetup, "app"> {
  readonly host?: string;
  readonly port?: number;
}

/** Starts the sample backends: plain Node without any code of sluice. */
export async function startBackends({
  host = "127.0.0.1",
  port = 0,
  app,
}: BackendsSetup = {}): Promise<Running> {
  const clock = new Clock();
  const chat = new Chat();
  const completions = new Completions();
  const readings = new Readings();
  const parts = [clock, chat, readings];
  const handlers = new Map<string, Handler>([
    ["GET /stream", (req, res) => clock.stream(req, res)],
    ["GET /stream/unmarked", (req, res) => clock.unmarked(req, res)],
    // The same stream, behind a route that requires a signature.
    ["GET /article/stream", (req, res) => clock.stream(req, res)],
    ["POST /stream/cut", (req, res) => clock.cut(req, res)],
    ["GET /chat/events", (req, res) => chat.listen(req, res)],
    ["POST /chat/messages", (req, res) => chat.speak(req, res)],
    ["GET /readings", (req, res) => readings.listen(req, res)],
    ["POST /readings", (req, res) => readings.read(req, res)],
    ["GET /burst", burst],
    ["POST /v1/chat/completions", (req, res) => completions.complete(req, res)],
    ...PAGE_PATHS.map(
      (path) => [`GET ${path}`, (req, res) => servePage(req, res, { app })] as [string, Handler],
    ),
  ]);
  const server = createServer((req, res) => {
    const method = req.method === "HEAD" ? "GET" : req.method;
    const handler = handlers.get(`${method} ${pathOf(req)}`);
    if (handler === undefined) res.writeHead(404).end();
    // The only error here is a client that aborts inside its request body.
    else Promise.resolve(handler(req, res)).catch(() => res.destroy());
  });
  try {
    const running = await listen(server, host, port);
    return {
      ...running,
      async close() {
        for (const part of parts) part.close();
        await running.close();
      },
    };
  } catch (error) {
    for (const part of parts) part.close();
    throw error;
  }
}

/** Starts to listen; port 0 stands for a free port. */
export async function listen(server: Server, host: string, port: number): Promise<Running> {
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
