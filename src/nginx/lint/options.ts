import type { NginxVersion } from "../version.ts";

/** A listener of sluice that locations may proxy to. */
export interface SluiceListener {
  /** `HOST:PORT` in lower case, or `unix:PATH`. */
  readonly address: string;
  /** Whether it listens on every address of the machine. */
  readonly isWildcard: boolean;
  readonly hasProxyProtocol: boolean;
  readonly hasTls: boolean;
}

/** What lint needs to know of a route of sluice. */
export interface SluiceRoute {
  readonly name: string;
  /** An exact path, or one that ends with `/*`. */
  readonly path: string;
  readonly hasWebSocket: boolean;
  readonly hasCors: boolean;
  /** Milliseconds; undefined when the route sends none. */
  readonly heartbeatMs: number | undefined;
}

/** The sluice behind an nginx; without a configuration only its listeners are known. */
export interface SluiceFacts {
  readonly listeners: readonly SluiceListener[];
  /** Undefined when no configuration was given. */
  readonly routes: readonly SluiceRoute[] | undefined;
  /** Undefined when no configuration was given. */
  readonly trustedProxies: readonly string[] | undefined;
}

/** sluice's own default, for an instance whose configuration is not known. */
export const DEFAULT_HEARTBEAT_MS = 15_000;

export interface LintOptions {
  readonly version: NginxVersion;
  readonly sluice: SluiceFacts;
  /** Paths that carry streams. */
  readonly streams: readonly string[];
  /** How often the backends send something, at least; in milliseconds; undefined when it is not known. */
  readonly heartbeatMs: number | undefined;
  /** Rules to run; undefined for all. */
  readonly only: ReadonlySet<string> | undefined;
  readonly off: ReadonlySet<string>;
}
