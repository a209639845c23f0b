import type { Log } from "../observe/log.ts";
import type { LoopGuard } from "./loop-guard.ts";

/** What an upstream belongs to. */
export interface UpstreamOwner {
  /** The route's name. */
  readonly name: string;
  readonly log: Log;
  readonly loops: LoopGuard;
}
