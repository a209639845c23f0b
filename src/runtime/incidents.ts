/** A kind of trouble that is over when it is noticed. */
export const INCIDENTS = ["internal_error", "stall", "worker_died"] as const;

export type IncidentKind = (typeof INCIDENTS)[number];

/** How often something has happened since the start, and when last. */
export interface Incident {
  readonly count: number;
  /** Milliseconds since 1970; 0 if it has not happened. */
  readonly lastAt: number;
}

/** The incidents of each kind. */
export type IncidentCounts = Readonly<Record<IncidentKind, Incident>>;

const NEVER: Incident = { count: 0, lastAt: 0 };

/** Counts the incidents of a process since its start. */
export class Incidents {
  #counts: IncidentCounts = { internal_error: NEVER, stall: NEVER, worker_died: NEVER };

  get counts(): IncidentCounts {
    return this.#counts;
  }

  note(kind: IncidentKind): void {
    this.#counts = { ...this.#counts, [kind]: { count: this.#counts[kind].count + 1, lastAt: Date.now() } };
  }
}

/** Adds up the incidents of several processes. */
export function addedIncidents(all: readonly IncidentCounts[]): IncidentCounts {
  const added = (kind: IncidentKind): Incident => ({
    count: all.reduce((sum, counts) => sum + counts[kind].count, 0),
    lastAt: Math.max(0, ...all.map((counts) => counts[kind].lastAt)),
  });
  return {
    internal_error: added("internal_error"),
    stall: added("stall"),
    worker_died: added("worker_died"),
  };
}
