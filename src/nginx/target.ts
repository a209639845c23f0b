import { type Configuration, findUpstream } from "./configuration.ts";
import { type Directive, isPlaceholder } from "./directive.ts";
import type { Level } from "./level.ts";

/** The modules that forward a request to a backend; each has its own directives, such as `proxy_buffering`. */
export const FAMILIES = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached", "tunnel"] as const;
export type Family = (typeof FAMILIES)[number];

/** The destination of a location's requests. */
export interface Target {
  readonly family: Family;
  /** The `…_pass` directive. */
  readonly directive: Directive;
  /** `http`, `https`, `grpc` …; empty if missing. */
  readonly scheme: string;
  /** `127.0.0.1:8000`, the name of an upstream or `unix:/run/x.sock`, as written. */
  readonly authority: string;
  /** The path after the authority; undefined if missing: then nginx forwards the client's path. */
  readonly uri: string | undefined;
  readonly upstream: Level | undefined;
  /** `HOST:PORT` in lower case or `unix:PATH` of every server, without those in a variable or a placeholder. */
  readonly servers: readonly string[];
}

const URL_PARTS = /^(?:([a-z0-9+.]+):\/\/)?(unix:[^:]*|[^/?]*)(:?)(.*)$/is;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { https: 443, grpcs: 443 };

/** Returns the target of a location; an `if` or `limit_except` inherits that of its location. */
export function findTarget(level: Level, configuration: Configuration): Target | undefined {
  for (const family of FAMILIES) {
    const directive = level.last(`${family}_pass`);
    if (directive !== undefined) return readTarget(family, directive, configuration);
  }
  const inherits = level.kind === "if" || level.kind === "limit_except";
  return inherits && level.outer !== undefined ? findTarget(level.outer, configuration) : undefined;
}

function readTarget(family: Family, directive: Directive, configuration: Configuration): Target {
  const [, scheme = "", authority = "", colon = "", rest = ""] = URL_PARTS.exec(directive.arg(0)) ?? [];
  // `unix:/socket:/uri` has a colon between socket and path.
  const uri = authority.startsWith("unix:") ? rest : colon + rest;
  const upstream = findUpstream(configuration, authority);
  const named = upstream?.own("server").map((server) => server.arg(0)) ?? [authority];
  const port = DEFAULT_PORTS[scheme.toLowerCase()] ?? 80;
  return {
    family,
    directive,
    scheme: scheme.toLowerCase(),
    authority,
    uri: uri === "" ? undefined : uri,
    upstream,
    servers: named.filter((server) => !isVariable(server)).map((server) => withPort(server, port)),
  };
}

/** Whether a word has a variable of nginx or a placeholder of a template. */
export const isVariable = (word: string): boolean => word.includes("$") || isPlaceholder(word);

function withPort(server: string, port: number): string {
  if (/^unix:/i.test(server)) return server;
  return (/:\d+$/.test(server) ? server : `${server}:${port}`).toLowerCase();
}
