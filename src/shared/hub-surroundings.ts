import type { Capacity } from "../limits/capacity.ts";
import type { Log } from "../observe/log.ts";
import type { LoopGuard } from "../upstream/loop-guard.ts";
import type { HistoryBudget } from "./history-budget.ts";
import type { Store } from "./store.ts";

/** What all hubs of a gateway have in common. */
export interface HubSurroundings {
  readonly store: Store;
  readonly budget: HistoryBudget;
  readonly capacity: Pick<Capacity, "backendFiles" | "checkBackendFile">;
  readonly log: Log;
  readonly loops: LoopGuard;
  /** Reports an error of our own, in a callback that belongs to no exchange. */
  onFault(error: unknown): void;
}
