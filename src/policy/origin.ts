/** The origins that may use a route, compiled from its `allowOrigins`. */
export interface OriginSet {
  /** Whether `*` is in the list; the reply is then the same for every origin. */
  readonly isAny: boolean;
  has(origin: string): boolean;
}

interface Pattern {
  readonly scheme: string;
  /** `.example.com`, with the port if there is one. */
  readonly suffix: string;
}

/** Scheme, 253 characters of name (RFC 1035), port. No browser sends a longer origin. */
const MAX_ORIGIN_LENGTH = 300;
/** Labels contain no dots, so matching takes linear time. */
const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const SUFFIX = /^(?:\.[a-z0-9_-]+)+(?::\d{1,5})?$/;
/** Any scheme, for `*`: pages of apps and extensions have their own schemes. */
const SERIALIZED = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;

/**
 * Compiles exact origins, `https://*.example.com` and `*`.
 * Origins are compared byte for byte, as in the Fetch standard. A pattern stands for one or more labels
 * before its suffix: never for the apex, another scheme or another port. No regular expression is made from
 * the configuration, so there is no dot that matches any character and no missing anchor.
 */
export function compileOrigins(allowed: readonly string[]): OriginSet {
  const isAny = allowed.includes("*");
  const exact = new Set(allowed.filter((origin) => !origin.includes("*")));
  const patterns = allowed.flatMap(compilePattern);

  function has(origin: string): boolean {
    if (origin.length > MAX_ORIGIN_LENGTH) return false;
    if (exact.has(origin)) return true;
    if (isAny) return origin === "null" || SERIALIZED.test(origin);
    return patterns.some((pattern) => isMatch(pattern, origin));
  }

  return { isAny, has };
}

function compilePattern(text: string): Pattern[] {
  const start = text.indexOf("*");
  if (start < 0 || text === "*") return [];
  const pattern = { scheme: text.slice(0, start), suffix: text.slice(start + 1) };
  const isSound = /^https?:\/\/$/.test(pattern.scheme) && SUFFIX.test(pattern.suffix);
  // `https://*.` would stand for every name that ends in a dot.
  if (!isSound) throw new TypeError(`no origin pattern such as https://*.example.com: ${text}`);
  return [pattern];
}

function isMatch({ scheme, suffix }: Pattern, origin: string): boolean {
  if (!origin.startsWith(scheme) || !origin.endsWith(suffix)) return false;
  // If scheme and suffix overlap, `slice` returns an empty string, which is not a label.
  return LABELS.test(origin.slice(scheme.length, -suffix.length));
}
