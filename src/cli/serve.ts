import { configFromFlags, logFromFlags } from "../config/from-flags.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { ConfigError, type Problem } from "../config/problem.ts";
import { createLog, type Log } from "../observe/log.ts";
import { AdminListenError } from "../server/admin.ts";
import { createGateway } from "../server/gateway.ts";
import { type Command, EXIT, refuse, UsageError } from "./command.ts";
import { DEFAULT_DIRECTORY } from "./directory.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { listenProblem } from "./listen-problem.ts";

/** `sluice serve`: runs the gateway until SIGTERM or SIGINT. */
export const serve: Command = {
  summary: "run the gateway",
  help: `Usage: sluice serve [--config DIR]
       sluice serve --to URL [--listen ADDR] [--cors ORIGIN]...

Runs the gateway on a configuration directory or, with --to, without files:
one route for every path. SIGTERM and SIGINT end it in order; a second one
ends it at once.

  --config DIR      the configuration directory (${DEFAULT_DIRECTORY})
  --to URL          the one backend: http://127.0.0.1:8080, unix:/run/app.sock
  --listen ADDR     with --to: a port, host:port or unix:/path (8000)
  --cors ORIGIN     with --to: let pages of this origin read; * is any;
                    may be repeated
  --log-level L     debug, info, warn, error or silent, whatever is configured
  --log-format F    json or pretty, whatever is configured
`,
  async run(args) {
    const flags = parseFlags(args, FLAGS);
    // From here on and not from when the gateway stands: as process 1 an early SIGTERM would be lost.
    const stopped = stopSignal();
    const loaded = load(flags);
    if ("problems" in loaded) return refuseConfig(loaded.problems, flags);
    const { config } = loaded;
    const log = createLog(config.server.log);
    exitOnCrash(log);
    const gateway = createGateway(config, { log });
    let addresses: readonly string[];
    try {
      addresses = await gateway.listen();
    } catch (error) {
      if (error instanceof ConfigError) return refuse(error.problems);
      const problem =
        error instanceof AdminListenError
          ? listenProblem(error.cause, { ...listenKey(flags), key: "admin" })
          : listenProblem(error, listenKey(flags));
      if (problem === undefined) throw error;
      return refuse([problem]);
    }
    for (const address of addresses) log.info({ address }, "listening");
    if (gateway.adminAddress !== undefined) log.info({ address: gateway.adminAddress }, "admin listening");
    log.info("ready");
    const signal = await stopped;
    log.info({ signal }, "stopping");
    await gateway.close();
    log.info("stopped");
    return process.exit(EXIT.done);
  },
};

/** A newcomer without a directory gets to know what works without one. */
function refuseConfig(problems: readonly Problem[], flags: ParsedFlags): number {
  const code = refuse(problems);
  const isBare = !flags.has("config") && problems[0]?.file === DEFAULT_DIRECTORY;
  if (isBare) process.stderr.write("Without files: sluice serve --to URL, or sluice demo.\n");
  return code;
}

const FLAGS = {
  config: "one",
  to: "one",
  listen: "one",
  cors: "many",
  "log-level": "one",
  "log-format": "one",
} as const;

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
    return configFromFlags({ to, listen: flags.one("listen"), cors: flags.many("cors") });
  }
  if (flags.has("listen"))
    throw new UsageError("--listen goes with --to; otherwise listen is in sluice.yaml");
  if (flags.has("cors")) throw new UsageError("--cors goes with --to; otherwise cors is in the route's file");
  return loadConfig(flags.one("config") ?? DEFAULT_DIRECTORY, process.env);
}

function listenKey(flags: ParsedFlags): Pick<Problem, "file" | "key"> {
  if (flags.has("to")) return { file: undefined, key: "--listen" };
  const directory = (flags.one("config") ?? DEFAULT_DIRECTORY).replace(/(?<=.)\/+$/, "");
  return { file: `${directory}/sluice.yaml`, key: "listen" };
}

/** Resolves with the first signal to stop; the second ends the process where it stands. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT.crashed);
      isStopping = true;
      resolve(signal);
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}

/** After an error that nobody expected, state is unknown: say so and let whoever started us start anew. */
function exitOnCrash(log: Log): void {
  const crash = (err: unknown, msg: string): void => {
    try {
      log.fatal({ err }, msg);
    } finally {
      // The log itself may be what is broken.
      process.exit(EXIT.crashed);
    }
  };
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));
  process.on("unhandledRejection", (reason) => crash(reason, "unhandled rejection"));
}
