import { version } from "../base/version.ts";
import { visibleText } from "../base/visible-text.ts";
import { suggestion } from "../config/nearest.ts";
import { EXIT, UsageError } from "./command.ts";
import { COMMANDS, type Commands } from "./commands.ts";

const GLOBAL_FLAGS = ["--help", "--version"];
/** Commands that take no part in the list of the help. */
const WORDS = ["help", "version"];

function help(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(11)}${summary}`);
  return `sluice: an nginx-aware reverse proxy for Server-Sent Events

Usage: sluice COMMAND [flags]

${lines.join("\n")}

  --help      print this text, or the help of a command: sluice help COMMAND
  --version   print the version; -v too

Exit codes: 0 success, 1 crash, 2 wrong usage or configuration.
`;
}

const versionLine = (): string => `sluice ${version()}\n`;

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) {
    process.stderr.write(help());
    return EXIT.refused;
  }
  if (name === "help" && args[0] !== undefined) return await main([args[0], "--help"]);
  if (isHelp(name) || name === "help" || isVersion(name)) {
    process.stdout.write(isVersion(name) ? versionLine() : help());
    return EXIT.done;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) throw new UsageError(unknown(name));
  // Checked before the other arguments, which may be wrong: a user who asks for help needs it.
  const untilEnd = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length);
  if (untilEnd.includes("--version") && !untilEnd.some(isHelp)) {
    process.stdout.write(versionLine());
    return EXIT.done;
  }
  const command = await entry.load();
  const isForSubcommand = entry.subcommands !== undefined && args[0]?.startsWith("-") === false;
  if (isForSubcommand || !untilEnd.some(isHelp)) return await command.run(args);
  process.stdout.write(command.help);
  return EXIT.done;
}

const isHelp = (arg: string): boolean => arg === "--help" || arg === "-h";

const isVersion = (arg: string): boolean => ["--version", "-v", "version"].includes(arg);

function unknown(name: string): string {
  if (name.startsWith("-")) return `unknown flag ${name}${suggestion(name, GLOBAL_FLAGS)}`;
  return `unknown command ${name}${suggestion(name, [...Object.keys(COMMANDS), ...WORDS])}`;
}

/** Returns the words of a command line that name its command, such as nginx and lint. */
function commandIn([name, ...args]: readonly string[], commands: Commands): readonly string[] {
  const entry = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (name === undefined || entry === undefined) return [];
  return [name, ...commandIn(args, entry.subcommands ?? {})];
}

/** Runs a command line and resolves with the exit code; prints the problem of a wrong one to standard error. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    return await main(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const hint = ["sluice", ...commandIn(args, COMMANDS), "--help"].join(" ");
    process.stderr.write(`sluice: ${visibleText(error.message)}\nTry ${hint}.\n`);
    return EXIT.refused;
  }
}
