import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import { isExpected } from "../exchange/account.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { Source } from "../http/source.ts";
import type { Beats } from "../shared/beats.ts";
import { CatchUp } from "../shared/catch-up.ts";
import type { ChannelClient, Membership } from "../shared/channel-client.ts";
import type { History } from "../shared/history.ts";
import type { BackendState, ChannelFeed, StoredEvent, StreamRecord } from "../shared/store.ts";
import { Subscriber } from "../shared/subscriber.ts";
import type { AnswerClient } from "./answer-client.ts";
import { AnswerClients } from "./answer-clients.ts";
import type { AnsweringRoute } from "./answer-dial.ts";
import type { AnswerGeneration } from "./answer-generation.ts";
import { hasEvents } from "./answer-head.ts";
import { AnswerLife } from "./answer-life.ts";
import type { AnswerOptions, GenerationListener } from "./answer-options.ts";
import { AnswerState, brokenBy, cancelled, lost } from "./answer-state.ts";
import { AnswerTerms } from "./answer-terms.ts";
import { verdictFor } from "./answer-verdict.ts";
import { passToAll } from "./pass-to-all.ts";

/**
 * One answer to a named request: its bytes so far, and the clients that read it. It is dialled once and never again, so
 * that two generations cannot be mixed.
 *
 * It is to a named request what `Channel` is to a shared stream, and made of the same parts.
 */
export class Answer implements ChannelFeed, Membership, GenerationListener {
  readonly id: string;
  readonly route: AnsweringRoute;
  readonly history: History;
  readonly terms: AnswerTerms;
  readonly retryMs = undefined;
  readonly state = new AnswerState();
  readonly #options: Omit<AnswerOptions, "generation" | "first">;
  readonly #generation: AnswerGeneration | undefined;
  readonly #catchUp: CatchUp;
  readonly #life: AnswerLife;
  /** Clients that wait for the response head. */
  readonly #waiting = new Set<AnswerClient>();
  readonly #clients: AnswerClients;
  /** The error of the dial in this process, which says more than the state that other processes get. */
  #error: ProxyError | undefined;
  /** Requests that were found to be for it, and have not joined. */
  #holds = 0;
  #isClosed = false;
  #isRetired = false;
  /** Whether another process has taken the record over. */
  #isFenced = false;
  #isTooLong = false;
  /** Whether the end of an answer that another process has lost is still to be written. */
  #isWriting = false;
  #isSafe: boolean;

  constructor(options: AnswerOptions) {
    const { generation, first, ...kept } = options;
    this.#options = kept;
    const { id, route, history, store, config, onFault, target, upkeep } = kept;
    this.id = id;
    this.route = route;
    this.history = history;
    this.#catchUp = new CatchUp(history, store, onFault);
    this.#clients = new AnswerClients({
      history,
      stream: route.config.stream,
      onPass: () => this.#afterPass(),
      onFault,
    });
    this.terms = new AnswerTerms({
      place: { id, target },
      first,
      history,
      isLasting: upkeep !== undefined,
      fields: () => this.state.facts?.fields ?? [],
      isOnly: () => this.#clients.size === 1,
    });
    this.#life = new AnswerLife({
      times: config,
      upkeep,
      onAbandoned: () => this.cancel(new ProxyError("answer_cancelled", "no client for resume.grace")),
      onKept: () => this.retire(),
      onFault,
    });
    this.#isSafe = upkeep === undefined;
    this.#generation = generation(this);
    store.start(this);
  }

  get beats(): Beats {
    return this.#clients.beats;
  }

  /** The number of clients, waiting ones included. */
  get size(): number {
    return this.#clients.size + this.#waiting.size;
  }

  /** Whether other processes still wait for something from this one. */
  get isUnsafe(): boolean {
    return this.state.isRunning || !this.#isSafe;
  }

  /** Adds a client: it gets the answer as soon as the response head is known, or what all others get. */
  join(client: AnswerClient): void {
    if (this.#isClosed) throw new ProxyError("answer_unavailable", "closed", { fields: [retrySoon()] });
    this.#life.attended();
    this.history.touch();
    this.#waiting.add(client);
    client.response.onClose(() => {
      if (this.#waiting.delete(client)) this.#settle();
    });
    this.#answer(client);
  }

  leave(client: ChannelClient): void {
    this.#clients.delete(client);
    this.#throttle();
    this.#settle();
  }

  blocked(client: ChannelClient, isBlocked: boolean): void {
    this.#clients.blocked(client, isBlocked);
    this.#throttle();
  }

  scheduleRelease(): void {
    this.#clients.schedule();
  }

  /** Cancels the backend request at once; clients get what has come, and are then aborted. */
  async cancel(error: ProxyError): Promise<void> {
    if (this.#generation !== undefined) this.#generation.cancel(error);
    else if (this.state.isRunning) await this.#options.store.override?.(cancelled(this.state.current, error));
  }

  /** No new clients will come: it closes when its last client has left. */
  retire(): void {
    this.#isRetired = true;
    this.#isWriting = false;
    this.#settle();
  }

  /** Keeps it open for a request that was found to be for it, until `release`. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    this.#holds--;
    this.#settle();
  }

  /** Ends all clients, cancels the backend request and forgets the answer. */
  close(reason: EndReason = "drained"): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { exchange } of this.#waiting) exchange.fault(new ProxyError("closing", "not open yet"));
    this.#waiting.clear();
    this.#clients.close(reason);
    this.#life.stop();
    this.#generation?.stop();
    this.#options.store.close();
    this.history.close();
    this.state.close();
    this.#options.onClosed();
  }

  pass(source: Source): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#options.onFreed();
    passToAll(source, waiting);
    this.close();
  }

  failedWith(error: ProxyError): void {
    this.#error = error;
    // A waiting client reports it with its own log line.
    if (this.#waiting.size === 0 && !isExpected(error)) this.#options.onFault(error);
  }

  // The store's feed (ChannelFeed).

  onRecord(record: StreamRecord): void {
    this.history.reset(record);
    // The clients may have bytes that the new record has not.
    this.#clients.endAll("backend_failed", new ProxyError("answer_gone", "the record was replaced"));
  }

  onEvents(events: readonly StoredEvent[]): void {
    for (const event of events) this.history.push(event);
    this.history.touch();
    this.beats.restart();
    this.#clients.schedule();
    this.#throttle();
  }

  onState(state: BackendState): void {
    const before = this.state.is;
    this.state.change(state);
    if (state.is === "open" && before !== "open" && hasEvents(state.answer?.fields ?? []))
      this.#clients.startBeats();
    if (state.is === "failed") this.#options.onFreed();
    if (state.is === "ended") this.#clients.endAll("backend_ended");
    if (state.is === "broken") this.#clients.endAll("backend_failed", brokenBy(state));
    for (const client of [...this.#waiting]) client.exchange.guarded(() => this.#answer(client))();
    if (state.is !== "connecting") this.terms.forgetFirst();
    if (state.is === "failed") this.close();
    else if (!this.state.isRunning) this.#life.ended();
    if (!this.state.isRunning && this.#isFenced) this.#written();
  }

  onLead(): void {
    const { store } = this.#options;
    if (this.#generation?.isStarted === false) this.#generation.start();
    else if (this.state.isRunning) {
      // The process that generated it is gone, or has lost the record: the backend is not asked again.
      this.#isWriting = true;
      store.announce(lost(this.state.current));
    }
    this.#settle();
  }

  onWritten(): void {
    if (!this.state.isRunning) this.#written();
    this.#settle();
  }

  onFollow(): void {
    this.#isFenced = this.#generation !== undefined;
    this.#generation?.stop();
  }

  onDegraded(): void {}

  held(afterSeq: number): readonly StoredEvent[] {
    return this.history.after(afterSeq);
  }

  /** Gives a waiting client the answer or a refusal, once the state is known. */
  #answer(client: AnswerClient, isSought = false): void {
    if (this.state.is === "connecting" || !this.#waiting.has(client)) return;
    const again = () => client.exchange.guarded(() => this.#answer(client, true))();
    if (!isSought && this.#catchUp.seek(client, again)) return;
    this.#waiting.delete(client);
    const verdict = verdictFor(client, this.state.current, this.history);
    this.#options.onVerdict(verdict, client);
    if (verdict.is === "attached") this.#attach(client);
    else if (verdict.is === "read") client.onRead();
    else client.exchange.fault(this.state.is === "failed" ? (this.#error ?? verdict.error) : verdict.error);
    this.#settle();
  }

  get untaken(): AnswerClients["untaken"] {
    return this.#clients.untaken;
  }

  #attach({ exchange, response, ...options }: AnswerClient): void {
    const state = this.state.current;
    const subscriber = new Subscriber(exchange, response, this, options);
    this.#clients.add(subscriber);
    subscriber.begin();
    if (state.is === "ended") subscriber.finish("backend_ended");
    if (state.is === "broken") subscriber.finish("backend_failed", brokenBy(state));
    this.#throttle();
    this.scheduleRelease();
  }

  /** Closes it if no client needs it in this process; while it comes, `resume.grace` begins. */
  #settle(): void {
    if (this.size + this.#holds > 0 || this.#isClosed || this.#isWriting) return;
    if (this.#generation === undefined || this.#isRetired) this.close();
    else if (this.state.isRunning) this.#life.left();
  }

  /** Other processes have the end: a lease for each kept answer would cost Redis more than the answers. */
  #written(): void {
    this.#isWriting = false;
    this.#isSafe = true;
    this.#options.store.close();
  }

  #afterPass(): void {
    this.#clients.trim();
    this.#throttle();
    if (this.#isTooLong || this.history.firstSeq === 1) return;
    this.#isTooLong = true;
    this.#options.onTooLong();
  }

  #throttle(): void {
    if (this.#clients.isBehind) this.#generation?.pause();
    else this.#generation?.resume();
  }
}
