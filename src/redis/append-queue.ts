import { randomBytes } from "node:crypto";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import { makeId, withId } from "../shared/event-id.ts";
import type { Draft, StoredEvent } from "../shared/store.ts";
import { appendEvents, type Grant, type PlacedEvent, type RecordPlace } from "./append.ts";
import type { Position } from "./entry.ts";
import { startPatientTimer } from "./patient-timer.ts";
import type { ReplicaCursor } from "./replica-cursor.ts";

const RETRY_MS = 200;

export interface AppendQueueOptions {
  readonly place: RecordPlace;
  readonly cursor: ReplicaCursor;
  /** How long an event waits for Redis before it is delivered without, in ms. */
  readonly timeoutMs: number;
  held(afterSeq: number): readonly StoredEvent[];
  deliver(events: readonly StoredEvent[]): void;
  /** Called when events begin, or cease, to be delivered before Redis has them. */
  onDegraded(isDegraded: boolean): void;
  /** Asks who leads now, and which record Redis has. */
  onDoubt(isOther: boolean): void;
  /** Called when every added event has been delivered. */
  onDelivered(): void;
}

/**
 * The events that a leader has not written to Redis yet.
 *
 * One append is under way at a time, with all events since the last append: under load the batches grow, not the
 * queue. Events are delivered when they are written; after `timeoutMs`; or at once while Redis is away. Events that
 * were delivered without Redis are written as soon as possible, before new ones.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  /** Events that are not delivered yet. */
  #waiting: StoredEvent[] = [];
  #waitingBytes = 0;
  #grant: Grant | undefined;
  #token = 0;
  /** Part of the ids made here, so that two leaders of one record never make the same id. */
  #maker = "";
  #isDegraded = false;
  #sending: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopWaiting: (() => void) | undefined;

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /** The token of the last write; 0 before the first. */
  get token(): number {
    return this.#token;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get isSending(): boolean {
    return this.#sending !== undefined;
  }

  /** The seq of the newest event that was made here or delivered. */
  get newestSeq(): number {
    return this.#waiting.at(-1)?.seq ?? this.#options.cursor.deliveredSeq;
  }

  /** Begins a new backend request, whose ids must differ from all others. */
  begin(): void {
    this.#maker = randomBytes(6).toString("hex");
  }

  /** Begins to write under this grant. */
  write(grant: Grant): void {
    this.#grant = grant;
    this.#token = grant.token;
    this.#endRetry();
    this.send();
  }

  /** Delivers without Redis from now on, because it is away. */
  goAlone(): void {
    this.#grant = undefined;
    this.#degrade();
  }

  /** Drops unwritten events: another instance leads, and gets them from its own backend request. */
  stop(): void {
    this.#grant = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#endWait();
    this.#endRetry();
    this.#recover();
  }

  add(drafts: readonly Draft[]): void {
    const at = Date.now();
    const events = drafts.map((draft, index) => this.#store(draft, this.newestSeq + 1 + index, at));
    for (const { block } of events) this.#waitingBytes += block.length;
    this.#waiting.push(...events);
    if (this.#isDegraded || this.#waitingBytes > this.#options.place.bounds.bytes) this.#degrade();
    else if (this.isWaiting) this.#stopWaiting ??= this.#startWait();
    this.send();
  }

  /** Sets the newest event in Redis, as it reported it. */
  agreeOn(top: Position): void {
    const { cursor } = this.#options;
    if (top.seq <= cursor.accepted.seq) cursor.rewind(top);
    else this.#accept([top]);
  }

  /** Writes the events that Redis lacks. A failed append is retried later, with the events added meanwhile. */
  send(): void {
    if (this.#sending !== undefined || this.#retry !== undefined) return;
    const { faults } = this.#options.place.connection;
    this.#sending = this.#send()
      .catch((error: unknown) => {
        faults.onFault(error);
        this.#sendLater();
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  /** Writes the undelivered events once, for the next leader. */
  async flush(): Promise<void> {
    await this.#sending;
    const events = this.#unwritten();
    if (this.#grant === undefined || events.length === 0) return;
    const { place, cursor } = this.#options;
    await appendEvents(place, this.#grant, cursor.accepted, events);
  }

  async #send(): Promise<void> {
    const { place, cursor } = this.#options;
    for (;;) {
      const grant = this.#grant;
      if (grant === undefined) return;
      const events = this.#unwritten();
      if (events.length === 0) return this.#recover();
      const outcome = await appendEvents(place, grant, cursor.accepted, events);
      // The outcome belongs to an older grant.
      if (this.#grant !== grant) continue;
      if (outcome.is === "written") this.#accept(outcome.batch.map(({ position }) => position));
      else if (outcome.is === "other" && cursor.knows(outcome.top, grant.token, this.newestSeq)) {
        this.agreeOn(outcome.top);
      } else if (outcome.is === "failed") return this.#sendLater();
      else return this.#options.onDoubt(outcome.is === "other");
    }
  }

  /** Returns, oldest first, the events that were delivered without Redis, then those that wait for it. */
  #unwritten(): PlacedEvent[] {
    const { cursor, held } = this.#options;
    const token = this.#grant?.token ?? 0;
    const { accepted, deliveredSeq } = cursor;
    const delivered = deliveredSeq > accepted.seq ? held(accepted.seq) : [];
    const waiting = this.#waiting.filter(({ seq }) => seq > accepted.seq);
    return [...delivered, ...waiting].map((event) => ({
      event,
      position: { token: cursor.tokenOf(event.seq, token), seq: event.seq },
    }));
  }

  #sendLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.send();
    }, jitter(RETRY_MS));
  }

  #endRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #accept(positions: readonly Position[]): void {
    const { cursor } = this.#options;
    for (const position of positions) cursor.accept(position);
    this.#deliver(cursor.accepted.seq);
  }

  #deliver(upTo: number): void {
    const { cursor, deliver, onDelivered } = this.#options;
    const end = this.#waiting.findIndex(({ seq }) => seq > upTo);
    const events = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
    const last = events.at(-1);
    if (last === undefined) return;
    for (const { block } of events) this.#waitingBytes -= block.length;
    cursor.deliveredSeq = last.seq;
    this.#endWait();
    if (this.isWaiting) this.#stopWaiting = this.#startWait();
    deliver(events);
    if (!this.isWaiting) onDelivered();
  }

  #degrade(): void {
    if (!this.#isDegraded) {
      this.#isDegraded = true;
      this.#options.onDegraded(true);
    }
    this.#deliver(Number.POSITIVE_INFINITY);
  }

  #recover(): void {
    if (!this.#isDegraded) return;
    this.#isDegraded = false;
    this.#options.onDegraded(false);
  }

  #startWait(): () => void {
    const { place, timeoutMs } = this.#options;
    return startPatientTimer(
      timeoutMs,
      guarded(place.connection.faults.onFault, () => this.#degrade()),
    );
  }

  #endWait(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
  }

  #store({ id, showsId, backendId, block }: Draft, seq: number, at: number): StoredEvent {
    const own = id ?? makeId(this.#maker, seq);
    return { seq, id: own, backendId, block: showsId ? withId(block, own) : block, at };
  }
}
