import type { EndedStream } from "../runtime/ended-stream.ts";

/** The maximum number of ended streams in one overview. */
const MAX_ENDS = 20;

/** The choice of ended streams for a dashboard; undefined for all. */
export interface EndQuery {
  readonly endRoute: string | undefined;
  readonly endReason: string | undefined;
}

/** Returns the streams that ended last, newest first. */
export function listEnds(ends: readonly EndedStream[], { endRoute, endReason }: EndQuery): EndedStream[] {
  return ends
    .filter(({ route }) => endRoute === undefined || route === endRoute)
    .filter(({ reason }) => endReason === undefined || reason === endReason)
    .sort((a, b) => b.endedAt - a.endedAt)
    .slice(0, MAX_ENDS);
}
