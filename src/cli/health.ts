import { type Command, DEFAULT_DIRECTORY, EXIT, refuse } from "./command.ts";
import { parseFlags } from "./flags.ts";

/** `sluice health`: whether the gateway of a configuration works, for HEALTHCHECK and probes. */
export const health: Command = {
  help: `Usage: sluice health [--config DIR] [--ready]

Asks the running gateway of a configuration whether it works, and exits with 0
or 1. It asks the admin listener, and without one the first listener. Nothing
is logged.

  --config DIR  the configuration directory (${DEFAULT_DIRECTORY})
  --ready       ask whether it is ready for new requests: not while it starts
                or drains
`,
  async run(args) {
    const flags = parseFlags(args, { config: "one", ready: "none" });
    const { loadConfig } = await import("../config/load.ts");
    const loaded = loadConfig(flags.one("config") ?? DEFAULT_DIRECTORY, process.env);
    if ("problems" in loaded) return refuse(loaded.problems);
    const { askHealth } = await import("./ask-health.ts");
    const fault = await askHealth(loaded.config.server, flags.has("ready"));
    if (fault === undefined) return EXIT.done;
    process.stderr.write(`sluice: ${fault}\n`);
    return EXIT.crashed;
  },
};
