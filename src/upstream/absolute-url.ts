import type { BackendAddress } from "../config/scalars.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { hostName } from "../http/request-head.ts";
import { setValue } from "./edited-fields.ts";

/** A URL with an authority, in its parts. */
export interface AbsoluteUrl {
  /** Undefined if the URL leaves it out. */
  readonly scheme: string | undefined;
  readonly authority: string;
  /** Begins with a slash. */
  readonly path: string;
  /** Query and fragment. */
  readonly rest: string;
}

const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#\\]+)(\/[^?#]*)?((?:[?#].*)?)$/is;

/** Reads `http://host/path` or `//host/path`; undefined for any other reference, and for one with a backslash as slash. */
export function readAbsoluteUrl(text: string): AbsoluteUrl | undefined {
  const parts = ABSOLUTE.exec(text);
  if (parts === null) return undefined;
  const [, scheme, authority = "", path = "/", rest = ""] = parts;
  return { scheme, authority, path, rest };
}

/** Returns one text for all spellings of an origin: in lower case, and always with the port. */
export function originOf(scheme: string, authority: string): string {
  const lower = scheme.toLowerCase();
  const port = /:(\d+)$/.exec(authority)?.[1] ?? (lower === "https" ? "443" : "80");
  return `${lower}://${hostName(authority)}:${port}`;
}

export const schemeOf = ({ tls }: BackendAddress): "http" | "https" => (tls ? "https" : "http");

/** Returns the Host field that a backend gets. */
export function sentHost({ host }: Exchange, route: Route, backend: BackendAddress): string {
  const { config } = route;
  const set = setValue(route, "host");
  if (set !== undefined) return set;
  return config.upstream?.hostHeader === "backend" || host === "" ? backend.authority : host;
}
