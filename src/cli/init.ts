import { type Command, DEFAULT_DIRECTORY } from "./command.ts";
import { parseFlags } from "./flags.ts";

/** `sluice init`: writes a commented configuration. */
export const init: Command = {
  help: `Usage: sluice init [--config DIR] [--to URL] [--cors ORIGIN]...
                   [--behind CIDR]...

Writes a commented configuration: sluice.yaml and routes/main.yaml. On a
terminal it asks for the backend if --to is missing. It overwrites nothing.

  --config DIR   the configuration directory (${DEFAULT_DIRECTORY})
  --to URL       the backend: http://127.0.0.1:8080, unix:/run/app.sock
  --cors ORIGIN  allow pages of this origin; may be repeated
  --behind CIDR  the address of a proxy in front, such as nginx, whose
                 X-Forwarded-* fields are trusted; may be repeated
`,
  async run(args) {
    const flags = parseFlags(args, { config: "one", to: "one", cors: "many", behind: "many" });
    const { writeConfig } = await import("./init-run.ts");
    return await writeConfig(flags);
  },
};
