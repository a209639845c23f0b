import { DueTimer } from "../base/due-timer.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { Source } from "../http/source.ts";

/**
 * Reads a response to its end and drops it, for a backend whose client has left before the response head
 * (`onClientGone: drain`). Cancels a response that is silent for `silenceMs`: it would have no other end.
 */
export function discard(source: Source, silenceMs: number, owner: FaultOwner): void {
  const onSilence = guarded(
    (error) => owner.fault(error),
    () => source.cancel(),
  );
  const silence = new DueTimer(silenceMs, onSilence);
  source.onClose(() => silence.clear());
  source.start({
    onData: () => silence.refresh(),
    onEnd() {},
    onError() {},
  });
}
