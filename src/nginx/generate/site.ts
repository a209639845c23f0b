import { coversHost } from "../../config/conflicts.ts";
import type { RouteConfig } from "../../config/route-schema.ts";
import type { Config } from "../../config/server-schema.ts";
import { formatTime } from "../units.ts";
import { formatVersion, isAtLeast, type NginxVersion, SINCE } from "../version.ts";
import { type Behind, behindMaps, clientFields, realIp } from "./client.ts";
import { awayLocations, errorPages } from "./errors.ts";
import { locationsOf, type Mode } from "./locations.ts";
import { type Origins, originMaps, originsOf, serverName } from "./origins.ts";
import { type Servers, serversOf } from "./servers.ts";
import { type Block, comment, type Entry, type Line, render, unexplained, word } from "./text.ts";
import { longestSilence, type Silence } from "./timeouts.ts";

/** The options of the generated nginx configuration. */
export interface SiteOptions {
  /** `80`, `127.0.0.1:8080`, `unix:/path` or a template's `${NAME}`. */
  readonly listen: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly http2: boolean;
  /** Addresses of sluice that replace its listeners. */
  readonly servers: readonly string[];
  readonly behind: Behind;
  readonly mode: Mode;
  readonly version: NginxVersion;
}

/** The first words of every generated file: a file with another start is written by hand. */
export const MARK = "# sluice nginx generate";

/** Generates the nginx configuration for a sluice configuration, for the `http` block. Throws GenerateFault. */
export function generateSite(config: Config, options: SiteOptions): string {
  const plan: Plan = {
    config,
    options,
    servers: serversOf(config.server.listen, options.servers),
    silence: longestSilence(config.routes),
    origins: originsOf(config.routes),
    hasWebSockets: config.routes.some(({ websocket }) => websocket),
  };
  const entries: Entry[] = [
    upstreamOf(plan),
    ...(plan.hasWebSockets ? [UPGRADES] : []),
    ...originMaps(plan.origins),
    ...behindMaps(options.behind),
    ...serverBlocks(plan),
  ];
  return `${heading(options)}\n${render(entries)}`;
}

interface Plan {
  readonly config: Config;
  readonly options: SiteOptions;
  readonly servers: Servers;
  readonly silence: Silence;
  readonly origins: Origins;
  readonly hasWebSockets: boolean;
}

function heading({ version, behind }: SiteOptions): string {
  const where = behind.length === 0 ? "at the edge" : "behind a load balancer";
  return comment(
    `${MARK.slice(2)}: nginx ${formatVersion(version)} ${where}, in front of sluice, with the reason for each line. Include this file in the http block, for example from conf.d.`,
  );
}

const GROUP = "sluice_servers";

function upstreamOf({ servers }: Plan): Block {
  return {
    opening: `upstream ${GROUP}`,
    why: "The group has its own name: a site that names sluice's host and port must not get this group instead.",
    body: [
      ...servers.addresses.map((address, at): Line => {
        const why =
          "max_fails=0: otherwise nginx would not use a server for 10 s after one refused connection, and new streams would get 502 although sluice is back.";
        return { text: `server ${word(address)} max_fails=0`, why: at === 0 ? why : undefined };
      }),
      {
        text: "keepalive 32",
        why: "Idle connections per worker, so that ordinary requests reuse them. Each stream has its own connection.",
      },
    ],
  };
}

const UPGRADES: Block = {
  opening: "map $http_upgrade $sluice_connection",
  why: "nginx forwards WebSocket upgrades; on any other request an empty Connection field keeps the connection reusable.",
  body: [{ text: "default upgrade" }, { text: "'' ''" }],
};

/** Returns one server per host of the routes; the first, for all other hosts, is nginx's default. */
function serverBlocks(plan: Plan): Block[] {
  const { routes } = plan.config;
  const named = [...new Set(routes.flatMap(({ match }) => match.host ?? []))].toSorted();
  const hasAny = routes.some(({ match }) => match.host === undefined);
  const hosts = [...(hasAny ? [undefined] : []), ...named];
  return hosts.map((host, at) => {
    // A route without host, or with a wildcard, also serves the paths that the host's own routes do not match.
    const own = routes.filter(
      ({ match }) => match.host?.some((pattern) => coversHost(pattern, host)) !== false,
    );
    const body = serverBody(plan, host, own);
    if (at === 0) return { opening: "server", body };
    const why = "The same for another host; see the first server for the reasons.";
    return { opening: "server", why, body: unexplained(body) };
  });
}

function serverBody(plan: Plan, host: string | undefined, routes: readonly RouteConfig[]): Entry[] {
  const { config, options, servers, origins } = plan;
  const target = `${servers.hasTls ? "https" : "http"}://${GROUP}`;
  return [
    ...listening(options),
    { text: `server_name ${host === undefined ? "_" : serverName(host)}` },
    ...tlsLines(options),
    ...realIp(options.behind),
    ...bodyLines(plan),
    ...clientFields(options.behind),
    ...errorPages(),
    ...locationsOf({
      mode: options.mode,
      routes,
      hasProbe: config.server.probe !== undefined,
      target,
    }),
    ...awayLocations(origins),
  ];
}

function listening({ listen: address, tls, http2, version }: SiteOptions): Line[] {
  const listen = word(address);
  if (tls === undefined) return [{ text: `listen ${listen}` }];
  if (!http2) return [{ text: `listen ${listen} ssl` }];
  const why =
    "HTTP/2: over HTTP/1.1 a browser opens six connections to a host, and each stream takes one of them.";
  if (isAtLeast(version, SINCE.http2Directive)) {
    return [{ text: `listen ${listen} ssl` }, { text: "http2 on", why }];
  }
  return [{ text: `listen ${listen} ssl http2`, why }];
}

function tlsLines({ tls }: SiteOptions): Line[] {
  if (tls === undefined) return [];
  return [
    { text: `ssl_certificate ${word(tls.cert)}` },
    { text: `ssl_certificate_key ${word(tls.key)}` },
    { text: "ssl_protocols TLSv1.2 TLSv1.3", why: "Before 1.23.4 the default has TLS 1.0 and lacks 1.3." },
  ];
}

/** Returns the lines about request and response bodies. */
function bodyLines({ silence, hasWebSockets, servers }: Plan): Entry[] {
  return [
    {
      text: "proxy_http_version 1.1",
      why: "These lines are in the server and not in the locations, because one proxy_set_header in a location overrides all others. HTTP/1.0, the default before 1.29.7, reuses no connection and marks the end by closing; with 1.1 the client can tell an aborted stream from a complete one.",
    },
    ...(hasWebSockets
      ? [
          { text: "proxy_set_header Upgrade $http_upgrade" },
          { text: "proxy_set_header Connection $sluice_connection" },
        ]
      : [{ text: 'proxy_set_header Connection ""', why: "Without this line nginx reuses no connection." }]),
    ...(servers.hasTls
      ? [
          {
            text: "proxy_ssl_server_name on",
            why: "sluice uses TLS; nginx does not verify its certificate unless proxy_ssl_verify is on.",
          },
          { text: "proxy_ssl_name $host" },
        ]
      : []),
    {
      text: "proxy_buffering off",
      why: "sluice itself switches buffering off for event streams; this line is for all other streamed responses.",
    },
    {
      text: "proxy_request_buffering off",
      why: "nginx forwards a request body as it arrives, so that an upload does not wait on nginx's disk.",
    },
    {
      text: "client_max_body_size 0",
      why: "The backend limits bodies: a page can read its 413, but not nginx's, which has no CORS fields.",
    },
    { text: `proxy_read_timeout ${formatTime(silence.ms)}`, why: whyTimeout(silence) },
    {
      text: "gzip off",
      why: "Compression costs memory for every stream, and holds back events where something buffers. To compress ordinary responses, switch it on in their own location.",
    },
    {
      text: "absolute_redirect off",
      why: "nginx's own redirects then have no scheme and port, which may differ outside.",
    },
  ];
}

function whyTimeout({ reasons, silentRoutes }: Silence): string {
  const list = reasons.map(({ name, ms }) => `${name} ${formatTime(ms)}`).join(", ");
  const why = `15 s more than the longest silence of sluice itself (${list}). With a shorter timeout nginx would cut a stream between two heartbeats, or answer before sluice with an error that says less.`;
  if (silentRoutes.length === 0) return why;
  return `${why} The streams of ${silentRoutes.join(", ")} have no heartbeat: nginx cuts them if they are silent for longer.`;
}
