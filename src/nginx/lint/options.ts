import type { NginxVersion } from "../version.ts";

/** A listener of sluice, as a possible target of a location. */
export interface SluiceListener {
  /** `HOST:PORT` in lower case, or `unix:PATH`. */
  readonly address: string;
  /** Whether it listens on all addresses of the machine. */
  readonly isWildcard: boolean;
  readonly hasProxyProtocol: boolean;
  readonly hasTls: boolean;
}

/** The facts about a route of sluice that lint needs. */
export interface SluiceRoute {
  readonly name: string;
  /** An exact path, or one that ends with `/*`. */
  readonly path: string;
  readonly hasWebSocket: boolean;
  readonly hasCors: boolean;
  /** Milliseconds; undefined without heartbeats. */
  readonly heartbeatMs: number | undefined;
}

/** The sluice behind nginx; without its configuration only the listeners are known. */
export interface SluiceFacts {
  readonly listeners: readonly SluiceListener[];
  /** Undefined without a configuration of sluice. */
  readonly routes: readonly SluiceRoute[] | undefined;
  /** Undefined without a configuration of sluice. */
  readonly trustedProxies: readonly string[] | undefined;
}

/** sluice's default heartbeat, for an instance whose configuration is not known. */
export const DEFAULT_HEARTBEAT_MS = 15_000;

export interface LintOptions {
  readonly version: NginxVersion;
  readonly sluice: SluiceFacts;
  /** The paths that the user names as streams. */
  readonly streams: readonly string[];
  /** The longest time in which the backends send at least one byte. Milliseconds; undefined if not known. */
  readonly heartbeatMs: number | undefined;
  /** The rules to run; undefined for all. */
  readonly only: ReadonlySet<string> | undefined;
  readonly off: ReadonlySet<string>;
}
