import { randomBytes } from "node:crypto";
import type { BackendState, ChannelFeed, ChannelStore, Draft } from "../shared/store.ts";
import { AppendQueue } from "./append-queue.ts";
import { BackendStatus } from "./backend-status.ts";
import { comparePositions, isSamePosition, ORIGIN, type Position } from "./entry.ts";
import type { RedisFaults } from "./faults.ts";
import { RedisIntake } from "./intake.ts";
import { Lease } from "./lease.ts";
import { overrideState } from "./override.ts";
import { eventsOf, readRecord } from "./pages.ts";
import type { RecordContext } from "./record-context.ts";
import { RedisFault } from "./redis-fault.ts";
import { ReplicaCursor } from "./replica-cursor.ts";
import type { LeaseReply } from "./schemas.ts";

/** The role of a channel in its record. */
type Role =
  /** Not known yet. */
  | "joining"
  /** Asks the backend, and writes. */
  | "leading"
  /** Reads the entries of another leader. */
  | "following"
  /** Redis is away: asks the backend for the clients of this process. */
  | "alone"
  | "closed";

/**
 * The record of one stream in Redis, as one instance takes part in it: it leads, follows, or is alone.
 *
 * The lease is requested again and again. Its replies drive the record: they give the leader, the newest position and
 * the backend status. Comparing positions shows which events were missed between two replies.
 */
export class RedisRecord implements ChannelStore {
  readonly #context: RecordContext;
  readonly #cursor = new ReplicaCursor();
  readonly #lease: Lease;
  readonly #appendQueue: AppendQueue;
  readonly #status: BackendStatus;
  readonly #intake: RedisIntake;
  #feed: ChannelFeed | undefined;
  #role: Role = "joining";
  #epoch = randomBytes(6).toString("hex");
  #hasRecord = false;
  #isSettling = false;
  #asksAgain = false;
  /** The time since which acting on the lease's replies has failed. */
  #failingSince: number | undefined;
  /** The accepted position at the previous reply. */
  #acceptedBefore: Position = ORIGIN;

  constructor(context: RecordContext) {
    this.#context = context;
    const { place, timeoutMs } = context;
    this.#lease = new Lease({
      place,
      epoch: () => this.#epoch,
      state: () => this.#status.unwritten,
      onReply: (reply) => this.#onReply(reply),
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
      onDelivered: () => this.#status.announceNext(),
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
    this.#status = new BackendStatus({
      faults: this.#faults,
      unreadableMs: place.leaseMs,
      deliver: (state) => this.#open?.onState(state),
      isWaiting: () => this.#appendQueue.isWaiting,
      write: () => this.#lease.ask(),
      onWritten: () => {
        context.notify();
        this.#open?.onWritten?.();
      },
    });
    if (context.isFollower) this.#lease.standBack();
  }

  get #faults(): RedisFaults {
    return this.#context.place.connection.faults;
  }

  /** The channel, unless the record is closed. */
  get #open(): ChannelFeed | undefined {
    return this.#role === "closed" ? undefined : this.#feed;
  }

  /** The stream of notices about this record. */
  get notices(): string {
    return this.#context.place.keys.notices;
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
    if (this.#isAsking()) this.#status.announce(state);
  }

  override(state: BackendState): Promise<void> {
    return overrideState(this.#context, state);
  }

  close(): void {
    if (this.#role === "closed") return;
    const wasLeading = this.#role === "leading";
    this.#role = "closed";
    this.#intake.stop();
    this.#lease.stop();
    this.#context.onClose(this.#finish(wasLeading));
  }

  /** Asks Redis now. */
  look(): void {
    if (this.#feed !== undefined) this.#lease.ask();
  }

  /** Lets only the previous leader lead at first, after Redis was away. */
  standBack(): void {
    if (this.#role !== "joining") this.#lease.standBack();
  }

  async #finish(wasLeading: boolean): Promise<void> {
    try {
      if (wasLeading) await this.#appendQueue.flush();
      this.#feed = undefined;
      this.#appendQueue.stop();
      if (wasLeading && (await this.#lease.release(this.#epoch))) this.#context.notify();
    } catch (error) {
      // The lease expires by itself.
      if (!(error instanceof RedisFault)) throw error;
    }
  }

  #onReply(reply: LeaseReply): void {
    if (this.#isSettling) {
      this.#asksAgain = true;
      return;
    }
    this.#isSettling = true;
    this.#asksAgain = false;
    const { onFault } = this.#faults;
    void this.#settle(reply)
      .catch(onFault)
      .finally(() => {
        this.#isSettling = false;
        if (this.#asksAgain) this.#lease.ask();
      });
  }

  /** Asks the backend itself when Redis has failed for `ms` and there is no leader to follow. */
  #onSilence(ms: number): void {
    const { place, timeoutMs } = this.#context;
    const joiningMs = Math.max(ms, place.connection.awayMs(place.keys.meta));
    if (this.#role === "following" && ms >= place.leaseMs) this.#goAlone();
    if (this.#role === "joining" && joiningMs >= timeoutMs) this.#goAlone();
  }

  /** Acts on a reply about the lease; one reply at a time, because it may have to read entries first. */
  async #settle(reply: LeaseReply): Promise<void> {
    try {
      if (!this.#hasRecord || this.#intake.isOther || reply.epoch !== this.#epoch)
        await this.#load(reply.epoch);
      if (this.#role === "closed") return;
      if (reply.isGranted) await this.#lead(reply);
      else await this.#follow(reply);
      this.#failingSince = undefined;
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      this.#failingSince ??= performance.now();
      // The next reply repeats what is left to do. A record that stays unreadable counts as a missing Redis.
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
      // Another leader has written newer entries, so the backend must be asked again, after those.
      this.#stopAsking();
      await this.#intake.catchUp();
      if (this.#role === "closed") return;
      if (this.#intake.isOther || !this.#agreesWith(top)) return this.#doubt(true);
    }
    if (!this.#appendQueue.isSending) this.#appendQueue.agreeOn(top);
    const wasAsking = this.#isAsking();
    this.#intake.stop();
    if (!wasAsking) {
      this.#status.receive(state, true);
      this.#appendQueue.begin();
    }
    this.#role = "leading";
    this.#status.compare(state);
    this.#appendQueue.write({ token, epoch });
    if (!wasAsking) this.#feed?.onLead();
  }

  async #follow({ state, top }: LeaseReply): Promise<void> {
    this.#stopAsking();
    this.#lease.forget();
    if (this.#role === "joining") {
      this.#status.receive(state);
      this.#role = "following";
      this.#feed?.onFollow();
    }
    if (!this.#intake.isReading) this.#intake.read(this.#cursor.accepted);
    // A status must not overtake the events before it, and the reader may be cut off for long.
    const isStuck = isSamePosition(this.#cursor.accepted, this.#acceptedBefore);
    const isBehind = !isSamePosition(this.#cursor.accepted, top);
    // Redis has lost a lease with its events, and the clock of the new master was behind: the reader, which asks for
    // what comes after our position, would never get the events of the new leader.
    if (comparePositions(top, this.#cursor.accepted) < 0 && !this.#agreesWith(top)) return this.#doubt(true);
    if (isBehind && (isStuck || this.#status.differs(state))) await this.#intake.catchUp();
    this.#acceptedBefore = this.#cursor.accepted;
    if (this.#role !== "following") return;
    if (this.#intake.isOther) this.#lease.ask();
    else this.#status.receive(state);
  }

  #goAlone(): void {
    this.#intake.stop();
    if (!this.#hasRecord) {
      this.#hasRecord = true;
      this.#feed?.onRecord({ epoch: this.#epoch, lastSeq: 0, events: [] });
      this.#status.receive("");
    }
    this.#role = "alone";
    this.#appendQueue.begin();
    this.#appendQueue.goAlone();
    this.#feed?.onLead();
  }

  /** Stops asking the backend, if this instance does. */
  #stopAsking(): void {
    if (!this.#isAsking()) return;
    this.#role = "following";
    this.#status.stop();
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
