import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { afterTest } from "./after-test.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";

/** How the server left the connection: `end` is FIN, `open` is neither FIN nor reset. */
export type RawEnding = "end" | "reset" | "open";

export interface RawResponse {
  /** Every byte that came, as latin1. */
  readonly text: string;
  readonly bytes: Buffer;
  readonly arrivals: RawClient["arrivals"];
  readonly ending: RawEnding;
  /** The first status; undefined when nothing that looks like a response came. */
  readonly status: number | undefined;
}

const toBytes = (data: string | Buffer): Buffer =>
  typeof data === "string" ? Buffer.from(data, "latin1") : data;

/** One TCP connection that sends exactly the bytes it is given and keeps exactly those that come. */
export class RawClient {
  readonly socket: Socket;
  /** What came, and when (`performance.now()`). */
  readonly arrivals: { readonly at: number; readonly bytes: Buffer }[] = [];
  ending: RawEnding = "open";

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.arrivals.push({ at: performance.now(), bytes }));
    socket.on("end", () => {
      this.ending = "end";
    });
    socket.on("error", () => {
      if (this.ending === "open") this.ending = "reset";
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.arrivals.map(({ bytes }) => bytes));
  }

  /** Every byte so far, as latin1. */
  get text(): string {
    return this.bytes.toString("latin1");
  }

  get status(): number | undefined {
    const found = /^HTTP\/1\.[01] (\d{3})/.exec(this.text)?.[1];
    return found === undefined ? undefined : Number(found);
  }

  /** Bytes as they are; a string is latin1. */
  send(data: string | Buffer): void {
    this.socket.write(toBytes(data));
  }

  /** Waits until `text` has come. */
  async received(text: string, timeoutMs = PATIENCE_MS): Promise<void> {
    await eventually(
      () => this.text.includes(text),
      `${JSON.stringify(text)} in ${JSON.stringify(this.text.slice(-300))}`,
      { timeoutMs },
    );
  }

  /** Waits for the server's FIN or reset. */
  async ended(timeoutMs = PATIENCE_MS): Promise<Exclude<RawEnding, "open">> {
    await eventually(() => this.ending !== "open", "the end of the connection", { timeoutMs });
    return this.ending === "end" ? "end" : "reset";
  }

  /** Ends our half; what the server still sends is read. */
  halfClose(): void {
    this.socket.end();
  }

  /** Leaves as a closed browser tab does. */
  leave(): void {
    this.socket.destroy();
  }

  /** Leaves with a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** Connects to a local port, or to a unix socket; the connection closes when the test ends. */
export async function openRaw(where: number | string): Promise<RawClient> {
  // Half-open, so that a server's FIN does not end what this client has yet to send.
  const options = { allowHalfOpen: true };
  const socket =
    typeof where === "number"
      ? connect({ port: where, host: "127.0.0.1", ...options })
      : connect({ path: where, ...options });
  const client = new RawClient(socket);
  afterTest(() => {
    socket.destroy();
  });
  await eventually(() => !socket.connecting, `a connection to ${where}`);
  if (socket.destroyed) throw new Error(`no connection to ${where}`);
  return client;
}

export interface RawOptions {
  /** How long to wait for the server to close, or for `until`; then the ending is `open`. */
  readonly waitMs?: number;
  /** Stop waiting as soon as this has come, for answers on connections that stay open. */
  readonly until?: string;
  /** Pause between chunks, so that they arrive one by one; 0 sends them in one turn. */
  readonly pauseMs?: number;
}

/** Sends bytes, or chunks one after the other, and returns what came back and how the connection ended. */
export async function rawRequest(
  where: number | string,
  chunks: string | Buffer | readonly (string | Buffer)[],
  { waitMs = PATIENCE_MS, until, pauseMs = 0 }: RawOptions = {},
): Promise<RawResponse> {
  const client = await openRaw(where);
  for (const [index, chunk] of (typeof chunks === "string" || Buffer.isBuffer(chunks)
    ? [chunks]
    : chunks
  ).entries()) {
    if (index > 0 && pauseMs > 0) await delay(pauseMs);
    client.send(chunk);
  }
  const isOver = () => client.ending !== "open" || (until !== undefined && client.text.includes(until));
  const deadline = performance.now() + waitMs;
  while (!isOver() && performance.now() < deadline) await delay(2);
  const { text, bytes, arrivals, ending, status } = client;
  client.leave();
  return { text, bytes, arrivals, ending, status };
}
