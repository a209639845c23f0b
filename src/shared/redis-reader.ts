import { jitter } from "../base/jitter.ts";
import { type RedisConnection, RedisFault, type RedisReply } from "./redis-connection.ts";
import { comparePositions, decodeEntries, type Entry, formatPosition, type Position } from "./redis-entry.ts";

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
  readonly onEntries: (entries: readonly Entry[]) => void;
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
      this.#connectionId = Number(await connection.command("CLIENT", ["ID"]).catch(() => undefined));
      await this.#findNotices();
      this.#options.onResume();
      while (connection.isReady && !this.#isClosed) {
        this.#give(await this.#read());
        this.#page = Math.min(PAGE, this.#page + 1 + (this.#page >> 3));
        const { size } = this.#followers;
        if (size > STREAMS_PER_MS) await delay(size / STREAMS_PER_MS);
      }
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      this.#page = Math.max(1, this.#page >> 1);
      // The connection is lost, or this one command was refused: the reader begins again either way.
      if (connection.isReady) await delay(jitter(BLOCK_MS));
    } finally {
      this.#isRunning = false;
      if (connection.isReady && !this.#isClosed) void this.#run();
    }
  }

  /** Notices are not kept for anybody; only those from now on count. */
  async #findNotices(): Promise<void> {
    const { connection, notices } = this.#options;
    const newest = await connection.command("XREVRANGE", [notices, "+", "-", "COUNT", 1]);
    const [entry] = Array.isArray(newest) ? newest : [];
    this.#noticeId = Array.isArray(entry) ? String(entry[0]) : "0-0";
  }

  async #read(): Promise<RedisReply> {
    const { connection, notices } = this.#options;
    this.#asked = new Map([...this.#followers].map(([stream, group]) => [stream, leastOf(group)]));
    const positions = [...this.#asked.values()].map(formatPosition);
    const streams = [notices, ...this.#asked.keys(), this.#noticeId ?? "0-0", ...positions];
    const options = ["COUNT", this.#page, "BLOCK", BLOCK_MS, "STREAMS"];
    this.#isBlocked = true;
    try {
      return await connection.command("XREAD", [...options, ...streams], BLOCK_MS);
    } finally {
      this.#isBlocked = false;
      clearTimeout(this.#wakeTimer);
    }
  }

  #give(reply: RedisReply): void {
    if (!Array.isArray(reply)) return;
    for (const part of reply as readonly RedisReply[]) {
      const [name, entries] = Array.isArray(part) ? (part as readonly RedisReply[]) : [];
      if (String(name) === this.#options.notices) this.#giveNotices(entries);
      else this.#giveEntries(String(name), decodeEntries(entries));
    }
  }

  #giveEntries(stream: string, read: readonly Entry[]): void {
    const [from, last] = [this.#asked.get(stream), read.at(-1)];
    if (from === undefined || last === undefined) return;
    for (const follower of [...(this.#followers.get(stream) ?? [])]) {
      // One who came while Redis was asked may need what lies in front of this: the next question is for it.
      if (comparePositions(follower.position, from) < 0) continue;
      follower.position = last.position;
      follower.onEntries(read);
    }
  }

  #giveNotices(entries: RedisReply | undefined): void {
    if (!Array.isArray(entries)) return;
    const names = new Set<string>();
    for (const entry of entries as readonly RedisReply[]) {
      const [id, fields] = Array.isArray(entry) ? (entry as readonly RedisReply[]) : [];
      this.#noticeId = String(id);
      if (Array.isArray(fields)) names.add(String(fields[1]));
    }
    for (const name of names) this.#options.onNotice(name);
  }

  /** Redis ends the question under way, so that the next one names the new stream too. */
  #wake(): void {
    clearTimeout(this.#wakeTimer);
    if (!this.#isBlocked || this.#connectionId === undefined || this.#isClosed) return;
    this.#options.commands.command("CLIENT", ["UNBLOCK", this.#connectionId]).catch(() => {
      // Not allowed, or away: the question ends by itself within BLOCK_MS.
    });
    // It may have come before the question did.
    this.#wakeTimer = setTimeout(() => this.#wake(), WAKE_RETRY_MS);
  }
}

function leastOf(group: ReadonlySet<Follower>): Position {
  const positions = [...group].map(({ position }) => position);
  return positions.reduce((least, position) => (comparePositions(position, least) < 0 ? position : least));
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
