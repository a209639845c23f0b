import type { Socket } from "node:net";
import { GrowingBytes } from "../base/growing-bytes.ts";
import { restartReading } from "../process/internals/restart-reading.ts";

/**
 * Most that is held of what a client sends before it is answered; one that sends more is cut off. To stop reading
 * instead would hide that the client leaves. A WebSocket client waits for its 101 before it sends (RFC 6455 section 4.1).
 */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * A client that waits for the answer to its upgrade, on a connection that nobody else reads.
 *
 * It is read, because only a socket that is read tells that its peer has left: without that, a backend request would
 * outlive its client, and without an error listener a reset would end the process.
 */
export class WaitingClient {
  readonly socket: Socket;
  #early = new GrowingBytes();
  #gone: (() => void) | undefined;
  /** Set while earlier requests of the connection are being answered. */
  #onDrain: (() => void) | undefined;

  constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    // `close` follows and is acted on; this one also stays for the life of the socket.
    socket.on("error", this.#onError);
    this.#hold(head);
    socket.on("data", this.#hold);
    socket.once("end", this.#leave);
    socket.once("close", this.#leave);
    restartReading(socket);
  }

  /**
   * Says that the client waits for the answers to its earlier requests: `onDrain` is called when all that waited for
   * it was taken. Undefined: it waits no more.
   */
  queue(onDrain: (() => void) | undefined): void {
    if (this.#onDrain !== undefined) this.socket.removeListener("drain", this.#onDrain);
    this.#onDrain = onDrain;
    if (onDrain !== undefined) this.socket.on("drain", onDrain);
  }

  /** Calls back if the client leaves before `release`; one that half-closes has left, as no WebSocket does. */
  onceGone(callback: () => void): void {
    this.#gone = callback;
    if (this.socket.destroyed) this.#leave();
  }

  /** Stops watching and puts back what the client has sent. */
  release(): void {
    const { socket } = this;
    this.#gone = undefined;
    this.queue(undefined);
    socket.removeListener("data", this.#hold);
    socket.removeListener("end", this.#leave);
    socket.removeListener("close", this.#leave);
    socket.pause();
    if (this.#early.length > 0 && !socket.destroyed) socket.unshift(this.#early.bytes);
    this.#early = new GrowingBytes();
  }

  /** The same, for a reader that hears of errors itself. */
  letGo(): void {
    this.release();
    this.socket.removeListener("error", this.#onError);
  }

  readonly #hold = (bytes: Buffer): void => {
    this.#early.add(bytes);
    if (this.#early.length >= MAX_EARLY_BYTES) this.socket.destroy();
  };

  readonly #onError = (): void => {
    this.socket.destroy();
  };

  readonly #leave = (): void => {
    const gone = this.#gone;
    // Nobody will read it, and a stream that has ended takes nothing back.
    this.#early = new GrowingBytes();
    this.release();
    this.socket.destroy();
    gone?.();
  };
}
