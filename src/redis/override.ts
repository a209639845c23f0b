import type { BackendState } from "../shared/store.ts";
import type { RecordPlace } from "./append.ts";
import { RedisFault } from "./redis-fault.ts";
import { OVERRIDE } from "./scripts.ts";
import { writeState } from "./state.ts";

/**
 * Replaces the state of a record that another process leads, and has that process look at once: it loses the lease and
 * stops. Resolves also if Redis is away; then nothing has changed.
 */
export async function overrideState(
  { place, notify }: { readonly place: RecordPlace; notify(): void },
  state: BackendState,
): Promise<void> {
  const { connection, keys, leaseMs } = place;
  try {
    await connection.run(OVERRIDE, [keys.lease, keys.meta], [writeState(state), String(leaseMs)]);
    notify();
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
  }
}
