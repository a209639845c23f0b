import { type Configuration, findUpstream } from "./configuration.ts";
import { type Directive, isPlaceholder } from "./directive.ts";
import type { Level } from "./level.ts";

/** The modules that hand a request to a backend; each has directives of its own, such as `proxy_buffering`. */
export const FAMILIES = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached", "tunnel"] as const;
export type Family = (typeof FAMILIES)[number];

/** Where a location sends its requests. */
export interface Target {
  readonly family: Family;
  /** The `…_pass` directive. */
  readonly directive: Directive;
  /** `http`, `https`, `grpc` …; empty where none is written. */
  readonly scheme: string;
  /** `127.0.0.1:8000`, the name of an upstream, `unix:/run/x.sock`, as written. */
  readonly authority: string;
  /** The path behind the authority; undefined without one, when nginx sends the client's own. */
  readonly uri: string | undefined;
  readonly upstream: Level | undefined;
  /** `HOST:PORT` or `unix:PATH` of every server, in lower case; empty when a variable or a template names it. */
  readonly servers: readonly string[];
}

const URL_PARTS = /^(?:([a-z0-9+.]+):\/\/)?(unix:[^:]*|[^/?]*)(:?)(.*)$/is;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { https: 443, grpcs: 443 };

/** The target of a location, or of an `if` or `limit_except`, which are handed down that of their location. */
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

/** Whether nginx or a template engine is to fill in a part of the word. */
export const isVariable = (word: string): boolean => word.includes("$") || isPlaceholder(word);

function withPort(server: string, port: number): string {
  if (/^unix:/i.test(server)) return server;
  return (/:\d+$/.test(server) ? server : `${server}:${port}`).toLowerCase();
}
