import type { Command } from "./command.ts";
import { parseFlags } from "./flags.ts";

/** `sluice demo`: sample backends, gateway and page in one process. */
export const demo: Command = {
  help: `Usage: sluice demo [--listen ADDR]

Starts sample backends, the gateway in front of them and a page that shows
their streams, and prints the page's address. Needs no files.

  --listen ADDR  where the gateway listens, such as 127.0.0.1:9000
                 (127.0.0.1:8000, or a free port if that is in use)
`,
  async run(args) {
    const listen = parseFlags(args, { listen: "one" }).one("listen");
    // Loaded here, so that `--help` does not load the gateway and the sample backends.
    const { runDemo } = await import("../demo/demo.ts");
    return runDemo({ listen });
  },
};
