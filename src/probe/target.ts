/** Where a probe connects to, and what it asks for there. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Path and query as they are sent. */
  readonly path: string;
  /** The Host field: name and, unless it is the scheme's own, port. */
  readonly authority: string;
  /** The URL without user and fragment, for people. */
  readonly url: string;
}

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** Reads a URL; undefined unless it is one of http or https, without user and password. */
export function parseTarget(text: string): Target | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const defaultPort = url === undefined ? undefined : PORTS[url.protocol];
  if (url === undefined || defaultPort === undefined) return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  return {
    // net.connect takes an IPv6 address without its brackets.
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? defaultPort : Number(url.port),
    isTls: url.protocol === "https:",
    path: url.pathname + url.search,
    authority: url.host,
    url: url.origin + url.pathname + url.search,
  };
}

/** Whether both are one origin, or `next` is the same host by TLS: what a redirect may take credentials to. */
export function isSameSite(from: Target, next: Target): boolean {
  if (from.host !== next.host) return false;
  if (from.isTls === next.isTls) return from.port === next.port;
  return next.isTls && next.port === PORTS["https:"] && from.port === PORTS["http:"];
}
