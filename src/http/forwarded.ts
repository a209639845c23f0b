/** One hop that a proxy reported; each part as it was sent, undefined if it was not. */
export interface Hop {
  readonly node: string | undefined;
  readonly proto: string | undefined;
  readonly host: string | undefined;
}

// RFC 7239 section 4: token "=" ( token / quoted-string ). No character matches two parts, so the time is linear.
const PAIR = /[ \t]*([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)")[ \t]*([;,]|$)/y;

/**
 * Returns the hops of the Forwarded fields (RFC 7239), the client's first.
 *
 * Returns undefined if one field is malformed: a client that leaves a quote open could otherwise hide what the proxies
 * behind it append.
 */
export function parseForwarded(values: readonly string[]): Hop[] | undefined {
  const hops: Hop[] = [];
  for (const value of values) {
    let pairs = new Map<string, string>();
    let at = 0;
    while (at < value.length) {
      PAIR.lastIndex = at;
      const match = PAIR.exec(value);
      const [text = "", name = "", token, quoted = "", delimiter] = match ?? [];
      if (match === null || pairs.has(name.toLowerCase())) return undefined;
      pairs.set(name.toLowerCase(), token ?? quoted.replace(/\\(.)/g, "$1"));
      at += text.length;
      if (delimiter === ";") continue;
      hops.push(hopOf(pairs));
      pairs = new Map();
    }
    if (pairs.size > 0) return undefined;
  }
  return hops;
}

function hopOf(pairs: ReadonlyMap<string, string>): Hop {
  return { node: pairs.get("for"), proto: pairs.get("proto"), host: pairs.get("host") };
}
