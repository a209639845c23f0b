import type { Found } from "./diagnosis.ts";
import type { Cut } from "./ending.ts";
import type { Reading } from "./reading.ts";
import type { Remedy } from "./remedy.ts";
import type { Symptom } from "./symptom.ts";
import type { TrialResults } from "./trials.ts";

/** Exit codes: the stream is prompt; late or cut; none, or out of reach. */
export const PROBE_EXIT = { prompt: 0, late: 1, none: 2 } as const;

/** What a probe found. */
export interface Verdict {
  readonly outcome: "prompt" | "late" | "cut" | "silent" | "no-stream" | "unreachable";
  /** How it is late, of `late`; what failed, of `unreachable`. */
  readonly kind: string | undefined;
  /** The hop at fault; undefined where there is no fault. */
  readonly hop: string | undefined;
  /** The program at fault, as far as it names itself. */
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
