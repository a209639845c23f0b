import { isErrorCode, ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { ConnectionCount, Counters } from "../limits/counters.ts";
import { type RateCount, RateLimit } from "../limits/rate-limit.ts";
import type { ReplayGuard } from "../limits/seen-signatures.ts";
import type { StreamLimit, StreamLimits } from "../limits/stream-limit.ts";
import type { TicketBox } from "../limits/ticket-box.ts";
import type { PrimaryCalls } from "./calls.ts";
import type { ProcessLink } from "./process-link.ts";

type Link = Pick<ProcessLink<PrimaryCalls>, "call" | "tell">;

/**
 * The primary's counters, as a worker asks for them; it asks only where something is configured.
 *
 * Without an answer nothing is taken for unused: a signature is not known to be new, a stream has no place. Rates
 * and connections, which a client that is refused may not have used up itself, are then counted here alone.
 */
export class RemoteCounters implements Counters {
  readonly seen: ReplayGuard;
  readonly connections: RemoteConnections;
  readonly #link: Link;
  #lastStream = 0;

  constructor(link: Link) {
    this.#link = link;
    this.connections = new RemoteConnections(link);
    this.seen = {
      admit: async (signature, expiresAt, now) =>
        await link.call("admit", { signature, expiresAt, now }).catch(() => "unknown" as const),
    };
  }

  /** The primary has the configuration, too. */
  limitSignatures(): void {}

  tickets(route: string): TicketBox {
    // Whether a ticket was kept, or given out, only the primary knows.
    const unknown = (cause: unknown) => {
      throw new ProxyError("replay_unknown", "the primary does not answer", { cause });
    };
    return {
      put: (hash, issued, limit) =>
        this.#link.call("putTicket", { route, hash, issued, limit }).catch(unknown),
      take: (hash) => this.#link.call("takeTicket", { route, hash }).catch(unknown),
    };
  }

  rate(route: string, config: RateConfig): RateLimit {
    return new RemoteRate(route, config, this.#link);
  }

  streams(place: string, { streams, streamsPerClient }: StreamLimits): StreamLimit | undefined {
    if (streams === undefined && streamsPerClient === undefined) return undefined;
    const limits = { streams, streamsPerClient };
    return { acquire: (address) => this.#enter(place, limits, address) };
  }

  async #enter(place: string, limits: StreamLimits, address: string): Promise<Release> {
    const id = ++this.#lastStream;
    // A second time is none: the primary has forgotten the number.
    const release = () => this.#link.tell("leaveStream", id);
    const refusal = await this.#link.call("enterStream", { id, place, limits, address }).catch((cause) => {
      // The answer may have been yes, and only too late.
      release();
      const options = { cause, fields: [retrySoon()] };
      throw new ProxyError("too_many_streams", "the primary does not answer", options);
    });
    if (refusal === undefined) return release;
    // A newer primary may have a code that this process does not know.
    const code = isErrorCode(refusal.code) ? refusal.code : "too_many_streams";
    throw new ProxyError(code, refusal.detail, { fields: refusal.fields });
  }
}

/** This process's connections; the primary is told of them from the first one on that a limit is to hold for. */
class RemoteConnections implements ConnectionCount {
  readonly #link: Link;
  #open = 0;
  #isTold = false;

  constructor(link: Link) {
    this.#link = link;
  }

  get own(): number {
    return this.#open;
  }

  enter(isLimited: boolean): number | Promise<number> {
    this.#open++;
    if (!isLimited) {
      this.#tell();
      return this.#open;
    }
    this.#isTold = true;
    return this.#link.call("countConnections", this.#open).catch(() => this.#open);
  }

  leave(): void {
    this.#open--;
    this.#tell();
  }

  /** Tells of those that came before there was a limit. */
  limit(): void {
    this.#isTold = true;
    this.#tell();
  }

  #tell(): void {
    if (this.#isTold) this.#link.tell("countConnections", this.#open);
  }
}

/** A rate that the primary counts. */
class RemoteRate extends RateLimit {
  readonly #route: string;
  readonly #rate: RateConfig;
  readonly #link: Link;

  constructor(route: string, config: RateConfig, link: Link) {
    super(config);
    this.#route = route;
    this.#rate = config;
    this.#link = link;
  }

  override async consume(key: string): Promise<RateCount> {
    try {
      return await this.#link.call("countRequest", { route: this.#route, config: this.#rate, key });
    } catch {
      return await super.consume(key);
    }
  }

  override async giveBack(key: string): Promise<void> {
    await this.#link.call("uncountRequest", { route: this.#route, config: this.#rate, key }).catch(() => {});
  }
}
