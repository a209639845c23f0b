import type { Level } from "../level.ts";
import type { SourceFile } from "../source-file.ts";

/** The severity: `error` breaks streams or nginx, `warning` does under some condition, `info` is good to know. */
export type Severity = "error" | "warning" | "info";

export const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];

/** Whether `a` is at least as severe as `b`. */
export const isAsBadAs = (a: Severity, b: Severity): boolean =>
  SEVERITIES.indexOf(a) <= SEVERITIES.indexOf(b);

/** A replacement in a file; offsets count UTF-16 units of its text. */
export interface Edit {
  readonly file: SourceFile;
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** The edits that fix a finding. */
export interface Fix {
  readonly edits: readonly Edit[];
  /** The directives whose effective values may change; a fix that changes any other is undone. */
  readonly changes: readonly string[];
}

/** A range of a file. */
export interface Range {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

/** A problem that a rule reports. */
export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  readonly at: Range;
  /** The patterns of the locations concerned, such as `/events`; may be empty. */
  readonly locations: readonly string[];
  readonly message: string;
  /** The origin of the value, such as `proxy_buffering on (default; nothing sets it in …)`. */
  readonly cause: string | undefined;
  /** The remedy in words. */
  readonly remedy: string;
  readonly facts: readonly string[];
  readonly fix: Fix | undefined;
  /** Whether the location only possibly carries streams: such findings are counted, and shown only on request. */
  readonly isPossible: boolean;
}

/** The part of a finding that the rule supplies; the engine adds the rest. */
export interface Report {
  readonly severity: Severity;
  readonly at: Range;
  readonly message: string;
  readonly remedy: string;
  readonly cause?: string | undefined;
  readonly fix?: Fix | undefined;
  /** The location concerned, if it is not the place itself. */
  readonly location?: Level | undefined;
}
