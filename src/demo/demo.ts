import { once } from "node:events";
import { createServer } from "node:http";
import { visibleText } from "../base/visible-text.ts";
import { type Config, parseAddress, serverSchema } from "../config/server-schema.ts";
import { createGateway, type Gateway } from "../gateway/gateway.ts";
import { listen, type Running, startBackends } from "./backends.ts";
import { type PageSetup, servePage } from "./page.ts";
import { findNginx, startPlainNginx } from "./plain-nginx.ts";
import { demoApp, demoRoutes } from "./routes.ts";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 8000;

/** A running demo. */
export interface Demo {
  /** The page to open; it has a server of its own, so that its requests to the gateway are cross-origin. */
  readonly pageUrl: string;
  readonly gatewayUrl: string;
  /** The dashboard, which only this machine can reach. */
  readonly adminUrl: string;
  close(): Promise<void>;
}

/** The programs that a demo uses. */
export interface DemoSetup {
  /** The path of an nginx, to show a stream through nginx without sluice; empty for none. */
  readonly nginx?: string | undefined;
}

/** A `--listen` that the demo cannot use; the message says why. */
export class DemoAddressError extends Error {}

/**
 * Starts sample backends, the gateway and the page.
 *
 * If the machine has nginx, the demo also starts one, to show a stream through nginx without sluice.
 *
 * Without `address` the gateway listens on port 8000 of the loopback or, if that is in use, on a free port. Throws
 * DemoAddressError if the address cannot be used.
 */
export async function startDemo(address?: string, { nginx = findNginx() }: DemoSetup = {}): Promise<Demo> {
  const wanted = parseAddress(address ?? `${DEFAULT_HOST}:${DEFAULT_PORT}`);
  if (wanted === undefined)
    throw new DemoAddressError(`invalid address ${address}; expected one such as 127.0.0.1:9000`);
  if ("path" in wanted) throw new DemoAddressError("a browser cannot open a unix socket; give a port");
  const { host = DEFAULT_HOST, port } = wanted;
  const started: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    // Clients first: a server that is closed before its clients would have to abort their requests.
    for (const part of started.toReversed()) await part.close();
  };
  try {
    const app = demoApp();
    const backends = await startBackends({ app });
    started.push(backends);
    const holding = nginx && (await startPlainNginx(nginx, { host, backendPort: backends.port }));
    if (holding) started.push(holding);
    const nginxPort = holding ? holding.port : undefined;
    let gatewayPort: number | undefined;
    const page = await orFreePort(
      (pagePort) => startPage(host, pagePort, () => ({ gatewayPort, nginxPort, app })),
      port && port + 1,
    );
    started.push(page);
    const routes = demoRoutes(backends.url, allowedOrigins(host, page.port));
    const open = (openPort: number) => startGateway(host, openPort, { routes, apps: [app] });
    const gateway = await (address === undefined ? orFreePort(open, port) : open(port));
    started.push(gateway);
    gatewayPort = gateway.port;
    const { adminUrl } = gateway;
    return { pageUrl: urlOf(host, page.port), gatewayUrl: urlOf(host, gateway.port), adminUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Runs the demo until SIGINT or SIGTERM; resolves with the exit code. */
export async function runDemo({
  listen: address,
}: {
  readonly listen?: string | undefined;
}): Promise<number> {
  const demo = await startDemo(address).catch(addressProblem);
  if (typeof demo === "string") {
    process.stderr.write(`sluice demo: ${visibleText(demo)}\n`);
    return 2;
  }
  const isElsewhere = address === undefined && !demo.gatewayUrl.endsWith(`:${DEFAULT_PORT}`);
  process.stdout.write(`${isElsewhere ? `\n  Port ${DEFAULT_PORT} is in use, so the gateway listens on a free port.\n` : ""}
  Open        ${demo.pageUrl}
  watch       ${demo.adminUrl}
  or try      curl -N ${demo.gatewayUrl}/stream
  and stop    with Ctrl-C

`);
  await stopSignal();
  await demo.close();
  return 0;
}

/** Resolves at the first SIGINT or SIGTERM; the next one ends the process, as is Node's default. */
async function stopSignal(): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const signals = ["SIGINT", "SIGTERM"].map((name) => once(process, name, { signal }));
  await Promise.race(signals);
  stop.abort();
  await Promise.allSettled(signals);
}

/** Returns the text for an error that the user can solve; rethrows any other error. */
function addressProblem(error: unknown): string {
  if (error instanceof DemoAddressError) return error.message;
  const isListenError = error instanceof Error && "syscall" in error && error.syscall === "listen";
  if (isListenError) return `${error.message}; choose another address with --listen`;
  throw error;
}

async function startPage(host: string, port: number, setup: () => PageSetup): Promise<Running> {
  return await listen(
    createServer((req, res) => servePage(req, res, setup())),
    host,
    port,
  );
}

async function startGateway(
  host: string,
  port: number,
  { routes, apps }: Pick<Config, "routes" | "apps">,
): Promise<{ port: number; adminUrl: string; close(): Promise<void> }> {
  const config: Config = {
    server: serverSchema.parse({
      listen: `${host.includes(":") ? `[${host}]` : host}:${port}`,
      // Without warnings: crashing the backend is part of the demo, and a warning would hide the address to open.
      log: { level: "error", format: "pretty" },
      // A free port: the demo must not fail because another gateway's admin listener has the default one.
      admin: 0,
    }),
    routes,
    apps,
  };
  const gateway: Gateway = createGateway(config);
  const [address = ""] = await gateway.listen();
  return {
    port: Number(address.slice(address.lastIndexOf(":") + 1)),
    adminUrl: `http://${gateway.adminAddress}`,
    close: () => gateway.close({ now: true }),
  };
}

/**
 * Returns the page's origins; any origin if other machines can reach the demo, because they may use any name for it.
 */
function allowedOrigins(host: string, pagePort: number): readonly string[] {
  const isLoopback = /^(?:127\.|::1$|localhost$)/.test(host);
  return isLoopback ? [urlOf(host, pagePort), `http://localhost:${pagePort}`] : ["*"];
}

/** Opens the given port; a free one (port 0) if it is in use or above 65535. */
async function orFreePort<T>(open: (port: number) => Promise<T>, port: number): Promise<T> {
  if (port > 65_535) return await open(0);
  try {
    return await open(port);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return await open(0);
    throw error;
  }
}

function urlOf(host: string, port: number): string {
  if (host === "0.0.0.0" || host === "::") return `http://localhost:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
