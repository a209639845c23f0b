import { DueTimer } from "../base/due-timer.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { Source } from "../http/source.ts";

/**
 * Reads an answer to its end and drops it, for the sake of a backend whose client has left before the head
 * (`onClientGone: drain`). Cancels one that is silent for `silenceMs`: nothing else would end it.
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
