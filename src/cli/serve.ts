import { type Command, DEFAULT_DIRECTORY } from "./command.ts";

import { parseFlags } from "./flags.ts";
import { takeSignals } from "./signals.ts";

/** `sluice serve`: runs the gateway until SIGTERM or SIGINT. */
export const serve: Command = {
  help: `Usage: sluice serve [--config DIR]
       sluice serve --to URL [--listen ADDR] [--cors ORIGIN]...

Runs the gateway on a configuration directory or, with --to, without files:
one route for every path. Changed files are taken up as they are written, and
on SIGHUP. SIGTERM drains: streams end one after the other, between two events;
SIGINT ends all of them now. A second signal ends the process where it stands.

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
    const signals = takeSignals();
    // Loaded only now: the gateway is half a second of CPU, which neither the help nor a wrong flag needs.
    const { runGateway } = await import("./serve-gateway.ts");
    return await runGateway(flags, signals);
  },
};

const FLAGS = {
  config: "one",
  to: "one",
  listen: "one",
  cors: "many",
  "log-level": "one",
  "log-format": "one",
} as const;
