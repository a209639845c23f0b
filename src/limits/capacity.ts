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

/** Files reserved for logs, listeners, certificates, stores, and backend connections of ordinary requests. */
const RESERVED_FILES = 256;

/** Connections beyond the limit that get a refusal; further ones are closed without a response. */
const REFUSED_CONNECTIONS = 64;

/** The part of the file reserve that refused connections may use; the rest is for other files. */
const REFUSED_PART = 0.25;

type Limits = Pick<ServerLimits, "connections" | "streams" | "streamsPerClient">;

/**
 * The decision on a new connection: its requests are served, refused with a 503 because of the limit, or
 * refused because no file is left (`exhausted`); or it is closed at once.
 */
export type Admission = "served" | "refused" | "exhausted" | "closed";

/** Whether the process has run out of files, and how many are kept in reserve for that case. */
type Reserve = Pick<FileReserve, "isShort" | "size">;

/**
 * Bounds what the whole gateway may hold open. It outlives reloads: open streams and connections count under
 * new limits.
 *
 * With `auto` it counts files: a process without a free file cannot accept a connection, not even to refuse
 * it. A client connection needs one file. A stream with its own backend connection needs one more, a shared
 * stream one more for all of its clients, from the dial until its linger time is over. A lingering backend
 * connection is ended before a client is refused.
 */
export class Capacity {
  readonly #files: number;
  readonly #counters: Pick<CounterStore, "places" | "connections">;
  #limits: Limits;
  #places: Places | undefined;
  /** Connections that were accepted while no file was left. */
  #exhausted = 0;
  /** The backend connections of streams, including shared streams. */
  readonly backendFiles = new BackendFiles();
  /** Open streams. */
  #streams = 0;
  /** The number of streams when the heap became nearly full: the limit until it has room again. */
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
    // With few files, the reserve is only a quarter of them.
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

  /**
   * Counts a new connection; call `leave` when it has closed. A numeric limit holds for all processes
   * together, `auto` for this one.
   */
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

  /**
   * Throws `connections_exhausted` (503) if no file is left; the request's own connection holds a file of the
   * reserve.
   */
  checkFiles(): void {
    if (!this.#reserve.isShort) return;
    throw new ProxyError("connections_exhausted", "no file is left to open", { fields: [retrySoon()] });
  }

  /**
   * Takes a place for a stream of this client and returns its release. Throws `too_many_streams` or
   * `out_of_memory` (503), or `too_many_streams_of_client` (429).
   */
  takeStream(address: string, hasOwnBackend: boolean): Release | Promise<Release> {
    this.#checkHeap();
    if (this.#limits.streams === "auto") this.#checkRoom(hasOwnBackend ? 1 : 0);
    const place = this.#places?.take(address);
    if (!(place instanceof Promise)) return this.#hold(hasOwnBackend, place);
    return place.then((release) => this.#hold(hasOwnBackend, release));
  }

  /**
   * Throws `too_many_streams` if `auto` leaves no file for the backend connection of a shared stream, which
   * is dialled once for all of its clients.
   */
  checkBackendFile(): void {
    if (this.#limits.streams === "auto") this.#checkRoom(1);
  }

  /** Ends up to `count` idle backend connections, because the process has no file left. */
  giveUpIdle(count: number): void {
    for (let left = count; left > 0 && this.backendFiles.reclaim(); ) left--;
  }

  #checkRoom(files: number): void {
    if (this.#makeRoom(this.connections + files)) return;
    throw new ProxyError("too_many_streams", "the open-file limit is reached", {
      fields: [retrySoon()],
    });
  }

  /** Whether so many files fit beside the backend connections; ends idle backend connections to make room. */
  #makeRoom(files: number): boolean {
    while (files + this.backendFiles.held > this.#files) if (!this.backendFiles.reclaim()) return false;
    return true;
  }

  #limitStreams(): Places | undefined {
    const { streams, streamsPerClient } = this.#limits;
    // The empty name stands for the gateway; no route has it.
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

  /**
   * Throws `out_of_memory` (503) while the heap is nearly full, unless the new stream replaces an ended one: the memory
   * of that one can be collected.
   */
  #checkHeap(): void {
    if (!this.#heap.isHigh) {
      this.#mostStreams = undefined;
      return;
    }
    this.#mostStreams ??= this.#streams;
    if (this.#streams < Math.max(1, this.#mostStreams)) return;
    throw new ProxyError("out_of_memory", "the heap is nearly full", { fields: [retrySoon()] });
  }

  #hold(hasOwnBackend: boolean, release: Release | undefined): Release {
    this.#streams++;
    if (hasOwnBackend) this.backendFiles.take();
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#streams--;
      if (hasOwnBackend) this.backendFiles.giveBack();
      release?.();
    };
  }
}

function admissionOf(open: number, places: number): Admission {
  if (open <= places) return "served";
  return open <= places + REFUSED_CONNECTIONS ? "refused" : "closed";
}
