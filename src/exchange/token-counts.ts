/** The tokens of a model's answer, as far as they are known. */
export interface TokenCounts {
  /** Undefined until the backend has reported its usage. */
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** The time from the request to the first generated output of a streamed answer, in ms. */
  readonly firstTokenMs: number | undefined;
  /** The model that the backend names, in at most 100 characters before the escapes of control characters. */
  readonly model: string | undefined;
  /** The events, lines or JSON objects so far; events that came together may count as one. */
  readonly parts: number;
  /** Whether the counts are those of the whole answer. */
  readonly isFinal: boolean;
}
