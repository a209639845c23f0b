import { pino } from "pino";
import type { StreamConfig } from "../../src/config/route-schema.ts";
import { routeSchema } from "../../src/config/route-schema.ts";
import { Exchange } from "../../src/exchange/exchange.ts";
import type { Route } from "../../src/exchange/route.ts";
import { ROOM_BEFORE } from "../../src/http/chunk.ts";
import { RawResponse, type ResponseOwner } from "../../src/http/raw-response.ts";
import { ResponseParser } from "../../src/http/response-parser.ts";
import { Relay } from "../../src/stream/relay.ts";
import { BackendResponse } from "../../src/upstream/backend-response.ts";
import type { Connection } from "../../src/upstream/connection.ts";

/** The high-water mark of the simulated sockets: small, so that clients fall behind often. */
const HIGH_WATER_MARK = 32;

const log = pino({ level: "silent" });
const config = routeSchema.parse({ match: { path: "/" }, upstream: "http://127.0.0.1:1" });

/** The part of a client's socket that a response uses, with a kernel that accepts as much as the test sets. */
class ClientSocket {
  /** The written bytes, one Buffer per write. */
  readonly writes: Buffer[] = [];
  writable = true;
  writableLength = 0;
  bytesWritten = 0;
  isReset = false;
  /** Accepts all bytes. */
  isFast = true;
  #waiting: ((error?: Error | null) => void)[] = [];
  #mustDrain = false;
  readonly #onDrain: () => void;
  readonly #onClose: () => void;

  constructor(onDrain: () => void, onClose: () => void) {
    this.#onDrain = onDrain;
    this.#onClose = onClose;
  }

  write(data: Buffer | string, ...rest: unknown[]): boolean {
    if (!this.writable) throw new Error("written after the end");
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    this.writes.push(bytes);
    this.bytesWritten += bytes.length;
    this.writableLength += bytes.length;
    const callback = rest.at(-1);
    if (typeof callback === "function") this.#waiting.push(callback as () => void);
    if (this.writableLength < HIGH_WATER_MARK) return true;
    this.#mustDrain = true;
    return false;
  }

  /** Lets the client read, as after each turn of the event loop. */
  take(): void {
    if (!this.writable) return;
    this.writableLength = 0;
    for (const callback of this.#waiting.splice(0)) callback(null);
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    this.#onDrain();
  }

  /** Whether the gateway aborted the connection. */
  destroy(): void {
    if (!this.writable) return;
    this.writable = false;
    this.isReset = true;
    this.#onClose();
  }
}

export interface SimulationOptions {
  readonly heartbeat: number | undefined;
  readonly prelude: boolean;
  readonly clientBuffer: number;
}

/** The complete path of a stream, from the reads of the backend's connection to the writes to a client's socket. */
export class RelaySimulation {
  readonly client: ClientSocket;
  readonly response: RawResponse;
  relay: Relay | undefined;
  isPaused = false;
  /** The maximum number of pending bytes for the client while the backend is read. */
  readonly mostPending: number;
  /** The state of the backend's connection: open, kept for another request, or closed. */
  connection: "open" | "kept" | "closed" = "open";
  isWhole = false;
  readonly prelude: boolean;
  readonly #parser = new ResponseParser();
  readonly #readBuffer = Buffer.alloc(4096);
  readonly #route: Route;
  #answer: BackendResponse | undefined;

  constructor(options: SimulationOptions) {
    this.client = new ClientSocket(
      () => this.response.drained(),
      () => this.response.closed(),
    );
    this.response = new RawResponse({
      socket: this.client,
      headContext: () => ({ mayKeepAlive: true, keepAliveMs: 75_000 }),
      answered: () => {
        this.isWhole = true;
      },
    } as unknown as ResponseOwner);
    this.prelude = options.prelude;
    this.mostPending = Math.max(options.clientBuffer, HIGH_WATER_MARK);
    const { heartbeat, ...others } = options;
    const stream: StreamConfig = {
      ...config.stream,
      ...others,
      // The prelude is sent at once: the cases place lines themselves.
      comments: "on",
      heartbeat: heartbeat === undefined ? undefined : { every: heartbeat, event: undefined },
      sendTimeout: undefined,
    };
    this.#route = { config: { ...config, name: "main", stream }, cors: undefined } as unknown as Route;
    this.#parser.begin(false);
  }

  /** Simulates one read of the backend's connection; its bytes are invalid afterwards, as in the shared buffer. */
  read(bytes: Buffer): void {
    bytes.copy(this.#readBuffer, ROOM_BEFORE);
    this.#parser.read(this.#readBuffer, ROOM_BEFORE, ROOM_BEFORE + bytes.length);
    if (this.#parser.head !== undefined)
      this.#answer = new BackendResponse(this.#parser.head, this.#connection(), {
        keepMs: 4_000,
        owner: { fault() {} },
      });
    this.#answer?.onRead(this.#parser, this.#readBuffer);
    if (this.#answer === undefined && this.#parser.fault !== undefined) this.connection = "closed";
    this.#readBuffer.fill(0xaa);
  }

  /** Whether the backend has sent its response head. */
  get isAnswered(): boolean {
    return this.#answer !== undefined;
  }

  /** Attaches the relay; it gets the bytes read before at once. */
  start(): void {
    const request = {
      method: "GET",
      url: "/",
      httpVersion: "1.1",
      rawHeaders: ["Accept", "text/event-stream"],
      body: undefined,
    };
    const who = {
      address: "127.0.0.1",
      proto: "http",
      host: "a",
      forwardedFor: "",
      requestId: "id",
      isTrusted: false,
    };
    const exchange = new Exchange(request, who as never, { log, onSettled() {}, onFault() {} });
    this.relay = new Relay(exchange, this.response, this.#answer as BackendResponse, this.#route);
    this.relay.start(new Set());
  }

  /** Ends or resets the backend's connection. */
  end(isReset: boolean): void {
    if (this.connection !== "open") return;
    this.connection = "closed";
    if (isReset) this.#answer?.onBroken(new Error("ECONNRESET"));
    else this.#answer?.onEnd(this.#parser.finish());
  }

  #connection(): Connection {
    const closed = () => {
      if (this.connection === "open") this.connection = "closed";
    };
    return {
      handOver() {},
      pause: () => {
        this.isPaused = true;
      },
      resume: () => {
        this.isPaused = false;
      },
      destroy: closed,
      finish: () => {
        this.connection = this.#parser.isPersistent && !this.#parser.hasSurplus ? "kept" : "closed";
      },
    } as unknown as Connection;
  }
}
