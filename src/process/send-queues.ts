import { readFile } from "node:fs/promises";
import { isIPv4, type Socket } from "node:net";
import { endianness } from "node:os";

/** Milliseconds between two looks at the first, doubled up to the last: a look costs about 3 µs for each TCP socket. */
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 640;

/** Milliseconds to wait where the system does not tell what is queued (any but Linux). */
const BLIND_WAIT_MS = 500;

const V4_TABLE = "/proc/net/tcp";
const V6_TABLE = "/proc/net/tcp6";

/** A connection whose send queue is to become empty. */
interface Waiting {
  /** Both ends, as the kernel writes them into its table. */
  readonly key: string;
  readonly table: typeof V4_TABLE | typeof V6_TABLE;
  readonly socket: Socket;
  readonly onSent: () => void;
}

/**
 * Waits until the kernel has sent what was written. Node has no call for that.
 *
 * A TCP reset discards the sender's queue. Without this wait an HTTP/1.0 client that lags would lose events that the
 * backend had delivered before it aborted. Linux lists the queues in proc(5)'s `net/tcp` (`tx_queue`: the bytes that
 * the peer has not acknowledged). All waiting connections share each look.
 */
class SendQueues {
  readonly #waiting = new Set<Waiting>();
  #pauseMs = FIRST_LOOK_MS;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    this.#pauseMs = FIRST_LOOK_MS;
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (this.#isLooking || this.#waiting.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LAST_LOOK_MS);
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    const asked = [...this.#waiting];
    for (const table of [V4_TABLE, V6_TABLE] as const) {
      const ofTable = asked.filter((waiting) => waiting.table === table);
      if (ofTable.length > 0) this.#settle(ofTable, await queuesOf(table));
    }
    this.#isLooking = false;
    this.#lookSoon();
  }

  #settle(asked: readonly Waiting[], queues: ReadonlySet<string> | undefined): void {
    for (const waiting of asked) {
      const { key, socket } = waiting;
      // The kernel's queue may be empty for a moment while Node has more to write.
      const isSent = socket.writableLength === 0 && queues?.has(key) !== true;
      if (!isSent && !socket.destroyed) continue;
      this.#waiting.delete(waiting);
      waiting.onSent();
    }
  }
}

const sendQueues = new SendQueues();

/**
 * Calls back once, when Node and the kernel have sent every byte that was written to a TCP socket, or when it was
 * destroyed. `onSent` must not throw. The caller bounds the wait by destroying the socket: the queue stays full while the
 * client reads nothing.
 */
export function whenSent(socket: Socket, onSent: () => void): void {
  const key = keyOf(socket);
  if (key === undefined || process.platform !== "linux") {
    setTimeout(onSent, BLIND_WAIT_MS);
    return;
  }
  const table = isIPv4(socket.localAddress ?? "") ? V4_TABLE : V6_TABLE;
  sendQueues.add({ key, table, socket, onSent });
}

/** The connections of a table with bytes left to send, by key; undefined where the table cannot be read. */
async function queuesOf(table: string): Promise<ReadonlySet<string> | undefined> {
  const text = await readFile(table, "latin1").catch(() => undefined);
  if (text === undefined) return undefined;
  const queues = new Set<string>();
  // `  12: 0100007F:1F40 0100007F:D431 01 00002A10:00000000 …`: ends, state, send queue, receive queue.
  for (const [, key = "", bytes] of text.matchAll(/^ *\d+: (\S+ \S+) \S\S ([0-9A-F]{8}):/gm)) {
    if (bytes !== "00000000") queues.add(key);
  }
  return queues;
}

/** Undefined for a socket without TCP addresses: a unix socket, or a connection that is gone. */
function keyOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string | undefined {
  const local = endOf(localAddress, localPort);
  const remote = endOf(remoteAddress, remotePort);
  return local === undefined || remote === undefined ? undefined : `${local} ${remote}`;
}

/** One end as the kernel writes it: words of four bytes as numbers of this machine, a colon, the port. */
function endOf(address: string | undefined, port: number | undefined): string | undefined {
  if (address === undefined || port === undefined) return undefined;
  const words = wordsOf(address).map((word) => (endianness() === "LE" ? word.toReversed() : word));
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  return `${words.flat().map(hex).join("")}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}

/** The bytes of an address in words of four. */
function wordsOf(address: string): number[][] {
  if (isIPv4(address)) return [address.split(".").map(Number)];
  const [head = [], tail] = (address.split("%")[0] ?? "").split("::").map(groupsOf);
  const gap = tail === undefined ? [] : new Array<number>(16 - head.length - tail.length).fill(0);
  const bytes = [...head, ...gap, ...(tail ?? [])];
  return [0, 4, 8, 12].map((at) => bytes.slice(at, at + 4));
}

/** The bytes of colon-separated groups, of which the last may be an IPv4 address. */
function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const word = Number.parseInt(group, 16);
    return [word >> 8, word & 0xff];
  });
}
