import type { Found } from "./diagnosis.ts";
import type { Cut } from "./ending.ts";
import type { Reading } from "./reading.ts";
import type { Remedy } from "./remedy.ts";
import type { Symptom } from "./symptom.ts";
import type { TrialResults } from "./trials.ts";

/** Exit codes: prompt; late or cut; no stream or not reachable. */
export const PROBE_EXIT = { prompt: 0, late: 1, none: 2 } as const;

/** The result of a probe. */
export interface Verdict {
  readonly outcome: "prompt" | "late" | "cut" | "silent" | "no-stream" | "unreachable";
  /** The kind of delay for `late`, of cut for `cut`, of failure for `unreachable`. */
  readonly kind: string | undefined;
  /** The hop that causes the problem; undefined without a problem. */
  readonly hop: string | undefined;
  /** The program at that hop, when its response names it. */
  readonly software: string | undefined;
  readonly isSure: boolean;
  /** One sentence. */
  readonly sentence: string;
  readonly remedy: Remedy | undefined;
  readonly exit: number;
}

export interface Findings {
  /** From the innermost hop to the URL. */
  readonly readings: readonly Reading[];
  readonly delay: Found<Symptom> | undefined;
  readonly cut: Found<Cut> | undefined;
  readonly results: TrialResults;
  readonly forMs: number;
}
