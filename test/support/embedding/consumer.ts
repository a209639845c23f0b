// The same in TypeScript: the test compiles it and so checks the types.
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import {
  type AttachableServer,
  type Config,
  createGateway,
  type Gateway,
  type InlineConfig,
  type Middleware,
  parseConfig,
  readConfig,
} from "sluice";

const inline: InlineConfig = {
  server: { listen: [8000, "unix:/run/sluice.sock"], drain: { timeout: "5s" } },
  routes: { chat: { match: { path: "/chat" }, upstream: "http://127.0.0.1:8080", cors: true } },
};
const config: Config = parseConfig(inline);
const fromFiles: Config = readConfig("./config");
const gateway: Gateway = createGateway(config);

export async function run(): Promise<readonly string[]> {
  const addresses = await gateway.listen();
  await gateway.reload(fromFiles);
  await gateway.close();
  return addresses;
}

/** Its servers and handlers: `use` is as the `app.use` of Express types its handlers. */
export async function join(use: (handler: ExpressHandler) => void): Promise<void> {
  const middleware: Middleware = await gateway.middleware();
  use(middleware);
  const server = createServer((request, response) => {
    const isTaken: boolean = middleware(request, response);
    if (!isTaken) response.end();
  });
  const servers: AttachableServer[] = [server, createSecureServer()];
  for (const one of servers) {
    const detach: () => void = await gateway.attach(one);
    detach();
  }
}

type ExpressHandler = (
  request: import("node:http").IncomingMessage,
  response: import("node:http").ServerResponse,
  next: (error?: unknown) => void,
) => void | Promise<void>;

// @ts-expect-error: a path is text
parseConfig({ routes: { chat: { match: { path: 5 }, upstream: "http://127.0.0.1:8080" } } });
