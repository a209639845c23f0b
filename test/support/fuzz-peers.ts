import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { afterTest } from "./after-test.ts";
import { readWithLlhttp } from "./llhttp.ts";
import type { Random } from "./random-bytes.ts";
import { endOfNextChunk, type Reading } from "./random-streams.ts";

/** The behaviour of both peers in one exchange, drawn in advance so that a seed repeats it. */
export interface Plan {
  readonly wire: Buffer;
  /** The lengths of the backend's writes, and the wait after each: event loop turns, or milliseconds. */
  readonly writes: readonly { readonly length: number; readonly turns: number; readonly ms: number }[];
  readonly after: "keep" | "fin" | "reset";
  /** The byte of the response at which the client disconnects, and how. */
  readonly leavesAt: number | undefined;
  readonly leavesBy: "fin" | "reset";
  /** How long the client does not read after the first byte. */
  readonly napMs: number;
  readonly path: string;
}

const EMPTY_LINE = Buffer.from("\r\n\r\n");

/** How a response reached the client. */
export interface Delivery {
  readonly bytes: Buffer;
  readonly hasLeft: boolean;
  /** The last byte arrived, and the connection is free for another request. */
  readonly isKept: boolean;
}

/**
 * Draws the behaviour of the peers. An incomplete response ends the connection, otherwise its end could not be seen.
 * A response with bytes after its end is sent in one write: later bytes would look like the next response.
 */
export function randomPlan(
  wire: Buffer,
  { isWhole, hasSurplus }: Reading,
  path: string,
  pauses: number,
  random: Random,
): Plan {
  const { chance, upTo, one } = random;
  const writes: { length: number; turns: number; ms: number }[] = [];
  const isBig = wire.length > 10_000;
  for (let at = 0; at < wire.length; ) {
    const most = isBig ? 200_000 : chance(0.5) ? 8 : 300;
    const isChunk = !isBig && chance(0.4);
    const wanted = isChunk ? endOfNextChunk(wire, at) - at : 1 + upTo(most);
    const length = hasSurplus ? wire.length : Math.min(wire.length - at, wanted);
    writes.push({ length, turns: upTo(2), ms: chance(pauses) ? 1 + upTo(2) : 0 });
    at += length;
  }
  return {
    wire,
    writes,
    after: isWhole ? one(["keep", "keep", "keep", "fin", "reset"] as const) : one(["fin", "reset"] as const),
    leavesAt: chance(0.05) ? upTo(wire.length) : undefined,
    leavesBy: one(["fin", "reset"] as const),
    napMs: isBig ? 20 : chance(0.02) ? 2 : 0,
    path,
  };
}

/** Starts a backend that follows the plan whose number is in the request's path; resolves with its port. */
export async function startPlannedBackend(plans: ReadonlyMap<number, Plan>): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let head = "";
    let isLast = false;
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      if (!head.endsWith("\r\n\r\n")) return;
      const plan = plans.get(Number(/^GET \/\w+\/(\d+) /.exec(head)?.[1]));
      head = "";
      // The next request may arrive before the end is seen; the backend never accepted it.
      if (isLast) return;
      isLast = plan?.after !== "keep";
      if (plan === undefined) socket.destroy();
      else void play(socket, plan);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

async function play(socket: Socket, { wire, writes, after }: Plan): Promise<void> {
  let at = 0;
  for (const { length, turns, ms } of writes) {
    if (!socket.writable) return;
    socket.write(wire.subarray(at, at + length));
    at += length;
    for (let turn = 0; turn < turns; turn++) await nextTurn();
    if (ms > 0) await delay(ms);
  }
  if (after === "fin") socket.end();
  // Node resets at once and drops unsent bytes, like a backend that dies.
  else if (after === "reset") socket.resetAndDestroy();
}

/** Whether it is worth parsing: large responses, which end with a last chunk, are not parsed again at each read. */
function mayBeWhole(part: Buffer, length: number): boolean {
  return length < 10_000 || part.subarray(-4).equals(EMPTY_LINE);
}

/** A client that requests one plan after another, on one connection while it is kept. */
export class PlannedClient {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async ask({ path, leavesAt, leavesBy, napMs }: Plan): Promise<Delivery> {
    const socket = await this.#connected();
    const parts: Buffer[] = [];
    let length = 0;
    let hasLeft = false;
    let hasNapped = napMs === 0;
    return new Promise((resolve) => {
      const over = (isKept: boolean) => {
        socket.removeAllListeners("data").removeAllListeners("close");
        if (!isKept) this.#socket = undefined;
        resolve({ bytes: Buffer.concat(parts), hasLeft, isKept });
      };
      socket.on("close", () => over(false));
      socket.on("data", (bytes) => {
        parts.push(bytes);
        length += bytes.length;
        if (leavesAt !== undefined && length >= leavesAt) {
          hasLeft = true;
          if (leavesBy === "fin") socket.destroy();
          else socket.resetAndDestroy();
        } else if (mayBeWhole(bytes, length) && readWithLlhttp(Buffer.concat(parts), false).isEnded) {
          over(true);
        }
        if (hasNapped || socket.destroyed) return;
        hasNapped = true;
        socket.pause();
        setTimeout(() => socket.resume(), napMs);
      });
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    });
  }

  leave(): void {
    this.#socket?.destroy();
  }

  async #connected(): Promise<Socket> {
    if (this.#socket?.writable) return this.#socket;
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => {});
    this.#socket = socket;
    return new Promise((resolve) => socket.once("connect", () => resolve(socket)));
  }
}
