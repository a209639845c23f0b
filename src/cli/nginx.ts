import { suggestion } from "../config/nearest.ts";
import { type Command, EXIT, UsageError } from "./command.ts";
import { NGINX_COMMANDS } from "./nginx-commands.ts";

const LINES = Object.entries(NGINX_COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);

/** `sluice nginx`: the commands for nginx configurations. */
export const nginx: Command = {
  help: `Usage: sluice nginx COMMAND [flags]

${LINES.join("\n")}

sluice nginx COMMAND --help shows the flags.
`,
  async run([name, ...args]) {
    if (name === undefined) {
      process.stderr.write(this.help);
      return EXIT.refused;
    }
    const entry = Object.hasOwn(NGINX_COMMANDS, name) ? NGINX_COMMANDS[name] : undefined;
    if (entry === undefined) {
      throw new UsageError(`unknown command nginx ${name}${suggestion(name, Object.keys(NGINX_COMMANDS))}`);
    }
    const command = await entry.load();
    if (!args.includes("--help") && !args.includes("-h")) return command.run(args);
    process.stdout.write(command.help);
    return EXIT.done;
  },
};
