import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { afterTest } from "./after-test.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";

/** How the server left the connection: `end` is FIN, `open` is neither FIN nor reset. */
export type RawEnding = "end" | "reset" | "open";

export interface RawResponse {
  /** All received bytes, as latin1. */
  readonly text: string;
  readonly bytes: Buffer;
  readonly arrivals: RawClient["arrivals"];
  readonly ending: RawEnding;
  /** The first status; undefined without a response. */
  readonly status: number | undefined;
}

const toBytes = (data: string | Buffer): Buffer =>
  typeof data === "string" ? Buffer.from(data, "latin1") : data;

/** One TCP connection that sends exactly the given bytes and keeps exactly the received ones. */
export class RawClient {
  readonly socket: Socket;
  /** The received bytes with their times (`performance.now()`). */
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

  /** All received bytes so far, as latin1. */
  get text(): string {
    return this.bytes.toString("latin1");
  }

  get status(): number | undefined {
    const found = /^HTTP\/1\.[01] (\d{3})/.exec(this.text)?.[1];
    return found === undefined ? undefined : Number(found);
  }

  /** Sends bytes unchanged; a string is latin1. */
  send(data: string | Buffer): void {
    this.socket.write(toBytes(data));
  }

  /** Waits until `text` has arrived. */
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

  /** Ends the client's half; it still reads the server's bytes. */
  halfClose(): void {
    this.socket.end();
  }

  /** Disconnects like a closed browser tab. */
  leave(): void {
    this.socket.destroy();
  }

  /** Resets the connection. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** Connects to a local port or a unix socket; closes the connection when the test ends. */
export async function openRaw(where: number | string): Promise<RawClient> {
  // Half-open, so that the server's FIN does not stop the client from sending.
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
  /** The longest wait for the server's close or for `until`; after that the ending is `open`. */
  readonly waitMs?: number;
  /** Ends the wait when this text arrives, for responses on connections that stay open. */
  readonly until?: string;
  /** The pause between chunks, so that they arrive one by one; 0 sends them in one turn. */
  readonly pauseMs?: number;
}

/** Sends bytes, or chunks one after another, and returns the received bytes and the connection's ending. */
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
