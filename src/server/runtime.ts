import type { Trust } from "../base/address.ts";
import type { Config } from "../config/server-schema.ts";
import type { Log } from "../observe/log.ts";
import { JwksSets } from "../pipeline/jwks-sets.ts";
import { SeenSignatures } from "../pipeline/seen-signatures.ts";
import type { Router } from "../routing/router.ts";
import type { Relay } from "../stream/relay.ts";
import { type Changes, changesBetween } from "./changes.ts";
import type { RuntimeRoute } from "./runtime-route.ts";
import { createSnapshot, type Snapshot } from "./snapshot.ts";

/** A configuration that is ready to take the place of the present one: exactly one of the two is called, once. */
export interface PreparedReload {
  readonly changes: Changes;
  /** From the next request on this is the configuration. */
  commit(): void;
  /** Closes what was made for it. */
  discard(): void;
}

/**
 * What the request path works with: the present configuration, compiled, and what outlives it.
 *
 * Listeners hold it for as long as they live. A reload changes what it refers to, between two requests and all
 * at once; a stream under way keeps the route it began on.
 */
export class Runtime {
  readonly log: Log;
  /** The streams under way. */
  readonly relays = new Set<Relay>();
  readonly #jwksSets: JwksSets;
  /** One over all reloads, because a reload must not let a signature come twice. */
  readonly #seen: SeenSignatures;
  #snapshot: Snapshot;

  constructor(config: Config, log: Log) {
    this.log = log;
    this.#jwksSets = new JwksSets(log);
    this.#seen = new SeenSignatures(config.server.limits.signatures);
    this.#snapshot = this.#compile(config);
  }

  get config(): Config {
    return this.#snapshot.config;
  }

  get router(): Router<RuntimeRoute> {
    return this.#snapshot.router;
  }

  get trust(): Trust {
    return this.#snapshot.trust;
  }

  get maxHeaderFields(): number {
    return this.config.server.limits.headers;
  }

  /** Gets what has to be there before the first request; rejects with a ConfigError that names its place. */
  async start(): Promise<void> {
    await this.#jwksSets.start(this.config.routes);
  }

  /**
   * Compiles a configuration and gets what is new in it; rejects with a ConfigError, and nothing has changed.
   * Whoever reloads waits for one to end before the next.
   */
  async prepare(config: Config): Promise<PreparedReload> {
    const before = this.#snapshot;
    const after = this.#compile(config, before);
    const discard = () => {
      for (const part of after.parts) if (!before.parts.has(part)) part.close();
      this.#jwksSets.keep(before.config.routes);
    };
    try {
      await this.#jwksSets.start(config.routes);
    } catch (error) {
      discard();
      throw error;
    }
    return { changes: changesBetween(before, after), commit: () => this.#replace(before, after), discard };
  }

  /** Closes the connections to backends, and what was started. */
  close(): void {
    this.#jwksSets.close();
    for (const part of this.#snapshot.parts) part.close();
  }

  #compile(config: Config, previous?: Snapshot): Snapshot {
    const credentials = {
      apps: config.apps,
      seen: this.#seen,
      maxBodyBytes: config.server.limits.bodyBytes,
      jwks: (place: string) => this.#jwksSets.at(place),
    };
    return createSnapshot(config, { credentials, log: this.log }, previous);
  }

  #replace(before: Snapshot, after: Snapshot): void {
    this.#snapshot = after;
    this.#seen.maxEntries = after.config.server.limits.signatures;
    this.#jwksSets.keep(after.config.routes);
    for (const part of before.parts) if (!after.parts.has(part)) part.retire();
  }
}
