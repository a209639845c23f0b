import { randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { ResumeConfig } from "../config/resume-schema.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { ResumeResult, RouteAnswers, Unrecorded } from "../observe/answer-metrics.ts";
import { StoreUnavailable } from "../shared/store.ts";
import type { Answer } from "./answer.ts";
import type { AnsweringRoute } from "./answer-dial.ts";
import type { AnswerName } from "./answer-name.ts";
import { AnswerTable } from "./answer-table.ts";
import { type AnswerDetails, type AnswersContext, type Asking, openAnswer, recordOf } from "./open-answer.ts";
import { isPositionId } from "./position-id.ts";

/** Bytes of an ID in Location: on a route without auth it is all that protects the answer. */
const ID_BYTES = 16;

/** The answer to a named POST. */
export type Claimed =
  /** The backend has been asked for it. */
  | { readonly is: "new"; readonly answer: Answer }
  /** It was asked for before. */
  | { readonly is: "known"; readonly answer: Answer }
  /** It cannot be kept. */
  | { readonly is: "unrecorded" };

/** The named answers of one route in one environment. */
export class Answers {
  readonly config: ResumeConfig;
  readonly table: AnswerTable;
  readonly #route: AnsweringRoute;
  readonly #context: AnswersContext;
  #isClosed = false;

  /** `table` is that of the configuration before a reload. */
  constructor(
    route: AnsweringRoute,
    config: ResumeConfig,
    context: AnswersContext,
    table = new AnswerTable(),
  ) {
    this.#route = route;
    this.config = config;
    this.table = table;
    this.#context = context;
    table.use();
  }

  /** The counts for metrics. */
  get counts(): RouteAnswers {
    return { route: this.#route.config.name, ...this.table.counts };
  }

  /** Whether answers come from this process whose record outlives it. */
  get isGenerating(): boolean {
    return this.#context.store.answers !== undefined && this.table.isGenerating;
  }

  /**
   * Finds the answer to a GET or DELETE; undefined if it is unknown or belongs to another client. The caller releases it. Throws `answer_unavailable` if Redis is away.
   */
  async find(name: AnswerName): Promise<Answer | undefined> {
    try {
      const answer = await this.#lookUp(name);
      await answer?.state.ready();
      if (answer?.state.facts?.scope === name.scope) return answer;
      answer?.release();
      return undefined;
    } catch (error) {
      throw error instanceof StoreUnavailable ? unavailable(error) : error;
    }
  }

  /**
   * Finds the answer to a named POST, or sends its request to the backend. A broken answer is generated anew for a
   * client that has nothing of it; any other client gets the rest of the answer that it knows. The caller releases it. Throws
   * `answer_gone` or `answer_unavailable` for a client that has a part of an answer that cannot be continued.
   */
  async claim(name: AnswerName, asking: Asking): Promise<Claimed> {
    if (this.#isClosed) throw new ProxyError("closing", "the route was removed");
    if (name.name === undefined || name.owner === undefined) {
      this.#refuseOther(name);
      return this.#unrecorded("owner");
    }
    const { name: hash, owner } = name;
    try {
      return await this.table.inTurn(hash, () => this.#claim({ ...name, name: hash, owner }, asking));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      // Another generation would not continue the part that the client has.
      if (isPositionId(name.lastEventId)) throw unavailable(error);
      return this.#unrecorded("redis");
    }
  }

  /** Counts a client that came back and gets no answer. */
  resumed(result: ResumeResult): void {
    this.#context.answers.resumed(this.#route.config.name, result);
  }

  /** Accepts no new requests; each answer goes on until its last client has left. */
  retire(): void {
    this.#isClosed = true;
    if (this.table.disuse()) for (const answer of [...this.table.answers]) answer.retire();
  }

  /** Ends every answer. */
  close(reason: EndReason = "drained"): void {
    this.#isClosed = true;
    if (this.table.disuse()) for (const answer of [...this.table.answers]) answer.close(reason);
  }

  async #claim(
    name: AnswerName & { readonly name: string; readonly owner: string },
    asking: Asking,
  ): Promise<Claimed> {
    const known = await this.#lookUp(name);
    await known?.state.ready();
    if (known !== undefined && !(known.state.is === "broken" && name.lastEventId === ""))
      return { is: "known", answer: known };
    known?.release();
    this.#refuseOther(name);
    const { answers, answersPerClient } = this.config;
    if (this.table.size >= answers) return this.#unrecorded("answers");
    if (this.table.countOf(name.owner) >= answersPerClient) return this.#unrecorded("client");
    this.#context.capacity.checkBackendFile();
    const id = randomBytes(ID_BYTES).toString("base64url");
    const holder = await this.#claimName(name.name, { id, replaced: known?.id });
    // Another instance has claimed the name in the meantime.
    if (holder !== id) return { is: "known", answer: held(this.#follow(name, holder)) };
    const answer = openAnswer({ ...this.#detailsOf(name, id), asking }, this.#context);
    this.table.count(answer, name.owner);
    return { is: "new", answer: held(answer) };
  }

  /** Refuses a client that has a part of a lost generation: another one would not continue it. */
  #refuseOther({ lastEventId }: AnswerName): void {
    if (isPositionId(lastEventId))
      throw new ProxyError("answer_gone", "the client's event is of another answer");
  }

  async #claimName(
    name: string,
    ids: { readonly id: string; readonly replaced: string | undefined },
  ): Promise<string> {
    return (await this.#context.store.answers?.claim(name, ids, this.config.keep)) ?? ids.id;
  }

  /** Returns the answer with this ID or name, from this process or another one, and holds it. */
  async #lookUp(name: AnswerName): Promise<Answer | undefined> {
    const answer = await this.#search(name);
    return answer && held(answer);
  }

  async #search(name: AnswerName): Promise<Answer | undefined> {
    const local = name.name === undefined ? this.table.withId(name.id ?? "") : this.table.named(name.name);
    const { answers } = this.#context.store;
    // Another instance may have generated a broken answer anew.
    const isSettled = local !== undefined && (local.state.is !== "broken" || name.name === undefined);
    if (answers === undefined || isSettled) return local;
    const id = name.name === undefined ? name.id : await answers.find(name.name);
    if (id === undefined || id === local?.id) return local;
    // The record of a name may be made only now. An ID may be any text.
    const isThere = name.name !== undefined || (await answers.has(recordOf({ id, route: this.#route })));
    return isThere ? this.#follow(name, id) : local;
  }

  /** Returns the answer that another process generates, or has generated. */
  #follow(name: AnswerName, id: string): Answer {
    return this.table.withId(id) ?? openAnswer(this.#detailsOf(name, id), this.#context);
  }

  #detailsOf(name: AnswerName, id: string): AnswerDetails {
    return { id, name, route: this.#route, config: this.config, table: this.table, asking: undefined };
  }

  #unrecorded(reason: Unrecorded): Claimed {
    this.#context.answers.unrecorded(reason);
    return { is: "unrecorded" };
  }
}

function unavailable(cause: StoreUnavailable): ProxyError {
  return new ProxyError("answer_unavailable", "redis is away", { cause, fields: [retrySoon()] });
}

/** Holds an answer: without it, the leave of another client could close it before the caller joins. */
function held(answer: Answer): Answer {
  answer.hold();
  return answer;
}
