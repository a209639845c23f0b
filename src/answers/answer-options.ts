import type { ProxyError } from "../base/errors.ts";
import type { ResumeConfig } from "../config/resume-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Source } from "../http/source.ts";
import type { History } from "../shared/history.ts";
import type { ChannelStore } from "../shared/store.ts";
import type { AnswerClient } from "./answer-client.ts";
import type { AnsweringRoute } from "./answer-dial.ts";
import type { AnswerGeneration } from "./answer-generation.ts";
import type { AnswerUpkeep } from "./answer-upkeep.ts";
import type { Verdict } from "./answer-verdict.ts";

/** The calls of a generation to its answer, beside those through the store. */
export interface GenerationListener {
  /** Passes a response that is not kept to all clients that wait. */
  pass(source: Source): void;
  /** Notes the error of the dial, which says more than the state that other processes get. */
  failedWith(error: ProxyError): void;
}

export interface AnswerOptions {
  /** 128 random bits, in Location. */
  readonly id: string;
  readonly route: AnsweringRoute;
  readonly config: ResumeConfig;
  /** The path and query for Location. */
  readonly target: string;
  readonly history: History;
  readonly store: ChannelStore;
  /** The request that the backend gets; undefined if another process generates the answer. */
  readonly first: Exchange | undefined;
  /** Tells other instances of it; undefined if the record lives in this process alone. */
  readonly upkeep: AnswerUpkeep | undefined;
  readonly onFault: (error: unknown) => void;
  /** The backend request of this process; undefined if another process generates the answer. */
  generation(listener: GenerationListener): AnswerGeneration | undefined;
  /** A client has got its verdict. */
  onVerdict(verdict: Verdict, client: AnswerClient): void;
  /** The beginning is no longer kept, because the answer is longer than `resume.bytes`. */
  onTooLong(): void;
  /** The key is free again. */
  onFreed(): void;
  onClosed(): void;
}
