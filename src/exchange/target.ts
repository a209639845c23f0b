import { ProxyError } from "../base/errors.ts";
import { pathFault } from "../http/routing-path.ts";

/** The request target in origin-form; the backend receives exactly `path + query`. */
export interface Target {
  readonly path: string;
  /** With its question mark; empty without one. */
  readonly query: string;
}

/** A path in which nothing needs a closer look: no dot, no percent sign, no backslash. */
const PLAIN_PATH = /^\/[\w~!$&'()*+,;=:@/-]*$/;

/**
 * Reads the target of a request line, or refuses it with `bad_request`.
 *
 * What two parsers could read in two ways never gets as far as routing: whoever checks a request and
 * whoever serves it must see the same path. An absolute-form target is reduced to origin-form here,
 * once (RFC 9112 section 3.2.2), and only if its authority is the Host.
 */
export function readTarget(raw: string, host: string): Target {
  const origin = raw.startsWith("/") ? raw : originForm(raw, host);
  if (/[^\x21-\x7e]|#/.test(origin))
    throw new ProxyError("bad_request", "target holds a character that no URI has");
  const mark = origin.indexOf("?");
  const path = mark < 0 ? origin : origin.slice(0, mark);
  const query = mark < 0 ? "" : origin.slice(mark);
  const fault = PLAIN_PATH.test(path) ? undefined : pathFault(path);
  if (fault !== undefined) throw new ProxyError("bad_request", `path with ${fault}`);
  if (/%(?![0-9a-f]{2})/i.test(query))
    throw new ProxyError("bad_request", "query with invalid percent-encoding");
  return { path, query };
}

function originForm(raw: string, host: string): string {
  const parts = /^https?:\/\/([^/?#]*)(.*)$/is.exec(raw);
  if (parts === null) throw new ProxyError("bad_request", "target is neither a path nor an absolute URI");
  const [, authority = "", rest = ""] = parts;
  if (authority === "" || authority.toLowerCase() !== host.toLowerCase()) {
    throw new ProxyError("bad_request", "authority of the target differs from Host");
  }
  return rest.startsWith("/") ? rest : `/${rest}`;
}
