import type { Level } from "../level.ts";
import type { SourceFile } from "../source-file.ts";

/** How bad a finding is: `error` breaks streams or nginx, `warning` will under some condition, `info` is to know. */
export type Severity = "error" | "warning" | "info";

export const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];

/** Whether `a` is as bad as `b`, or worse. */
export const isAsBadAs = (a: Severity, b: Severity): boolean =>
  SEVERITIES.indexOf(a) <= SEVERITIES.indexOf(b);

/** A piece of a file to replace; offsets count UTF-16 units of its text. */
export interface Edit {
  readonly file: SourceFile;
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Edits that mend a finding. */
export interface Fix {
  readonly edits: readonly Edit[];
  /** The directives whose effective values may change by it; a fix that changes any other is taken back. */
  readonly changes: readonly string[];
}

/** A range of a file. */
export interface Range {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

/** Something that a rule has found. */
export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  readonly at: Range;
  /** Patterns of the locations it concerns, such as `/events`; empty when it is about none. */
  readonly locations: readonly string[];
  readonly message: string;
  /** Where the value comes from, such as `proxy_buffering on (default; nothing sets it in …)`. */
  readonly cause: string | undefined;
  /** What to do, in words. */
  readonly remedy: string;
  readonly facts: readonly string[];
  readonly fix: Fix | undefined;
  /** Whether it is about a location that may carry streams or not: counted, and shown only when asked for. */
  readonly isPossible: boolean;
}

/** What a rule hands to the engine; the engine adds the rest. */
export interface Report {
  readonly severity: Severity;
  readonly at: Range;
  readonly message: string;
  readonly remedy: string;
  readonly cause?: string | undefined;
  readonly fix?: Fix | undefined;
  /** A location that it concerns, where that is not the place itself. */
  readonly location?: Level | undefined;
}
