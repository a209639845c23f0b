import { jsonSchema, type SchemaName } from "./json-schema.ts";
import type { Loaded } from "./load.ts";
import { describeOwnBackend, ownBackends } from "./own-backends.ts";
import type { Problem } from "./problem.ts";
import { routeSchema } from "./route-schema.ts";
import { phrase, problemsIn, withRemedy } from "./schema-problems.ts";
import { type ServerConfig, serverSchema } from "./server-schema.ts";

/** The flags of `serve --to`, which replace the files. */
export interface Flags {
  readonly to: string;
  readonly listen: string | undefined;
  /** Allowed origins; empty for no CORS. */
  readonly cors: readonly string[];
  /** Addresses and CIDR ranges of trusted proxies, such as the nginx in front. */
  readonly trust: readonly string[];
  /** The address of the admin listener; undefined for none. */
  readonly admin: string | undefined;
}

/** Returns the configuration of `serve --to`: one route named default for every path, WebSocket included. */
export function configFromFlags({ to, listen, cors, trust, admin }: Flags): Loaded {
  const options = { error: phrase, reportInput: true };
  const server = serverSchema.safeParse(
    { admin: admin ?? false, trustedProxies: trust, ...(listen !== undefined && { listen }) },
    options,
  );
  const route = routeSchema.safeParse(
    {
      match: { path: "/*" },
      upstream: to,
      websocket: true,
      ...(cors.length > 0 && { cors: { allowOrigins: cors } }),
    },
    options,
  );
  if (server.success && route.success) {
    const [own] = ownBackends(route.data, server.data);
    if (own !== undefined) {
      const message = describeOwnBackend(own, "--listen");
      return { problems: [{ file: undefined, at: undefined, key: "--to", message }] };
    }
    return { config: { server: server.data, routes: [{ ...route.data, name: "default" }], apps: [] } };
  }
  const flagged = (issues: Parameters<typeof problemsIn>[0], name: SchemaName): Problem[] =>
    problemsIn(issues, jsonSchema(name)).map((problem) => {
      const { path } = problem;
      const flag = FLAGS[String(path[0])] ?? "--to";
      const index = path.find((step) => typeof step === "number");
      const values = flag === "--trust" ? trust : cors;
      const key = index === undefined ? flag : `${flag} ${JSON.stringify(values[index])}`;
      return { file: undefined, at: undefined, key, message: withRemedy(problem).replace(OBJECT_FORM, "") };
    });
  return {
    problems: [
      ...(route.error === undefined ? [] : flagged(route.error.issues, "route")),
      ...(server.error === undefined ? [] : flagged(server.error.issues, "server")),
    ],
  };
}

/** Validates `--log-level` and `--log-format` like the keys that they stand for; returns only the given ones. */
export function logFromFlags(given: {
  readonly level: string | undefined;
  readonly format: string | undefined;
}): Partial<ServerConfig["log"]> | { readonly problems: readonly Problem[] } {
  const log = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const parsed = serverSchema.safeParse({ log }, { error: phrase, reportInput: true });
  if (!parsed.success) {
    const problems = problemsIn(parsed.error.issues, jsonSchema("server")).map(({ path, message }) => {
      return { file: undefined, at: undefined, key: `--log-${String(path[1])}`, message };
    });
    return { problems };
  }
  const { level, format } = parsed.data.log;
  return { ...(given.level !== undefined && { level }), ...(given.format !== undefined && { format }) };
}

const FLAGS: Readonly<Record<string, string>> = {
  upstream: "--to",
  cors: "--cors",
  listen: "--listen",
  trustedProxies: "--trust",
  admin: "--admin",
  adminToken: "--admin",
};

/** The part of a problem's text that does not apply to a flag, which has no object form. */
const OBJECT_FORM = /, or an object with \w+(?=;|$)/;
