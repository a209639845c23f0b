import type { Directive } from "./directive.ts";
import { directiveTable } from "./directive-table.ts";
import { Level, type LevelKind } from "./level.ts";

const BY_NAME: readonly (readonly [LevelKind, ReadonlySet<string>])[] = [
  ["main", new Set(["http", "events", "stream", "mail", "load_module", "worker_processes", "user", "pid"])],
  ["http", new Set(["server", "upstream", "map", "geo", "split_clients", "log_format", "limit_req_zone"])],
  ["server", new Set(["location", "listen", "server_name"])],
];

/** Returns the block that a fragment belongs to, judged by its directives. */
export function contextOfFragment(directives: readonly Directive[]): LevelKind {
  if (directives.some(isStreamServer)) return "stream";
  const isUpstream = directives.some((directive) => directive.name === "server" && !directive.block);
  if (isUpstream) return "upstream";
  for (const [kind, names] of BY_NAME) if (directives.some(({ name }) => names.has(name))) return kind;
  const inner: readonly LevelKind[] = ["location", "server", "http", "main", "events", "stream"];
  return inner.find((kind) => directives.every(({ name }) => isAllowed(name, kind))) ?? "location";
}

/** Whether a server belongs to `stream`: there it has `proxy_pass` itself; in `http` that needs a location. */
const isStreamServer = ({ name, block }: Directive): boolean =>
  name === "server" &&
  block !== undefined &&
  block.some((inner) => inner.name === "proxy_pass" || inner.name === "ssl_preread") &&
  !block.some((inner) => inner.name === "location");

function isAllowed(name: string, kind: LevelKind): boolean {
  const types = directiveTable().get(name);
  return types?.some(({ contexts }) => contexts.length === 0 || contexts.includes(kind)) ?? true;
}

const OUTER: Readonly<Partial<Record<LevelKind, LevelKind>>> = {
  http: "main",
  server: "http",
  location: "server",
  upstream: "http",
  events: "main",
  stream: "main",
};

/** Returns the level of a kind inside `main`; creates the levels between them, which the fragment does not show. */
export function levelFor(kind: LevelKind, main: Level): Level {
  const outer = OUTER[kind];
  return outer === undefined ? main : new Level(kind, levelFor(outer, main));
}
