import { ProxyError } from "../base/errors.ts";
import { failureOf } from "../shared/backend-verdict.ts";
import type { History } from "../shared/history.ts";
import type { BackendState } from "../shared/store.ts";
import type { AnswerClient } from "./answer-client.ts";
import { answerStart } from "./answer-start.ts";

/** The response to a client that asks for an answer, once the state of the answer is known. */
export type Verdict =
  /** The answer from its position on. */
  | { readonly is: "attached" }
  /** Nothing, because it has the whole answer. */
  | { readonly is: "read" }
  /** A refusal, because what it lacks is no longer kept. */
  | { readonly is: "gone"; readonly error: ProxyError }
  /** The refusal of the backend request. */
  | { readonly is: "failed"; readonly error: ProxyError };

/** Judges a client. A POST that has the whole answer gets an empty one: its client waits for a stream. */
export function verdictFor(
  { lastEventId, exchange }: AnswerClient,
  state: BackendState,
  history: History,
): Verdict {
  if (state.is === "failed") return { is: "failed", error: failureOf(state) };
  const start = answerStart(history, lastEventId);
  if (start === undefined) {
    return {
      is: "gone",
      error: new ProxyError("answer_gone", "what follows the client's event is not kept"),
    };
  }
  const hasAll = state.is === "ended" && start.seq === history.lastSeq && start.rest === undefined;
  return { is: hasAll && exchange.request.method !== "POST" ? "read" : "attached" };
}
