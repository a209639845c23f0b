import type { ResumeConfig } from "../config/resume-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { fieldValue } from "../http/fields.ts";
import type { Source } from "../http/source.ts";
import type { AnswerMetrics } from "../observe/answer-metrics.ts";
import { History } from "../shared/history.ts";
import type { HubContext } from "../shared/hub-context.ts";
import type { ChannelStore, HistoryBounds, RecordName } from "../shared/store.ts";
import { isStream } from "../stream/response-head.ts";
import { Answer } from "./answer.ts";
import { type AnsweringRoute, dialAnswer } from "./answer-dial.ts";
import { AnswerGeneration, type GenerationOptions } from "./answer-generation.ts";
import type { AnswerName } from "./answer-name.ts";
import type { AnswerOptions, GenerationListener } from "./answer-options.ts";
import type { AnswerTable } from "./answer-table.ts";
import { AnswerUpkeep } from "./answer-upkeep.ts";
import { hashBody } from "./body-hash.ts";

/** An answer is bounded by its bytes alone: it has an end. */
const UNBOUNDED = { events: Number.MAX_SAFE_INTEGER, ageMs: Number.MAX_SAFE_INTEGER };

/** Bytes of an answer beside its history, measured with 2,000 answers in a heap snapshot. */
const ANSWER_COST = 8_000;

/** The form of the records; instances with another one do not share answers. */
const DEFINITION = "answer";

export interface AnswersContext extends HubContext {
  readonly answers: Pick<AnswerMetrics, "resumed" | "unrecorded">;
}

/** The client whose request the backend gets. */
export interface Asking {
  readonly exchange: Exchange;
  readonly response: ClientResponse;
}

export interface AnswerDetails {
  readonly id: string;
  readonly name: AnswerName;
  readonly route: AnsweringRoute;
  readonly config: ResumeConfig;
  readonly table: AnswerTable;
  /** Undefined if another process generates the answer. */
  readonly asking: Asking | undefined;
}

/** Returns the name of an answer's record. */
export const recordOf = ({ id, route }: Pick<AnswerDetails, "id" | "route">): RecordName => ({
  key: id,
  route: route.config.name,
  definition: DEFINITION,
});

/** Opens an answer and puts it into the table: sends its request to the backend, or reads what another process has. */
export function openAnswer(details: AnswerDetails, context: AnswersContext): Answer {
  const { id, name, route, config, table } = details;
  const { store, budget, onFault, answers: metrics } = context;
  const first = details.asking?.exchange;
  const bounds: HistoryBounds = { ...UNBOUNDED, bytes: config.bytes };
  const history = new History(bounds, budget, ANSWER_COST);
  const isFollower = first === undefined;
  const record = store.open({ ...recordOf(details), bounds, answer: { keepMs: config.keep, isFollower } });
  const upkeep = upkeepOf(details, context);
  const free = () => {
    if (name.name !== undefined) table.free(answer, name.name);
  };
  const answer: Answer = new Answer({
    id,
    route,
    config,
    target: name.target,
    history,
    onFault,
    store: record,
    upkeep,
    first,
    generation: generatorOf(details, { history, record }, context),
    onVerdict: ({ is }, { isFirst }) => {
      if (!isFirst) metrics.resumed(route.config.name, is);
    },
    onTooLong: () => metrics.unrecorded("bytes"),
    onFreed: () => {
      free();
      upkeep?.free();
    },
    onClosed: () => {
      free();
      table.delete(answer);
    },
  });
  table.add(answer);
  if (name.name !== undefined) table.name(answer, name.name);
  return answer;
}

/**
 * Returns the function that creates the backend's side of an answer. A function of its own: the answer lasts longer than
 * the request and response of its first client, and must not keep them.
 */
function generatorOf(
  { asking, route, config, name }: AnswerDetails,
  { history, record }: { readonly history: History; readonly record: ChannelStore },
  { capacity, llm, log, onFault }: AnswersContext,
): AnswerOptions["generation"] {
  return (listener) => {
    if (asking === undefined) return undefined;
    const { exchange } = asking;
    const options: GenerationOptions = {
      history,
      store: record,
      scope: name.scope,
      addsIds: config.ids === "auto" && !readsNoIds(exchange),
      maxBytes: config.bytes,
      idleMs: route.config.stream.idleTimeout,
      isKept: isKeptOn(route),
      ...callsOf(listener),
      onFault,
    };
    const dial = dialAnswer({ ...asking, route, log, llm, onFault, files: capacity.backendFiles });
    return new AnswerGeneration(options, { dial, bodyHash: hashBody(exchange) });
  };
}

const callsOf = (listener: GenerationListener): Pick<GenerationOptions, "onPassed" | "onFailed"> => ({
  onPassed: (source) => listener.pass(source),
  onFailed: (error) => listener.failedWith(error),
});

/** Without the request's fields, which a kept answer must not hold: batches of tRPC are not kept. */
const NO_REQUEST = { request: { rawHeaders: [] } };

const isKeptOn =
  (route: AnsweringRoute) =>
  ({ head }: Source): boolean =>
    head.status === 200 && isStream(NO_REQUEST, head, route);

function upkeepOf(details: AnswerDetails, { store, onFault }: AnswersContext): AnswerUpkeep | undefined {
  if (store.answers === undefined) return undefined;
  const { id, name, config, asking } = details;
  return new AnswerUpkeep({
    index: store.answers,
    record: recordOf(details),
    id,
    name: name.name,
    keepMs: config.keep,
    isOwner: asking !== undefined,
    onFault,
  });
}

/** Whether a client fails on lines that its server did not send: Google's SDKs do not parse streams as WHATWG says. */
function readsNoIds({ request }: Exchange): boolean {
  return fieldValue(request.rawHeaders, "x-goog-api-client") !== undefined;
}
