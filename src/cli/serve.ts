import { type Command, DEFAULT_DIRECTORY } from "./command.ts";

import { parseFlags } from "./flags.ts";
import { takeSignals } from "./signals.ts";

/** `sluice serve`: runs the gateway until SIGTERM or SIGINT. */
export const serve: Command = {
  help: `Usage: sluice serve [--config DIR]
       sluice serve --to URL [--listen ADDR] [--trust CIDR]...
                    [--cors ORIGIN]... [--admin ADDR]

Runs the gateway with a configuration directory or, with --to, without files:
one route for every path. Changed files are loaded when they are written, and
on SIGHUP. SIGTERM drains: streams end one by one, between two events. SIGINT
ends all streams at once. A second signal ends the process immediately.

  --config DIR      the configuration directory (${DEFAULT_DIRECTORY})
  --to URL          the only backend: http://127.0.0.1:8080, unix:/run/app.sock
  --listen ADDR     with --to: a port, host:port or unix:/path (8000)
  --trust CIDR      with --to: the address of a proxy in front, such as nginx,
                    whose X-Forwarded-* fields are trusted; may be repeated
  --cors ORIGIN     with --to: allow pages of this origin; * for any origin;
                    may be repeated
  --admin ADDR      with --to: health, metrics and dashboard at a port of
                    127.0.0.1, host:port or unix:/path (none)
  --log-level L     debug, info, warn, error or silent, instead of log.level
  --log-format F    auto, json or pretty, instead of log.format
`,
  async run(args) {
    const flags = parseFlags(args, FLAGS);
    const signals = takeSignals();
    // Loaded here: the gateway takes half a second of CPU to load, and neither the help nor a wrong flag needs it.
    const { runGateway } = await import("./serve-gateway.ts");
    return await runGateway(flags, signals);
  },
};

const FLAGS = {
  config: "one",
  to: "one",
  listen: "one",
  trust: "many",
  cors: "many",
  admin: "one",
  "log-level": "one",
  "log-format": "one",
} as const;
