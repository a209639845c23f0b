import { placeOf } from "../../config/conflicts.ts";
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

/** How nginx is to stand in front of sluice. */
export interface SiteOptions {
  /** `80`, `127.0.0.1:8080`, `unix:/path` or a template's `${NAME}`. */
  readonly listen: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly http2: boolean;
  /** Addresses of sluice, in place of those it listens on. */
  readonly servers: readonly string[];
  readonly behind: Behind;
  readonly mode: Mode;
  readonly version: NginxVersion;
}

/** The first words of every generated file: a file that begins otherwise was written by somebody. */
export const MARK = "# sluice nginx generate";

/** A configuration of nginx for a configuration of sluice, to be included in `http`. Throws GenerateFault. */
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
  const where = behind.length === 0 ? "at the edge" : "behind a balancer";
  return comment(
    `${MARK.slice(2)}: nginx ${formatVersion(version)} ${where}, in front of sluice, and the reason for each line. It belongs into the http block, as a file of conf.d does.`,
  );
}

const GROUP = "sluice_servers";

function upstreamOf({ servers }: Plan): Block {
  return {
    opening: `upstream ${GROUP}`,
    why: "A name of its own: a site that names sluice's host and port must not meet this group instead.",
    body: [
      ...servers.addresses.map((address, at): Line => {
        const why =
          "max_fails=0: one refused connection would take a server out for 10 s, and new streams would get 502 although sluice is back.";
        return { text: `server ${word(address)} max_fails=0`, why: at === 0 ? why : undefined };
      }),
      {
        text: "keepalive 32",
        why: "Idle connections kept for each worker: ordinary requests need no new one. Streams hold their own.",
      },
    ],
  };
}

const UPGRADES: Block = {
  opening: "map $http_upgrade $sluice_connection",
  why: "WebSocket upgrades pass; on any other request an empty Connection field keeps the connection reusable.",
  body: [{ text: "default upgrade" }, { text: "'' ''" }],
};

/** One server for each host that routes name, and one for all others first, which makes it the default. */
function serverBlocks(plan: Plan): Block[] {
  const { routes } = plan.config;
  const named = [...new Set(routes.flatMap(({ match }) => placeOf(match).host ?? []))].toSorted();
  const hasAny = routes.some(({ match }) => match.host === undefined);
  const hosts = [...(hasAny ? [undefined] : []), ...named];
  return hosts.map((host, at) => {
    // A route without host serves every host, after the host's own.
    const own = routes.filter(({ match }) => match.host === undefined || placeOf(match).host === host);
    const body = serverBody(plan, host, own);
    if (at === 0) return { opening: "server", body };
    const why = "The same for another host; the first server explains each line.";
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
    "HTTP/2: a browser opens six connections to a host over HTTP/1.1, and each stream takes one of them.";
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
    { text: "ssl_protocols TLSv1.2 TLSv1.3", why: "Before 1.23.4 the default has TLS 1.0, and not 1.3." },
  ];
}

/** How requests and answers pass. */
function bodyLines({ silence, hasWebSockets, servers }: Plan): Entry[] {
  return [
    {
      text: "proxy_http_version 1.1",
      why: "All of it stands here and not in the locations: one proxy_set_header in a location puts all others out of force. HTTP/1.0, the default before 1.29.7, keeps no connection and marks an end by closing; with 1.1 a stream that broke off reaches the client as broken off.",
    },
    ...(hasWebSockets
      ? [
          { text: "proxy_set_header Upgrade $http_upgrade" },
          { text: "proxy_set_header Connection $sluice_connection" },
        ]
      : [{ text: 'proxy_set_header Connection ""', why: "Without this no connection is kept." }]),
    ...(servers.hasTls
      ? [
          {
            text: "proxy_ssl_server_name on",
            why: "sluice speaks TLS; nginx does not verify its certificate unless proxy_ssl_verify is on.",
          },
          { text: "proxy_ssl_name $host" },
        ]
      : []),
    {
      text: "proxy_buffering off",
      why: "sluice switches the buffer off for event streams by itself; this covers every other streamed answer.",
    },
    {
      text: "proxy_request_buffering off",
      why: "A request body goes on as it comes, so that an upload does not wait on nginx's disk.",
    },
    {
      text: "client_max_body_size 0",
      why: "Limits on bodies are the backend's: a page can read its 413, and not nginx's, which has no CORS fields.",
    },
    { text: `proxy_read_timeout ${formatTime(silence.ms)}`, why: whyTimeout(silence) },
    {
      text: "gzip off",
      why: "A compressor costs every stream its memory, and holds events back where something buffers. If ordinary answers are to be compressed, say so in a location of their own.",
    },
    {
      text: "absolute_redirect off",
      why: "nginx's own redirects name no scheme and port, which may be others outside.",
    },
  ];
}

function whyTimeout({ reasons, silentRoutes }: Silence): string {
  const list = reasons.map(({ name, ms }) => `${name} ${formatTime(ms)}`).join(", ");
  const why = `The longest silence, 15 s more than the longest of sluice's own (${list}): before that nginx would cut a stream between two heartbeats, or answer first and with an error that says less.`;
  if (silentRoutes.length === 0) return why;
  return `${why} The streams of ${silentRoutes.join(", ")} have no heartbeat: they are cut when they are silent for longer.`;
}
