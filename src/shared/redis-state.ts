import type { BackendState } from "./store.ts";

const KNOWN: ReadonlySet<string> = new Set([
  "connecting",
  "open",
  "ended",
  "failed",
] satisfies BackendState["is"][]);

/** How a backend stands, as a record keeps it. */
export const writeState = (state: BackendState): string => JSON.stringify(state);

/** Nothing written yet, or something of another version, says as little as that nobody has an answer yet. */
export function readState(text: string): BackendState {
  try {
    const state: unknown = JSON.parse(text);
    if (typeof state === "object" && state !== null && "is" in state && KNOWN.has(String(state.is))) {
      return state as BackendState;
    }
  } catch {
    // Not JSON: the same as a word that is not known.
  }
  return { is: "connecting" };
}
