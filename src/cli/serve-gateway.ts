import { AdminListenError } from "../admin/admin-listener.ts";
import { visibleText } from "../base/visible-text.ts";
import { configFromFlags, logFromFlags } from "../config/from-flags.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { ConfigError, type Problem } from "../config/problem.ts";
import type { Config } from "../config/server-schema.ts";
import { drainOnCrash } from "../gateway/drain-on-crash.ts";
import {
  createGateway,
  drainLimitMs,
  GatewayClosedError,
  type ListeningGateway,
} from "../gateway/gateway.ts";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { createLog, isForPeople, type Log } from "../observe/log.ts";
import { openFileLimit } from "../process/open-files.ts";
import { inMatchingOrder } from "../routing/router.ts";
import { Workers, workerCount } from "../workers/workers.ts";
import { routeTable } from "./check.ts";
import { DEFAULT_DIRECTORY, EXIT, refuse, UsageError } from "./command.ts";

import type { ParsedFlags } from "./flags.ts";
import { followConfig } from "./follow-config.ts";
import { listenProblem } from "./listen-problem.ts";
import { logWarnings } from "./log-warnings.ts";
import { ServiceManager } from "./service-manager.ts";
import type { Signals } from "./signals.ts";

/** Runs the gateway that the flags of `sluice serve` describe until a signal stops it; resolves with the exit code. */
export async function runGateway(flags: ParsedFlags, signals: Signals): Promise<number> {
  const loaded = load(flags);
  if ("problems" in loaded) return refuseConfig(loaded.problems, flags);
  const { config } = loaded;
  const log = createLog(config.server.log);
  const gateway = createServing(config, log);
  const service = new ServiceManager(process.env, log);
  drainOnCrash({ log, limitMs: () => drainLimitMs(config), drain: () => gateway.close() });
  const begun = await Promise.race([begin(gateway, flags), signals.stop]);
  if (typeof begun === "string") return await stop(gateway, begun, { log, service });
  if ("problems" in begun) return refuse(begun.problems);
  const greets = isForPeople(config.server.log.format) && log.isLevelEnabled("info");
  if (greets) process.stdout.write(greeting(config, begun.addresses, gateway));
  else report(log, begun.addresses, gateway);
  logWarnings(config, log);
  service.started(begun.addresses);
  const directory = flags.has("to") ? undefined : directoryOf(flags);
  const follow = { gateway, config, log, service, signals, directory, listenKey: listenKey(flags) };
  const unfollow = followConfig({ ...follow, load: () => load(flags) });
  const openFiles = openFileLimit();
  if (openFiles < FEW_FILES) log.warn({ openFiles }, "low limit of open files: raise it (ulimit -n)");
  log.info({ openFiles }, "ready");
  const signal = await signals.stop;
  unfollow();
  return await stop(gateway, signal, { log, service });
}

function report(log: Log, addresses: readonly string[], { adminAddress }: ListeningGateway): void {
  for (const address of addresses) log.info({ address }, "listening");
  if (adminAddress !== undefined) log.info({ address: adminAddress }, "admin listening");
}

/** Returns what a person at a terminal needs first: where the gateway listens, and its routes. */
function greeting(
  { server, routes }: Config,
  addresses: readonly string[],
  { adminAddress }: ListeningGateway,
): string {
  const urls = addresses.map((address, at) => urlOf(address, server.listen[at]?.tls !== undefined));
  const dashboard = adminAddress === undefined ? "" : `  dashboard  ${urlOf(adminAddress, false)}\n`;
  const table = routeTable(inMatchingOrder(routes)).replace(/^/gm, "  ").trimEnd();
  return visibleText(`\n${urls.map((url) => `  open       ${url}\n`).join("")}${dashboard}\n${table}\n\n`);
}

/** Returns an address as a browser opens it; that of a unix socket unchanged. */
function urlOf(address: string, isTls: boolean): string {
  if (address.startsWith("unix:")) return address;
  return `${isTls ? "https" : "http"}://${address.replace(/^(?:0\.0\.0\.0|\[::\])/, "localhost")}`;
}

/** Creates a gateway in this process, or workers if the configuration wants several processes. */
function createServing(config: Config, log: Log): ListeningGateway {
  const count = workerCount(config.server);
  if (count === 1) return createGateway(config, { log });
  const onHopeless = (err: unknown) => {
    log.fatal({ err }, "no worker can start");
    process.exit(EXIT.crashed);
  };
  return new Workers(config, { log, count, onHopeless });
}

type Begun = { readonly addresses: readonly string[] } | { readonly problems: readonly Problem[] };

/** Starts to listen; resolves with the addresses, or with the problems. */
async function begin(gateway: ListeningGateway, flags: ParsedFlags): Promise<Begun> {
  try {
    return { addresses: await gateway.listen() };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    const problem =
      error instanceof AdminListenError
        ? listenProblem(error.cause, { ...listenKey(flags), key: flags.has("to") ? "--admin" : "admin" })
        : listenProblem(error, listenKey(flags));
    if (problem !== undefined) return { problems: [problem] };
    // A signal stopped the gateway before it listened.
    if (error instanceof GatewayClosedError) return { addresses: [] };
    throw error;
  }
}

/** Stops the gateway: SIGTERM, from a supervisor, drains; SIGINT, from a user who waits at a terminal, ends at once. */
async function stop(
  gateway: ListeningGateway,
  signal: NodeJS.Signals,
  { log, service }: { readonly log: Log; readonly service: ServiceManager },
): Promise<number> {
  log.info({ signal }, "stopping");
  await Promise.all([service.stopping(), gateway.close({ now: signal === "SIGINT" })]);
  log.info("stopped");
  return process.exit(EXIT.done);
}

/** With fewer open files, a few hundred streams can reach the limit; many shells set 1024. */
const FEW_FILES = 4096;

/** Prints the problems; without a configuration directory also the commands that need no files. */
function refuseConfig(problems: readonly Problem[], flags: ParsedFlags): number {
  const code = refuse(problems);
  const isBare = !flags.has("config") && problems[0]?.file === DEFAULT_DIRECTORY;
  if (isBare)
    process.stderr.write(
      "Write one with sluice init; without files: sluice serve --to URL, or sluice demo.\n",
    );
  return code;
}

function load(flags: ParsedFlags): Loaded {
  const loaded = loadSource(flags);
  const log = logFromFlags({ level: flags.one("log-level"), format: flags.one("log-format") });
  const problems: readonly Problem[] = [
    ...("problems" in log ? log.problems : []),
    ...("problems" in loaded ? loaded.problems : []),
  ];
  if ("problems" in loaded || "problems" in log) return { problems };
  const { config } = loaded;
  return { config: { ...config, server: { ...config.server, log: { ...config.server.log, ...log } } } };
}

function loadSource(flags: ParsedFlags): Loaded {
  const to = flags.one("to");
  if (to !== undefined) {
    if (flags.has("config")) throw new UsageError("--config and --to exclude each other");
    const [listen, admin] = [flags.one("listen"), flags.one("admin")];
    return configFromFlags({ to, listen, cors: flags.many("cors"), trust: flags.many("trust"), admin });
  }
  for (const [flag, place] of Object.entries(NEEDS_TO)) {
    if (flags.has(flag)) throw new UsageError(`--${flag} needs --to; without --to set ${place}`);
  }
  return loadConfig(directoryOf(flags), process.env);
}

/** The flags that only `--to` takes, and the keys that stand for them in the files. */
const NEEDS_TO: Readonly<Record<string, string>> = {
  listen: "listen in sluice.yaml",
  trust: "trustedProxies in sluice.yaml",
  cors: "cors in the route's file",
  admin: "admin in sluice.yaml",
};

function listenKey(flags: ParsedFlags): Pick<Problem, "file" | "key"> {
  if (flags.has("to")) return { file: undefined, key: "--listen" };
  return { file: `${withoutFinalSlashes(directoryOf(flags), 1)}/sluice.yaml`, key: "listen" };
}

function directoryOf(flags: ParsedFlags): string {
  return flags.one("config") ?? DEFAULT_DIRECTORY;
}
