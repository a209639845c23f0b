import { Writable } from "node:stream";
import { pino } from "pino";
import { appsSchema } from "../../src/config/apps-schema.ts";
import { withVary } from "../../src/config/conditional-routes.ts";
import { routeSchema } from "../../src/config/route-schema.ts";
import type { Config } from "../../src/config/server-schema.ts";
import { serverSchema } from "../../src/config/server-schema.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

/** One line of the gateway's log, parsed. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export interface GatewayFixture {
  /** `http://127.0.0.1:PORT` of the first listener. */
  readonly url: string;
  readonly port: number;
  /** `127.0.0.1:PORT`, for the Host field. */
  readonly host: string;
  readonly addresses: readonly string[];
  /** `http://127.0.0.1:PORT` of the admin listener; tests that need it set `admin: 0`. */
  readonly adminUrl: string;
  readonly log: readonly LogLine[];
  /** The `request` lines so far, one per request that ended. */
  requestLines(): LogLine[];
  /** Waits for the log line of the `index`th request that ended. */
  requestLine(index?: number): Promise<LogLine>;
  /** Reloads with another setup; the port stays. */
  reload(setup: GatewaySetup): Promise<void>;
  /** Drains as on SIGTERM, with the setup's `drain`. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export interface GatewaySetup {
  /** The routes by name, in the form of route files. */
  readonly routes: Readonly<Record<string, unknown>>;
  /** The contents of `sluice.yaml`. */
  readonly server?: Readonly<Record<string, unknown>>;
  /** The contents of `apps.yaml`. */
  readonly apps?: Readonly<Record<string, unknown>>;
}

/** Returns the validated configuration of an inline setup. */
export function inlineConfig({ routes, server = {}, apps = {} }: GatewaySetup): Config {
  return {
    server: serverSchema.parse({ listen: "127.0.0.1:0", admin: false, ...server }),
    routes: withVary(Object.entries(routes).map(([name, route]) => ({ ...routeSchema.parse(route), name }))),
    apps: Object.entries(appsSchema.parse(apps)).map(([name, app]) => ({ ...app, name })),
  };
}

const captureLog = () => {
  const lines: LogLine[] = [];
  const write = (text: string) => {
    for (const line of text.split("\n")) if (line !== "") lines.push(JSON.parse(line) as LogLine);
  };
  const stream = new Writable({
    write(chunk, _encoding, done) {
      write(String(chunk));
      done();
    },
  });
  return { lines, log: pino({ level: "debug", base: null }, stream) };
};

/** Starts the gateway in this process on a free port; closes it when the test ends. */
export async function startGateway(setup: GatewaySetup): Promise<GatewayFixture> {
  const { lines, log } = captureLog();
  const gateway = createGateway(inlineConfig(setup), { log });
  const addresses = await gateway.listen();
  const port = Number(/:(\d+)$/.exec(addresses[0] ?? "")?.[1]);
  const requestLines = () => lines.filter(({ msg }) => msg === "request");
  const fixture: GatewayFixture = {
    url: `http://127.0.0.1:${port}`,
    port,
    host: `127.0.0.1:${port}`,
    addresses,
    adminUrl: `http://${gateway.adminAddress}`,
    log: lines,
    requestLines,
    requestLine: (index = 0) =>
      eventually(() => requestLines()[index], `log line ${index + 1} of a request`) as Promise<LogLine>,
    reload: (next) => gateway.reload(inlineConfig(next)),
    drain: () => gateway.close(),
    close: () => gateway.close({ now: true }),
  };
  afterTest(fixture.close);
  return fixture;
}

/**
 * Starts a gateway with one route for all paths; `route` completes it. Its streams begin with the prelude, unless the
 * test chooses: with the default, whether it comes depends on how fast the machine is.
 */
export const startGatewayTo = (
  upstream: string,
  route: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
): Promise<GatewayFixture> => {
  const stream = { comments: "on", ...(route["stream"] as object | undefined) };
  return startGateway({ routes: { main: { match: { path: "/*" }, upstream, ...route, stream } }, server });
};
