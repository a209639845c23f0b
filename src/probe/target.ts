/** The parts of a URL that a probe needs. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** The request target: path and query. */
  readonly path: string;
  /** The value of the Host field. */
  readonly authority: string;
  /** The URL without its fragment. */
  readonly url: string;
}

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** Parses an http or https URL without user and password; undefined for any other text. */
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

/** Whether a redirect may carry credentials: the same origin, or the same host over TLS. */
export function isSameSite(from: Target, next: Target): boolean {
  if (from.host !== next.host) return false;
  if (from.isTls === next.isTls) return from.port === next.port;
  return next.isTls && next.port === PORTS["https:"] && from.port === PORTS["http:"];
}
