import type { Command } from "./command.ts";

/** The subcommands of `sluice nginx`. Only the given one is loaded: `lint` needs no code of the gateway. */
export const NGINX_COMMANDS: Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>
> = {
  generate: {
    summary: "write the nginx configuration that fits sluice's configuration",
    load: async () => (await import("./nginx-generate.ts")).nginxGenerate,
  },
  import: {
    summary: "make route files from the locations of a configuration",
    load: async () => (await import("./nginx-import.ts")).nginxImport,
  },
  lint: {
    summary: "find settings that delay, cut or change event streams",
    load: async () => (await import("./nginx-lint.ts")).nginxLint,
  },
};
