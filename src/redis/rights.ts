import type { RedisCommands } from "./commands.ts";
import { RedisFault } from "./redis-fault.ts";
import { RIGHTS } from "./rights-script.ts";

/** The commands that Redis refuses to run in a script, with arguments that change nothing. */
const DIRECT: readonly (readonly [name: string, ...args: (string | number)[]])[] = [
  ["INFO", "server"],
  ["CLIENT", "ID"],
  ["CLIENT", "UNBLOCK", 0],
];

/**
 * Returns the commands that the access control list (ACL) forbids the user, tried on the server that has `key`; nothing
 * is written. Empty if Redis does not answer.
 */
export async function missingRights(commands: RedisCommands, key: string): Promise<readonly string[]> {
  const inScripts = namesUnless(commands.run(RIGHTS, [key], []), "eval");
  const direct = DIRECT.map(async ([name, ...args]) => {
    const words = name === "CLIENT" ? `${name}|${args[0]}` : name;
    return namesUnless(
      commands.send(key, name, args).then(() => []),
      words.toLowerCase(),
    );
  });
  return (await Promise.all([inScripts, ...direct])).flat();
}

/** Returns the names, or `refused` if the command itself is forbidden. */
async function namesUnless(names: Promise<readonly string[]>, refused: string): Promise<readonly string[]> {
  try {
    return await names;
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
    if (!error.message.startsWith("NOPERM")) return [];
    if (/\bkeys?\b/.test(error.message)) return ["the keys"];
    return [/'([a-z|]{1,40})' command/.exec(error.message)?.[1] ?? refused];
  }
}
