import { ProxyError } from "../base/errors.ts";
import { pathFault } from "../http/routing-path.ts";

/** The request target in origin-form; the backend receives exactly `path + query`. */
export interface Target {
  readonly path: string;
  /** With its question mark; empty without a query. */
  readonly query: string;
}

/** A path that needs no further check: without a dot, percent sign or backslash. */
const PLAIN_PATH = /^\/[\w~!$&'()*+,;=:@/-]*$/;

/**
 * Reads the target of a request line, or refuses it with `bad_request`.
 *
 * A target that two parsers could read in two ways is refused before routing: sluice and the backend must see the same
 * path. The query is not read here: browsers send a bare percent sign in it as it is (WHATWG URL, query state), and each
 * policy that reads the query takes it literally. An absolute-form target is reduced to origin-form, if its authority is the Host, with or without the default port (RFC 9112 section 3.2.2).
 */
export function readTarget(raw: string, host: string): Target {
  const origin = raw.startsWith("/") ? raw : originForm(raw, host);
  if (/[^\x21-\x7e]|#/.test(origin))
    throw new ProxyError("bad_request", "target with a character that is not allowed in a URI");
  const mark = origin.indexOf("?");
  const path = mark < 0 ? origin : origin.slice(0, mark);
  const query = mark < 0 ? "" : origin.slice(mark);
  const fault = PLAIN_PATH.test(path) ? undefined : pathFault(path);
  if (fault !== undefined) throw new ProxyError("bad_request", `path with ${fault}`);
  return { path, query };
}

function originForm(raw: string, host: string): string {
  const parts = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(raw);
  if (parts === null) throw new ProxyError("bad_request", "target is neither a path nor an absolute URI");
  const [, scheme = "", authority = "", rest = ""] = parts;
  const defaultPort = scheme.toLowerCase() === "https" ? /:443$/ : /:80$/;
  const plain = (name: string) => name.toLowerCase().replace(defaultPort, "");
  if (authority === "" || plain(authority) !== plain(host)) {
    throw new ProxyError("bad_request", "authority of the target differs from Host");
  }
  return rest.startsWith("/") ? rest : `/${rest}`;
}
