import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import type { Scope } from "./scope.ts";

/** The directives that other parts of the import convert or note. */
const CONVERTED: ReadonlySet<string> = new Set([
  ...["server_name", "location", "proxy_pass", "rewrite", "proxy_read_timeout", "proxy_connect_timeout"],
  ...[
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
    "proxy_set_header",
    "proxy_hide_header",
    "add_header",
  ],
  ...["proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path"],
  ...["proxy_ssl_name", "proxy_ssl_verify", "proxy_ssl_trusted_certificate", "limit_req", "limit_conn"],
  ...["allow", "deny", "limit_except", "return", "default_type", "include", "internal"],
]);

/** The directives and values that sluice's behaviour already covers. */
const DONE_BY_SLUICE: ReadonlyMap<string, RegExp> = new Map([
  ["proxy_buffering", /^off$/],
  ["proxy_request_buffering", /^off$/],
  ["proxy_http_version", /./],
  ["proxy_cache", /^off$/],
  ["proxy_store", /^off$/],
  ["proxy_intercept_errors", /^off$/],
  ["proxy_ignore_client_abort", /^off$/],
  ["proxy_socket_keepalive", /./],
  ["proxy_ssl_server_name", /^on$/],
  ["proxy_ssl_session_reuse", /./],
  ["proxy_pass_request_headers", /^on$/],
  ["proxy_pass_request_body", /^on$/],
  ["proxy_pass_header", /^X-Accel-Buffering$/i],
  ["chunked_transfer_encoding", /^on$/],
  ["gzip", /^off$/],
  ["tcp_nodelay", /^on$/],
  ["auth_basic", /^off$/],
  ["auth_request", /^off$/],
  ["client_max_body_size", /^0$/],
  ["proxy_max_temp_file_size", /^0$/],
  ["satisfy", /^all$/],
  ["expires", /^off$/],
]);

/** The directives of outer levels that change the requests and responses of a location. */
const OF_ROUTES =
  /^(?:proxy_(?!cache_path|temp_path|headers_hash)\w+|auth_\w+|satisfy|expires|sub_filter\w*|mirror|rewrite|valid_referers|secure_link\w*|ssl_verify_client|client_max_body_size|\w+_by_lua(?:_file|_block)?|js_(?!import|path|set)\w+|modsecurity\w*|limit_rate\w*)$/;

const REASONS: readonly (readonly [name: RegExp, text: string])[] = [
  [
    /^(?:auth_|satisfy|\w+_by_lua|js_|valid_referers|secure_link|ssl_verify_client|modsecurity)/,
    "has no counterpart; see auth and access",
  ],
  [/^proxy_cache/, "sluice has no cache; routes with shared keep a history of the stream"],
  [
    /^(?:proxy_buffering|proxy_\w*buffer\w*|proxy_max_temp_file_size|proxy_temp_\w+)$/,
    "sluice forwards responses as they arrive",
  ],
  [/^proxy_request_buffering$/, "sluice forwards request bodies as they arrive"],
  [/^client_max_body_size$/, "the backend limits request bodies; for sluice's limits see sluice.yaml"],
  [/^chunked_transfer_encoding$/, "would make every aborted stream look complete"],
  [/^(?:proxy_send_timeout|send_timeout)$/, "see stream.sendTimeout"],
  [/^(?:access_log|error_log)$/, "see log of sluice.yaml"],
  [/^if$/, "a route has no conditions"],
];

/** Notes the directives without a counterpart: all of a location, and those of outer levels that affect it. */
export function noteLeftovers(scope: Scope, isConverted: (at: Directive) => boolean): void {
  const { location } = scope;
  for (const level of location.outward()) {
    for (const at of level.directives) {
      const isOutside = level !== location;
      if (CONVERTED.has(at.name) || isConverted(at) || isDone(at)) continue;
      if (isOutside && (at.name === "if" ? level.kind !== "server" : !OF_ROUTES.test(at.name))) continue;
      const isInForce = at.name === "if" || scope.set(at.name) === at || isRepeated(at.name, level);
      if (isOutside && !isInForce) continue;
      scope.notes.add(at, reasonOf(at.name));
    }
  }
}

const isDone = ({ name, value }: Directive): boolean => DONE_BY_SLUICE.get(name)?.test(value) ?? false;

/** Whether a level repeats a directive, so that all of them are effective. */
const isRepeated = (name: string, level: Level): boolean => level.own(name).length > 1;

const reasonOf = (name: string): string =>
  REASONS.find(([pattern]) => pattern.test(name))?.[1] ?? "has no counterpart in a route";

/** Returns the names of a level's directives that concern nginx itself, in file order. */
export function ownNames(level: Level): string[] {
  const names = level.directives
    .map(({ name }) => name)
    .filter((name) => !CONVERTED.has(name) && !OF_ROUTES.test(name) && !BLOCKS.has(name));
  return [...new Set(names)];
}

/** The blocks that the import reads where they are used. */
const BLOCKS: ReadonlySet<string> = new Set([
  "server",
  "upstream",
  "if",
  "map",
  "limit_req_zone",
  "limit_conn_zone",
]);
