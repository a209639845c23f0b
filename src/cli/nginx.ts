import { suggestion } from "../config/nearest.ts";
import { type Command, EXIT, UsageError } from "./command.ts";

/** The subcommands. Only the given one is loaded: `lint` needs no code of the gateway. */
const SUBCOMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  generate: async () => (await import("./nginx-generate.ts")).nginxGenerate,
  import: async () => (await import("./nginx-import.ts")).nginxImport,
  lint: async () => (await import("./nginx-lint.ts")).nginxLint,
};

/** `sluice nginx`: the commands for nginx configurations. */
export const nginx: Command = {
  help: `Usage: sluice nginx COMMAND [flags]

  generate  write the nginx configuration that fits sluice's configuration
  import    make route files from the locations of a configuration
  lint      find settings that delay, cut or change event streams

sluice nginx COMMAND --help shows the flags.
`,
  async run([name, ...args]) {
    if (name === undefined) {
      process.stderr.write(this.help);
      return EXIT.refused;
    }
    const load = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
    if (load === undefined) {
      throw new UsageError(`unknown command nginx ${name}${suggestion(name, Object.keys(SUBCOMMANDS))}`);
    }
    const command = await load();
    if (!args.includes("--help") && !args.includes("-h")) return command.run(args);
    process.stdout.write(command.help);
    return EXIT.done;
  },
};
