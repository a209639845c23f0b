import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { afterTest } from "./after-test.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";

/** How the response ended: `clean` and `truncated` need framing, `closed` is a FIN without framing. */
export type StreamEnd = "clean" | "truncated" | "closed" | "reset";

export interface ResponseHead {
  readonly raw: string;
  readonly version: string;
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export interface StreamRequest {
  /** The address to connect to; 127.0.0.1 by default. */
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly version?: "1.0" | "1.1";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Connects and sends, but reads no byte. */
  readonly paused?: boolean;
}

/** The fields that an EventSource sends: its stream may end early, because it reconnects. */
export const EVENT_SOURCE = { Accept: "text/event-stream" };

type Framing = "chunked" | "length" | "close";

/** Reads one response directly from the socket, without any library that joins, decodes or retries. */
export class StreamClient {
  readonly socket: Socket;
  /** The parts of the body with their times. */
  readonly arrivals: { readonly at: number; readonly bytes: Buffer }[] = [];
  head: ResponseHead | undefined;
  /** The length of the decoded body so far; unlike `body` it is cheap. */
  bodyLength = 0;
  trailers = "";
  end: StreamEnd | undefined;
  endedAt = 0;
  #body: Buffer[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #framing: Framing = "close";
  #left = 0;
  #whole = false;
  readonly #isHead: boolean;

  constructor(socket: Socket, method: string) {
    this.socket = socket;
    this.#isHead = method === "HEAD";
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#feed(bytes));
    socket.on("end", () => this.#finish(this.#endAtFin()));
    socket.on("error", () => this.#finish("reset"));
    socket.on("close", () => this.#finish("reset"));
  }

  /** The decoded body so far. */
  get body(): Buffer {
    // Joined at each access, not at each arrival: large downloads have thousands of parts.
    if (this.#body.length > 1) this.#body = [Buffer.concat(this.#body)];
    return this.#body[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.body.toString("utf8");
  }

  field(name: string): string | undefined {
    return this.fieldLines(name)[0];
  }

  fieldLines(name: string): string[] {
    const wanted = name.toLowerCase();
    return (this.head?.fields ?? []).filter(([have]) => have.toLowerCase() === wanted).map(([, v]) => v);
  }

  /** Waits for the head; it needs no byte of the body. */
  async opened(): Promise<ResponseHead> {
    return (await eventually(() => this.head, "the response head")) as ResponseHead;
  }

  /** Waits until the body contains `text`. */
  async received(text: string): Promise<void> {
    await eventually(
      () => this.text.includes(text),
      `${JSON.stringify(text)} in ${JSON.stringify(this.text.slice(-200))}`,
    );
  }

  /** Waits for the end of the response. */
  async ended(timeoutMs = PATIENCE_MS): Promise<StreamEnd> {
    return (await eventually(() => this.end, "the end of the response", { timeoutMs })) as StreamEnd;
  }

  /** Disconnects like a closed browser tab. */
  leave(): void {
    this.socket.destroy();
  }

  /** Resets the connection. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  #endAtFin(): StreamEnd {
    if (this.head === undefined) return "truncated";
    if (this.#framing === "close") return "closed";
    return this.#whole ? "clean" : "truncated";
  }

  #finish(end: StreamEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.endedAt = performance.now();
  }

  #feed(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    if (this.head === undefined && !this.#readHead()) return;
    if (this.#whole) this.#finish("clean");
    else if (this.#framing === "chunked") while (this.#readChunk());
    else this.#readPlain();
    if (this.#whole) this.#finish("clean");
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const raw = this.#take(end + 4).toString("latin1");
    const [start = "", ...lines] = raw.slice(0, -4).split("\r\n");
    const [, version = "", status = ""] = /^HTTP\/(\d\.\d) (\d{3})/.exec(start) ?? [];
    // 100 Continue and other interim responses precede the final head.
    if (status.startsWith("1") && status !== "101") return this.#readHead();
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    this.head = { raw, version, status: Number(status), fields };
    const length = this.field("content-length");
    if (/chunked/i.test(this.field("transfer-encoding") ?? "")) this.#framing = "chunked";
    else if (length !== undefined) [this.#framing, this.#left] = ["length", Number(length)];
    if (this.#isHead || status === "204" || status === "304") this.#whole = true;
    else if (this.#framing === "length" && this.#left === 0) this.#whole = true;
    return true;
  }

  #readPlain(): void {
    const count =
      this.#framing === "length" ? Math.min(this.#left, this.#pending.length) : this.#pending.length;
    this.#arrive(this.#take(count));
    if (this.#framing !== "length") return;
    this.#left -= count;
    this.#whole = this.#left === 0;
  }

  #readChunk(): boolean {
    const lineEnd = this.#pending.indexOf("\r\n");
    if (lineEnd < 0 || this.#whole) return false;
    const size = Number.parseInt(this.#pending.toString("latin1", 0, lineEnd), 16);
    if (size === 0) {
      const end = this.#pending.indexOf("\r\n\r\n", lineEnd);
      if (end < 0) return false;
      this.trailers = this.#take(end + 4)
        .toString("latin1")
        .slice(lineEnd + 2, -2);
      this.#whole = true;
      return false;
    }
    if (this.#pending.length < lineEnd + 2 + size + 2) return false;
    this.#take(lineEnd + 2);
    this.#arrive(this.#take(size));
    this.#take(2);
    return true;
  }

  #arrive(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#body.push(bytes);
    this.bodyLength += bytes.length;
    this.arrivals.push({ at: performance.now(), bytes });
  }

  #take(count: number): Buffer {
    const piece = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return piece;
  }
}

/** Returns the bytes of a request head (and body) as `openStream` sends them. */
export function requestBytes(port: number, request: StreamRequest): string {
  const { path = "/", method = "GET", version = "1.1", headers = {}, body } = request;
  const all: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    ...(body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/${version}\r\n${lines.join("")}\r\n${body ?? ""}`;
}

/** Sends one request and reads its response incrementally; closes the socket when the test ends. */
export function openStream(port: number, request: StreamRequest = {}): StreamClient {
  const socket = connect(port, request.host ?? "127.0.0.1");
  const client = new StreamClient(socket, request.method ?? "GET");
  if (request.paused === true) socket.pause();
  socket.write(requestBytes(port, request));
  afterTest(() => {
    socket.destroy();
  });
  return client;
}
