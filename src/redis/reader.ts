import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisCommands, ServerConnection } from "./commands.ts";
import {
  type BlockTest,
  comparePositions,
  decodeEntries,
  type Entry,
  formatPosition,
  type Position,
} from "./entry.ts";
import { PageSize } from "./page-size.ts";
import { RedisFault } from "./redis-fault.ts";
import type { RedisReply } from "./reply.ts";
import {
  connectionIdReply,
  newestNoticeReply,
  readNotice,
  type StreamPart,
  streamsReply,
} from "./schemas.ts";

/** The maximum number of entries of one stream in one reply, while reads succeed. */
const PAGE = 512;

/** How long Redis blocks a read without new entries; a Redis that hangs is noticed that much later. */
const BLOCK_MS = 1_000;

/** Each read names every stream, so with many streams there are fewer reads per second. */
const STREAMS_PER_MS = 100;

const WAKE_RETRY_MS = 20;

/** A follower of a stream; after a reload, a stream may have two in one process. */
interface Follower {
  position: Position;
  /** Accepts the bytes of an event; the same for all followers of a stream. */
  readonly isBlock: BlockTest | undefined;
  /** Called with undefined when the stream cannot be read any further; then never again. */
  readonly onEntries: (entries: readonly Entry[] | undefined) => void;
}

export interface ReaderOptions {
  /** The reader's own connection, because its commands block. */
  readonly connection: ServerConnection;
  /** Ends a blocked read when there is a new stream to follow. */
  readonly commands: RedisCommands;
  readonly notices: string;
  /** Called when another instance asks to look at the named record. */
  readonly onNotice: (name: string) => void;
  /** Called when notices may have been missed. */
  readonly onResume: () => void;
}

/**
 * Reads the streams of the records that this process follows, over one connection: of all records, or with a cluster of
 * those in one slot.
 *
 * Each read gives the position after which it wants the entries of a stream. Whatever happens to the connection, the
 * next read continues where the last reply ended, so no entry can be missed.
 */
export class RedisReader {
  readonly #options: ReaderOptions;
  readonly #followers = new Map<string, Set<Follower>>();
  /** The position from which the read under way asks for each stream. */
  #asked: ReadonlyMap<string, Position> = new Map();
  #noticeId: string | undefined;
  #connectionId: number | undefined;
  readonly #pageSize = new PageSize(PAGE);
  #isBlocked = false;
  #wakeTimer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isClosed = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    options.connection.onReady(() => void this.#run());
    if (options.connection.isReady) void this.#run();
  }

  /** Passes on the entries after a position; returns a function that stops it. */
  follow(
    stream: string,
    position: Position,
    onEntries: Follower["onEntries"],
    isBlock?: BlockTest,
  ): () => void {
    const follower = { position, onEntries, isBlock };
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
    this.#options.connection.close();
  }

  async #run(): Promise<void> {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    const { connection } = this.#options;
    try {
      const { notices } = this.#options;
      this.#connectionId = await connection.ask(connectionIdReply, "CLIENT", ["ID"]).catch(() => undefined);
      // Older notices do not concern this process.
      const newest = [notices, "+", "-", "COUNT", 1];
      this.#noticeId = await connection.ask(newestNoticeReply, "XREVRANGE", newest);
      this.#options.onResume();
      while (connection.isReady && !this.#isClosed) {
        this.#give(await this.#read());
        const { size } = this.#followers;
        if (size > STREAMS_PER_MS) await delay(size / STREAMS_PER_MS);
      }
    } catch (error) {
      if (!(error instanceof RedisFault)) connection.faults.onFault(error);
      this.#pageSize.shrink(this.#pageSize.entries);
      // The connection is lost, or the command was refused: in either case the reader starts again.
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
    const count = this.#pageSize.entries;
    const options = ["COUNT", count, "BLOCK", BLOCK_MS, "STREAMS"];
    this.#isBlocked = true;
    try {
      const parts = await connection.ask(streamsReply, "XREAD", [...options, ...streams], BLOCK_MS);
      if (parts.some(({ entries }) => entries.length >= count)) this.#pageSize.grow();
      return parts;
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
    // Without a new position the next reply would be the same, at once.
    if (!isNews && this.#noticeId === before) throw new RedisFault("a reply without a new position");
  }

  /** Returns whether the next read differs from this one. */
  #giveStream(stream: string, raw: readonly RedisReply[]): boolean {
    const from = this.#asked.get(stream);
    if (from === undefined) return false;
    const followers = [...(this.#followers.get(stream) ?? [])];
    const { entries, isWhole } = decodeEntries(raw, followers[0]?.isBlock);
    const last = entries.at(-1);
    for (const follower of followers) {
      // A follower that was added during the read may need older entries; the next read asks for them.
      if (last === undefined || comparePositions(follower.position, from) < 0) continue;
      follower.position = last.position;
      this.#tell(follower, entries);
    }
    if (!isWhole) this.#giveUp(stream);
    return !isWhole || (last !== undefined && comparePositions(last.position, from) > 0);
  }

  /** Stops following a stream that contains an entry without a usable position: each read would return it again. */
  #giveUp(stream: string): void {
    this.#options.connection.faults.countInvalid("entry");
    const group = this.#followers.get(stream) ?? [];
    this.#followers.delete(stream);
    for (const follower of group) this.#tell(follower, undefined);
  }

  /** An error in one follower must not keep the others from their entries. */
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

  /** Ends the read under way, so that the next one includes the new stream. */
  #wake(): void {
    clearTimeout(this.#wakeTimer);
    const { connection } = this.#options;
    if (!this.#isBlocked || this.#connectionId === undefined || this.#isClosed) return;
    this.#options.commands.unblock(connection, this.#connectionId).catch(() => {
      // The command is not allowed, or Redis is away: the read ends by itself within BLOCK_MS.
    });
    // The command may have arrived before the read.
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
