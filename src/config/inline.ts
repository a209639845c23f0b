import { stringify } from "yaml";
import type * as z from "zod";
import type { appsSchema } from "./apps-schema.ts";
import type { ConfigFiles } from "./config-files.ts";
import { loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";
import type { RouteInput } from "./route-schema.ts";
import type { Config, serverSchema } from "./server-schema.ts";
import { decodeText } from "./text-file.ts";

/** A configuration as objects, with the keys and units of the files. */
export interface InlineConfig {
  /** The content of sluice.yaml; without it every key has its default. */
  readonly server?: z.input<typeof serverSchema>;
  /** The content of apps.yaml. */
  readonly apps?: z.input<typeof appsSchema>;
  /** The content of the route files, by the routes' names. */
  readonly routes: Readonly<Record<string, RouteInput>>;
}

/** The directory that problems of an inline configuration name. */
const ROOT = "config";

/** Validates a configuration given as objects, like one in files. Throws ConfigError with every problem. */
export function parseConfig({ server, apps, routes }: InlineConfig, env = process.env): Config {
  const texts = new Map<string, string>();
  if (server !== undefined) texts.set(`${ROOT}/sluice.yaml`, stringify(server));
  if (apps !== undefined) texts.set(`${ROOT}/apps.yaml`, stringify(apps));
  for (const [name, route] of Object.entries(routes))
    texts.set(`${ROOT}/routes/${name}.yaml`, stringify(route));
  return orThrow(loadConfig(ROOT, env, filesOf(texts)));
}

/** Reads and validates a configuration directory. Throws ConfigError with every problem of every file. */
export function readConfig(directory: string, env = process.env): Config {
  return orThrow(loadConfig(directory, env));
}

function filesOf(texts: ReadonlyMap<string, string>): ConfigFiles {
  return {
    isOnDisk: false,
    names: (directory) => [
      ...new Set(
        [...texts.keys()]
          .filter((path) => path.startsWith(`${directory}/`))
          .map((path) => path.slice(directory.length + 1).split("/")[0] ?? ""),
      ),
    ],
    read: (path) => decodeText(Buffer.from(texts.get(path) ?? "")),
  };
}

function orThrow(loaded: ReturnType<typeof loadConfig>): Config {
  if ("problems" in loaded) throw new ConfigError(loaded.problems);
  return loaded.config;
}
