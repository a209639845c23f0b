import { isErrorCode, ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import {
  type ConnectionCount,
  type CounterStore,
  CounterStoreUnavailable,
  type Places,
  type SessionBounds,
  type Sessions,
  type Signatures,
  type StreamLimits,
  type TicketStore,
  type WindowConfig,
  type Windows,
} from "../limits/counter-store.ts";
import { MemoryCounterStore } from "../limits/memory-counter-store.ts";
import { withOwnSessions } from "../limits/shared-sessions.ts";
import { memoryWindows, withFallback } from "../limits/windows.ts";
import type { PrimaryCalls } from "./calls.ts";
import type { ProcessLink } from "./process-link.ts";

type Link = Pick<ProcessLink<PrimaryCalls>, "call" | "tell">;

/** Counts in the primary, for all workers. A worker calls the primary only if a limit is configured. */
export class PrimaryCounterStore implements CounterStore {
  readonly signatures: Signatures;
  readonly connections: PrimaryConnections;
  readonly #link: Link;
  /** Holds the sessions of this worker, for as long as the primary does not answer. */
  readonly #own = new MemoryCounterStore(0);
  #lastStream = 0;

  constructor(link: Link) {
    this.#link = link;
    this.connections = new PrimaryConnections(link);
    this.signatures = {
      useOnce: (signature, expiresAt, now) => answered(link.call("admit", { signature, expiresAt, now })),
    };
  }

  /** Does nothing: the primary has the configuration, too. */
  limitSignatures(): void {}

  tickets(route: string): TicketStore {
    return {
      put: (hash, issued, limit) => answered(this.#link.call("putTicket", { route, hash, issued, limit })),
      take: (hash) => answered(this.#link.call("takeTicket", { route, hash })),
    };
  }

  windows(route: string, config: WindowConfig): Windows {
    const own = memoryWindows(config);
    const ofPrimary = {
      take: (key: string, amount?: number) =>
        answered(this.#link.call("countRequest", { route, config, key, amount })),
      release: (key: string, amount?: number) =>
        answered(this.#link.call("uncountRequest", { route, config, key, amount })),
    };
    return { ...withFallback(ofPrimary, own), close: () => own.close() };
  }

  sessions(route: string, environment: string, bounds: SessionBounds): Sessions {
    const keyOf = (session: string) => ({ route, environment, bounds, session });
    const ofPrimary = {
      find: (session: string) => answered(this.#link.call("findSession", keyOf(session))),
      put: (session: string, backend: string) =>
        answered(this.#link.call("putSession", { ...keyOf(session), backend })),
    };
    return withOwnSessions(ofPrimary, this.#own.sessions(route, environment, bounds));
  }

  places(name: string, limits: StreamLimits): Places {
    return { take: (address) => this.#takePlace(name, limits, address) };
  }

  async #takePlace(place: string, limits: StreamLimits, address: string): Promise<Release> {
    const id = ++this.#lastStream;
    // A second call does nothing: the primary has forgotten the number.
    const release = () => this.#link.tell("leaveStream", id);
    const refusal = await answered(this.#link.call("enterStream", { id, place, limits, address })).catch(
      (error) => {
        // The primary may have given a place, but its answer came too late.
        release();
        throw error;
      },
    );
    if (refusal === undefined) return release;
    // A newer primary may send a code that this version does not know.
    const code = isErrorCode(refusal.code) ? refusal.code : "too_many_streams";
    throw new ProxyError(code, refusal.detail, { fields: refusal.fields });
  }
}

/** The connections of this process, reported to the primary from the first limited connection on. */
class PrimaryConnections implements ConnectionCount {
  readonly #link: Link;
  #open = 0;
  #isReported = false;

  constructor(link: Link) {
    this.#link = link;
  }

  get own(): number {
    return this.#open;
  }

  take(isLimited: boolean): number | Promise<number> {
    this.#open++;
    if (!isLimited) {
      this.#report();
      return this.#open;
    }
    this.#isReported = true;
    return answered(this.#link.call("countConnections", this.#open));
  }

  release(): void {
    this.#open--;
    this.#report();
  }

  /** Reports the connections that were opened before there was a limit. */
  limit(): void {
    this.#isReported = true;
    this.#report();
  }

  #report(): void {
    if (this.#isReported) this.#link.tell("countConnections", this.#open);
  }
}

async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (cause) {
    throw new CounterStoreUnavailable("the primary does not answer", { cause });
  }
}
