/** A version of nginx: major, minor, patch. */
export type NginxVersion = readonly [number, number, number];

/** The version assumed without an nginx on the PATH: that of Debian 12, the oldest in common use. */
export const ASSUMED_VERSION: NginxVersion = [1, 22, 1];

/** The first versions of changes that matter to a configuration, from nginx's CHANGES; tests ran both sides. */
export const SINCE = {
  /** `http2 on;` in place of `listen … http2`. */
  http2Directive: [1, 25, 1],
  /** `add_header_inherit`. */
  addHeaderInherit: [1, 29, 3],
  /** `proxy_http_version 2`. */
  http2Upstream: [1, 29, 4],
  /** HTTP/1.1 and keep-alive towards backends by default. */
  http11Upstream: [1, 29, 7],
  /** nginx forwards only one of two Host fields. */
  oneHost: [1, 31, 4],
} as const satisfies Readonly<Record<string, NginxVersion>>;

/** Parses `1.26` or `1.26.3`; a missing patch is the highest, as `1.26` means the branch. Undefined if invalid. */
export function parseVersion(text: string): NginxVersion | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?$/.exec(text);
  if (match === null) return undefined;
  return [Number(match[1]), Number(match[2]), match[3] === undefined ? 999 : Number(match[3])];
}

/** Whether `version` is `since` or newer. */
export function isAtLeast(version: NginxVersion, since: NginxVersion): boolean {
  const at = version.findIndex((part, index) => part !== since[index]);
  return at < 0 || (version[at] ?? 0) > (since[at] ?? 0);
}

/** Formats a version: `1.26.3`, or `1.26` without a patch. */
export const formatVersion = ([major, minor, patch]: NginxVersion): string =>
  patch === 999 ? `${major}.${minor}` : `${major}.${minor}.${patch}`;
