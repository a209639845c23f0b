import type { Command } from "./command.ts";
import { NGINX_COMMANDS } from "./nginx-commands.ts";

export type Commands = Readonly<Record<string, Entry>>;

/** A command's summary for the help, and its code. */
interface Entry {
  readonly summary: string;
  /**
   * Loads the command's code. Only the given command is loaded: all of them together take 0.3 s of CPU, and a script may
   * call `sluice sign` or `sluice probe` in a loop.
   */
  readonly load: () => Promise<Command>;
  /** The commands that its first argument may name; it handles their `--help` itself. */
  readonly subcommands?: Commands;
}

/** Every command, in the order of the help. */
export const COMMANDS: Commands = {
  serve: {
    summary: "run the gateway",
    load: async () => (await import("./serve.ts")).serve,
  },
  check: {
    summary: "validate a configuration and print its routes in matching order",
    load: async () => (await import("./check.ts")).check,
  },
  init: {
    summary: "write a commented configuration",
    load: async () => (await import("./init.ts")).init,
  },
  health: {
    summary: "ask the running gateway whether it works",
    load: async () => (await import("./health.ts")).health,
  },
  demo: {
    summary: "show live streams: sample backends, gateway and page in one process",
    load: async () => (await import("./demo.ts")).demo,
  },
  probe: {
    summary: "find the hop that delays or cuts an event stream",
    load: async () => (await import("./probe.ts")).probe,
  },
  nginx: {
    summary: "check nginx configurations for event streams",
    load: async () => (await import("./nginx.ts")).nginx,
    subcommands: NGINX_COMMANDS,
  },
  sign: {
    summary: "sign a request as an app does, and print its headers or a curl line",
    load: async () => (await import("./sign.ts")).sign,
  },
  schema: {
    summary: "print the JSON Schema of a configuration file, for editors",
    load: async () => (await import("./schema.ts")).schema,
  },
  completion: {
    summary: "print a completion script for bash, zsh or fish",
    load: async () => (await import("./completion.ts")).completionOf(COMMANDS),
  },
};
