import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { ServerLimits } from "../config/server-limits-schema.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { FileReserve } from "../process/file-reserve.ts";
import type { HeapWatch } from "../process/heap-watch.ts";
import { openFileLimit } from "../process/open-files.ts";
import { BackendFiles } from "./backend-files.ts";
import { type CounterStore, CounterStoreUnavailable, type Places } from "./counter-store.ts";
import { createStreamLimit } from "./stream-limit.ts";

/** Files kept back for logs, listeners, certificates, stores, and the connections of ordinary requests. */
const RESERVED_FILES = 256;

/** Connections beyond the limit that are still told so; those beyond these are closed without a word. */
const REFUSED_CONNECTIONS = 64;

/** What of the files kept back may be connections that are told that there are none; the rest is for others. */
const REFUSED_PART = 0.25;

type Limits = Pick<ServerLimits, "connections" | "streams" | "streamsPerClient">;

/**
 * What becomes of a new connection: its requests are answered, refused with a 503 as there are too many or no files
 * for more, or it is closed at once.
 */
export type Admission = "served" | "refused" | "exhausted" | "closed";

/** Whether the process has files left to open, and how many are kept back for when it has none. */
type Reserve = Pick<FileReserve, "isShort" | "size">;

/**
 * What the gateway as a whole may hold open. It outlives reloads: what is open counts on under new limits.
 *
 * With `auto` it counts files: a process without any left can accept nobody, not even those who would be told
 * so. A connection needs one; a stream with a backend of its own needs one more, and a shared stream one for all of
 * its clients, from the dial until it has lingered. One that lingers gives way before a client is refused.
 */
export class Capacity {
  readonly #files: number;
  readonly #counters: Pick<CounterStore, "places" | "connections">;
  #limits: Limits;
  #places: Places | undefined;
  /** Connections that came while there were no files. */
  #exhausted = 0;
  /** Backend connections of the streams, those of shared streams among them. */
  readonly backendFiles = new BackendFiles();
  /** Streams under way. */
  #streams = 0;
  /** How many there were when the heap became nearly full: as many may be while it is. */
  #mostStreams: number | undefined;
  readonly #reserve: Reserve;
  readonly #heap: Pick<HeapWatch, "isHigh">;

  constructor(
    limits: Limits,
    counters: Pick<CounterStore, "places" | "connections">,
    fileLimit = openFileLimit(),
    reserve: Reserve = { isShort: false, size: 0 },
    heap: Pick<HeapWatch, "isHigh"> = { isHigh: false },
  ) {
    this.#reserve = reserve;
    this.#heap = heap;
    // A quarter, where there are so few files that the reserve would be all of them.
    this.#files = fileLimit - Math.min(RESERVED_FILES, Math.ceil(fileLimit / 4));
    this.#counters = counters;
    this.#limits = limits;
    this.#places = this.#limitStreams();
  }

  set limits(limits: Limits) {
    this.#limits = limits;
    this.#places = this.#limitStreams();
  }

  get connections(): number {
    return this.#counters.connections.own;
  }

  /** Notes a new connection; `leave` is called when it has closed. Only a count is over all processes. */
  enter(): Admission | Promise<Admission> {
    const { connections } = this.#limits;
    const count = this.#counters.connections.take(typeof connections === "number");
    if (this.#reserve.isShort) return this.#enterExhausted();
    if (connections === undefined) return "served";
    if (connections === "auto") this.#makeRoom(this.connections);
    const places = connections === "auto" ? this.#files - this.backendFiles.held : connections;
    if (typeof count === "number") return admissionOf(count, places);
    return count.catch((error) => this.#countAlone(error)).then((open) => admissionOf(open, places));
  }

  leave(admission: Admission): void {
    this.#counters.connections.release();
    if (admission === "exhausted") this.#exhausted--;
  }

  /** Throws what a request is told that nothing can be done for, whatever it asks: its connection is a file. */
  checkFiles(): void {
    if (!this.#reserve.isShort) return;
    throw new ProxyError("connections_exhausted", "no file is left to open", { fields: [retrySoon()] });
  }

  /**
   * Takes a place for a stream of this client, with a backend connection of its own or without, or throws
   * `too_many_streams` or `out_of_memory` (503) or `too_many_streams_of_client` (429). What is returned gives it back.
   */
  acquireStream(address: string, hasOwnBackend: boolean): Release | Promise<Release> {
    this.#checkHeap();
    const files = hasOwnBackend ? 1 : 0;
    if (this.#limits.streams === "auto") this.#checkRoom(files);
    const place = this.#places?.take(address);
    if (!(place instanceof Promise)) return this.#hold(files, place);
    return place.then((release) => this.#hold(files, release));
  }

  /**
   * Throws `too_many_streams` when `auto` has no file for the backend connection of a shared stream, which is dialled
   * once for all of its clients.
   */
  checkBackendFile(): void {
    if (this.#limits.streams === "auto") this.#checkRoom(1);
  }

  /** The process has no file left: ends as many backend connections that no client uses, if there are so many. */
  giveUpIdle(count: number): void {
    for (let left = count; left > 0 && this.backendFiles.reclaim(); ) left--;
  }

  #checkRoom(files: number): void {
    if (this.#makeRoom(this.connections + files)) return;
    throw new ProxyError("too_many_streams", "the open-file limit carries no more", {
      fields: [retrySoon()],
    });
  }

  /** Whether so many files may be open beside the backend connections; idle ones of those are ended for it. */
  #makeRoom(files: number): boolean {
    while (files + this.backendFiles.held > this.#files) if (!this.backendFiles.reclaim()) return false;
    return true;
  }

  #limitStreams(): Places | undefined {
    const { streams, streamsPerClient } = this.#limits;
    // No route has an empty name.
    return createStreamLimit(this.#counters, "", {
      streams: streams === "auto" ? undefined : streams,
      streamsPerClient,
    });
  }

  /** Without the count of all processes, the limit holds for the connections of this process. */
  #countAlone(error: unknown): number {
    if (error instanceof CounterStoreUnavailable) return this.connections;
    throw error;
  }

  #enterExhausted(): Admission {
    if (this.#exhausted >= this.#reserve.size * REFUSED_PART) return "closed";
    this.#exhausted++;
    return "exhausted";
  }

  /** One that comes for one that has gone needs no more: what those had may be long dead, and not collected yet. */
  #checkHeap(): void {
    if (!this.#heap.isHigh) {
      this.#mostStreams = undefined;
      return;
    }
    this.#mostStreams ??= this.#streams;
    if (this.#streams < Math.max(1, this.#mostStreams)) return;
    throw new ProxyError("out_of_memory", "the heap is nearly full", { fields: [retrySoon()] });
  }

  #hold(files: number, release: Release | undefined): Release {
    this.#streams++;
    const releaseFile = files === 0 ? undefined : this.backendFiles.hold();
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#streams--;
      releaseFile?.();
      release?.();
    };
  }
}

function admissionOf(open: number, places: number): Admission {
  if (open <= places) return "served";
  return open <= places + REFUSED_CONNECTIONS ? "refused" : "closed";
}
