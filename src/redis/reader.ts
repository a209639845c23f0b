import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import { type RedisConnection, RedisFault } from "./connection.ts";
import { comparePositions, decodeEntries, type Entry, formatPosition, type Position } from "./entry.ts";
import type { RedisReply } from "./reply.ts";
import {
  connectionIdReply,
  newestNoticeReply,
  readNotice,
  type StreamPart,
  streamsReply,
} from "./schemas.ts";

/**
 * The most entries of one stream in one answer. Fewer after each that did not come: it may have been too long for
 * its time, or for what Redis keeps of answers that are not taken.
 */
const PAGE = 512;

/** How long Redis holds a question that nothing answers; a hanging Redis is noticed that much later. */
const BLOCK_MS = 1_000;

/** Each question names every stream, so with many of them fewer are asked in a second. */
const STREAMS_PER_MS = 100;

const WAKE_RETRY_MS = 20;

/** One who follows a stream; after a reload, a stream may have two in one process. */
interface Follower {
  position: Position;
  /** Undefined when the stream cannot be read any further; nothing is called afterwards. */
  readonly onEntries: (entries: readonly Entry[] | undefined) => void;
}

export interface ReaderOptions {
  /** The reader's own, because its commands block. */
  readonly connection: RedisConnection;
  /** Wakes the other one when there is a stream more to follow. */
  readonly commands: RedisConnection;
  readonly notices: string;
  /** Somebody wants the named record to be looked at. */
  readonly onNotice: (name: string) => void;
  /** Notices may have been missed. */
  readonly onResume: () => void;
}

/**
 * Reads the streams of all records that this process follows, over one connection.
 *
 * Each question gives the position behind which it wants the events of a stream, so whatever happens to the
 * connection, the next one goes on where the last answer ended: nothing is pushed that could be missed.
 */
export class RedisReader {
  readonly #options: ReaderOptions;
  readonly #followers = new Map<string, Set<Follower>>();
  /** From where the question under way asks for each stream. */
  #asked: ReadonlyMap<string, Position> = new Map();
  #noticeId: string | undefined;
  #connectionId: number | undefined;
  #page = PAGE;
  #isBlocked = false;
  #wakeTimer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isClosed = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    options.connection.onReady(() => void this.#run());
    if (options.connection.isReady) void this.#run();
  }

  /** Gives what comes behind a position, until it is stopped by what it returns. */
  follow(stream: string, position: Position, onEntries: Follower["onEntries"]): () => void {
    const follower = { position, onEntries };
    const group = this.#followers.get(stream) ?? new Set();
    this.#followers.set(stream, group.add(follower));
    this.#wake();
    return () => {
      group.delete(follower);
      if (group.size === 0 && this.#followers.get(stream) === group) this.#followers.delete(stream);
    };
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#wakeTimer);
    this.#followers.clear();
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    const { connection } = this.#options;
    try {
      const { notices } = this.#options;
      this.#connectionId = await connection.ask(connectionIdReply, "CLIENT", ["ID"]).catch(() => undefined);
      // Notices are not kept for anybody; only those from now on count.
      const newest = [notices, "+", "-", "COUNT", 1];
      this.#noticeId = await connection.ask(newestNoticeReply, "XREVRANGE", newest);
      this.#options.onResume();
      while (connection.isReady && !this.#isClosed) {
        this.#give(await this.#read());
        this.#page = Math.min(PAGE, this.#page + 1 + (this.#page >> 3));
        const { size } = this.#followers;
        if (size > STREAMS_PER_MS) await delay(size / STREAMS_PER_MS);
      }
    } catch (error) {
      if (!(error instanceof RedisFault)) connection.faults.onFault(error);
      this.#page = Math.max(1, this.#page >> 1);
      // The connection is lost, or this one command was refused: the reader begins again either way.
      if (connection.isReady) await delay(jitter(BLOCK_MS));
    } finally {
      this.#isRunning = false;
      if (connection.isReady && !this.#isClosed) void this.#run();
    }
  }

  async #read(): Promise<readonly StreamPart[]> {
    const { connection, notices } = this.#options;
    this.#asked = new Map([...this.#followers].map(([stream, group]) => [stream, leastOf(group)]));
    const positions = [...this.#asked.values()].map(formatPosition);
    const streams = [notices, ...this.#asked.keys(), this.#noticeId ?? "0-0", ...positions];
    const options = ["COUNT", this.#page, "BLOCK", BLOCK_MS, "STREAMS"];
    this.#isBlocked = true;
    try {
      return await connection.ask(streamsReply, "XREAD", [...options, ...streams], BLOCK_MS);
    } finally {
      this.#isBlocked = false;
      clearTimeout(this.#wakeTimer);
    }
  }

  #give(parts: readonly StreamPart[]): void {
    const before = this.#noticeId;
    let isNews = parts.length === 0;
    for (const { name, entries } of parts) {
      if (name === this.#options.notices) this.#giveNotices(entries);
      else isNews = this.#giveStream(name, entries) || isNews;
    }
    // Without a new position the next answer would be the same, at once.
    if (!isNews && this.#noticeId === before) throw new RedisFault("an answer that tells nothing");
  }

  /** Whether the next question is another one. */
  #giveStream(stream: string, raw: readonly RedisReply[]): boolean {
    const from = this.#asked.get(stream);
    if (from === undefined) return false;
    const { entries, isWhole } = decodeEntries(raw);
    const last = entries.at(-1);
    for (const follower of [...(this.#followers.get(stream) ?? [])]) {
      // One who came while Redis was asked may need what lies in front of this: the next question is for it.
      if (last === undefined || comparePositions(follower.position, from) < 0) continue;
      follower.position = last.position;
      this.#tell(follower, entries);
    }
    if (!isWhole) this.#giveUp(stream);
    return !isWhole || (last !== undefined && comparePositions(last.position, from) > 0);
  }

  /** An entry has no position that this version can ask behind: it would come again with each question. */
  #giveUp(stream: string): void {
    this.#options.connection.faults.countInvalid("entry");
    const group = this.#followers.get(stream) ?? [];
    this.#followers.delete(stream);
    for (const follower of group) this.#tell(follower, undefined);
  }

  /** What one follower throws must not keep the others from theirs. */
  #tell({ onEntries }: Follower, entries: readonly Entry[] | undefined): void {
    guarded(this.#options.connection.faults.onFault, onEntries)(entries);
  }

  #giveNotices(entries: readonly RedisReply[]): void {
    const { connection, onNotice } = this.#options;
    const names = new Set<string>();
    for (const entry of entries) {
      const notice = readNotice(entry);
      this.#noticeId = notice?.id ?? this.#noticeId;
      if (notice?.record === undefined) connection.faults.countInvalid("reader");
      else names.add(notice.record);
    }
    for (const name of names) guarded(connection.faults.onFault, onNotice)(name);
  }

  /** Redis ends the question under way, so that the next one names the new stream too. */
  #wake(): void {
    clearTimeout(this.#wakeTimer);
    const { connection } = this.#options;
    if (!this.#isBlocked || this.#connectionId === undefined || this.#isClosed) return;
    this.#options.commands.command("CLIENT", ["UNBLOCK", this.#connectionId]).catch(() => {
      // Not allowed, or away: the question ends by itself within BLOCK_MS.
    });
    // It may have come before the question did.
    this.#wakeTimer = setTimeout(
      guarded(connection.faults.onFault, () => this.#wake()),
      WAKE_RETRY_MS,
    );
  }
}

function leastOf(group: ReadonlySet<Follower>): Position {
  const positions = [...group].map(({ position }) => position);
  return positions.reduce((least, position) => (comparePositions(position, least) < 0 ? position : least));
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
