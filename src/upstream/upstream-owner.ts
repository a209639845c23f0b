import type { CounterStore } from "../limits/counter-store.ts";
import type { Log } from "../observe/log.ts";
import type { LoopGuard } from "./loop-guard.ts";

/** The route that an upstream belongs to, and what it needs from its surroundings. */
export interface UpstreamOwner {
  /** The route's name. */
  readonly name: string;
  readonly environment: string;
  readonly counters: Pick<CounterStore, "sessions">;
  readonly log: Log;
  readonly loops: LoopGuard;
}
