import { randomBytes } from "node:crypto";
import type { BackendState, ChannelFeed, ChannelStore, Draft } from "../shared/store.ts";
import type { RecordPlace } from "./append.ts";
import { AppendQueue } from "./append-queue.ts";
import { BackendStatus } from "./backend-status.ts";
import { RedisFault } from "./connection.ts";
import { isSamePosition, ORIGIN, type Position } from "./entry.ts";
import type { RedisFaults } from "./faults.ts";
import { RedisIntake } from "./intake.ts";
import { Lease } from "./lease.ts";
import { eventsOf, readRecord } from "./pages.ts";
import type { RedisReader } from "./reader.ts";
import { ReplicaCursor } from "./replica-cursor.ts";
import type { LeaseReply } from "./schemas.ts";

/** What a channel is to its record. */
type Role =
  /** Nothing is known yet. */
  | "joining"
  /** Asks the backend, and writes. */
  | "leading"
  /** Reads what another one writes. */
  | "following"
  /** Redis is away: asks the backend for the clients of this process. */
  | "alone"
  | "closed";

export interface RecordContext {
  readonly place: RecordPlace;
  readonly reader: RedisReader;
  /** So long an event waits for Redis, and the first client for the first answer. */
  readonly timeoutMs: number;
  /** Has the other instances look at this record now. */
  notify(): void;
  /** Events are delivered without Redis, or no longer. */
  onDegraded(isDegraded: boolean): void;
  /** The channel gets another history than it had. */
  onReplaced(): void;
  onClose(farewell: Promise<void>): void;
}

/**
 * One stream's record in Redis, as one instance takes part in it: it leads, or follows, or is alone.
 *
 * Everything hangs on the answers to the lease's questions, which come all the time and say who leads, where the
 * record ends and how its backend stands. Whatever was missed in between is found by comparing positions.
 */
export class RedisRecord implements ChannelStore {
  readonly #context: RecordContext;
  readonly #cursor = new ReplicaCursor();
  readonly #lease: Lease;
  readonly #appendQueue: AppendQueue;
  readonly #word: BackendStatus;
  readonly #intake: RedisIntake;
  #feed: ChannelFeed | undefined;
  #role: Role = "joining";
  #epoch = randomBytes(6).toString("hex");
  #hasRecord = false;
  #isSettling = false;
  #asksAgain = false;
  /** Since when what the lease's answers ask for has failed. */
  #failingSince: number | undefined;
  /** How far we were when the last answer came. */
  #acceptedBefore: Position = ORIGIN;

  constructor(context: RecordContext) {
    this.#context = context;
    const { place, timeoutMs } = context;
    this.#lease = new Lease({
      place,
      epoch: () => this.#epoch,
      state: () => this.#word.unwritten,
      onAnswer: (answer) => this.#onAnswer(answer),
      onSilence: (ms) => this.#onSilence(ms),
    });
    this.#appendQueue = new AppendQueue({
      place,
      timeoutMs,
      cursor: this.#cursor,
      held: (afterSeq) => this.#feed?.held(afterSeq) ?? [],
      deliver: (events) => this.#open?.onEvents(events),
      onDegraded: (isDegraded) => this.#onDegraded(isDegraded),
      onDoubt: (isOther) => this.#doubt(isOther),
      onDelivered: () => this.#word.sayNext(),
    });
    this.#intake = new RedisIntake({
      place,
      reader: context.reader,
      cursor: this.#cursor,
      timeoutMs,
      isFollowing: () => this.#role === "following",
      held: (seq) => this.#feed?.held(seq - 1)[0],
      deliver: (events) => this.#open?.onEvents(events),
      onOther: () => this.#lease.ask(),
    });
    this.#word = new BackendStatus({
      faults: this.#faults,
      unreadableMs: place.leaseMs,
      give: (state) => this.#open?.onState(state),
      isWaiting: () => this.#appendQueue.isWaiting,
      write: () => this.#lease.ask(),
      notify: () => context.notify(),
    });
  }

  get #faults(): RedisFaults {
    return this.#context.place.connection.faults;
  }

  /** The channel, while it may be called. */
  get #open(): ChannelFeed | undefined {
    return this.#role === "closed" ? undefined : this.#feed;
  }

  start(feed: ChannelFeed): void {
    this.#feed = feed;
    this.#lease.ask();
  }

  append(drafts: readonly Draft[]): void {
    if (this.#isAsking()) this.#appendQueue.add(drafts);
  }

  catchUp(): Promise<void> | undefined {
    return this.#role === "following" ? this.#intake.catchUpTogether() : undefined;
  }

  announce(state: BackendState): void {
    if (this.#isAsking()) this.#word.say(state);
  }

  close(): void {
    if (this.#role === "closed") return;
    const wasLeading = this.#role === "leading";
    this.#role = "closed";
    this.#intake.stop();
    this.#lease.stop();
    this.#context.onClose(this.#farewell(wasLeading));
  }

  /** Looks at Redis now. */
  look(): void {
    if (this.#feed !== undefined) this.#lease.ask();
  }

  /** Redis was away: only who led before may lead at first. */
  standBack(): void {
    if (this.#role !== "joining") this.#lease.standBack();
  }

  async #farewell(wasLeading: boolean): Promise<void> {
    try {
      if (wasLeading) await this.#appendQueue.flush();
      this.#feed = undefined;
      this.#appendQueue.stop();
      if (wasLeading && (await this.#lease.release(this.#epoch))) this.#context.notify();
    } catch (error) {
      // The lease runs out by itself.
      if (!(error instanceof RedisFault)) throw error;
    }
  }

  #onAnswer(answer: LeaseReply): void {
    if (this.#isSettling) {
      this.#asksAgain = true;
      return;
    }
    this.#isSettling = true;
    this.#asksAgain = false;
    const { onFault } = this.#faults;
    void this.#settle(answer)
      .catch(onFault)
      .finally(() => {
        this.#isSettling = false;
        if (this.#asksAgain) this.#lease.ask();
      });
  }

  /** Redis failed for `ms`: who has nobody to follow asks the backend itself. */
  #onSilence(ms: number): void {
    const { place, timeoutMs } = this.#context;
    const joiningMs = Math.max(ms, place.connection.awayMs);
    if (this.#role === "following" && ms >= place.leaseMs) this.#goAlone();
    if (this.#role === "joining" && joiningMs >= timeoutMs) this.#goAlone();
  }

  /** Does what an answer asks for; one at a time, because it may have to read first. */
  async #settle(answer: LeaseReply): Promise<void> {
    try {
      if (!this.#hasRecord || this.#intake.isOther || answer.epoch !== this.#epoch)
        await this.#load(answer.epoch);
      if (this.#role === "closed") return;
      if (answer.isGranted) await this.#lead(answer);
      else await this.#follow(answer);
      this.#failingSince = undefined;
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      this.#failingSince ??= performance.now();
      // The next answer finds what is left to do. A record that cannot be read for long is as good as no Redis.
      this.#onSilence(performance.now() - this.#failingSince);
    }
  }

  async #load(epoch: string): Promise<void> {
    this.#stopAsking();
    this.#intake.stop();
    const entries = await readRecord(this.#context.place);
    if (this.#role === "closed") return;
    if (this.#hasRecord) this.#context.onReplaced();
    this.#cursor.reset(entries);
    this.#epoch = epoch;
    this.#hasRecord = true;
    this.#intake.isOther = false;
    this.#feed?.onRecord({ epoch, lastSeq: this.#cursor.accepted.seq, events: eventsOf(entries) });
  }

  async #lead({ token, epoch, top, state }: LeaseReply): Promise<void> {
    if (!this.#agreesWith(top)) {
      // Others wrote behind what we have, so the backend is asked anew behind what they wrote.
      this.#stopAsking();
      await this.#intake.catchUp();
      if (this.#role === "closed") return;
      if (this.#intake.isOther || !this.#agreesWith(top)) return this.#doubt(true);
    }
    if (!this.#appendQueue.isSending) this.#appendQueue.agreeOn(top);
    const wasAsking = this.#isAsking();
    this.#intake.stop();
    if (!wasAsking) {
      this.#word.hear(state, true);
      this.#appendQueue.begin();
    }
    this.#role = "leading";
    this.#word.compare(state);
    this.#appendQueue.write({ token, epoch });
    if (!wasAsking) this.#feed?.onLead();
  }

  async #follow({ state, top }: LeaseReply): Promise<void> {
    this.#stopAsking();
    this.#lease.forget();
    if (this.#role === "joining") {
      this.#word.hear(state);
      this.#role = "following";
      this.#feed?.onFollow();
    }
    if (!this.#intake.isReading) this.#intake.read(this.#cursor.accepted);
    // Events stand in front of what is said of the backend behind them; and a reader may be cut off for long.
    const isStuck = isSamePosition(this.#cursor.accepted, this.#acceptedBefore);
    const isBehind = !isSamePosition(this.#cursor.accepted, top);
    if (isBehind && (isStuck || this.#word.isNews(state))) await this.#intake.catchUp();
    this.#acceptedBefore = this.#cursor.accepted;
    if (this.#role !== "following") return;
    if (this.#intake.isOther) this.#lease.ask();
    else this.#word.hear(state);
  }

  #goAlone(): void {
    this.#intake.stop();
    if (!this.#hasRecord) {
      this.#hasRecord = true;
      this.#feed?.onRecord({ epoch: this.#epoch, lastSeq: 0, events: [] });
      this.#word.hear("");
    }
    this.#role = "alone";
    this.#appendQueue.begin();
    this.#appendQueue.goAlone();
    this.#feed?.onLead();
  }

  /** Gives the backend up, if we ask it. */
  #stopAsking(): void {
    if (!this.#isAsking()) return;
    this.#role = "following";
    this.#word.stop();
    this.#appendQueue.stop();
    this.#feed?.onFollow();
  }

  #isAsking(): boolean {
    return this.#role === "leading" || this.#role === "alone";
  }

  #agreesWith(top: Position): boolean {
    return this.#cursor.knows(top, this.#appendQueue.token, this.#appendQueue.newestSeq);
  }

  #doubt(isOther: boolean): void {
    this.#intake.isOther ||= isOther;
    this.#lease.ask();
  }

  #onDegraded(isDegraded: boolean): void {
    this.#context.onDegraded(isDegraded);
    this.#open?.onDegraded(isDegraded);
  }
}
