import type { Socket } from "node:net";
import { GrowingBytes } from "../base/growing-bytes.ts";
import { restartReading } from "../process/internals/restart-reading.ts";
import type { UpgradeBody } from "./upgrade-body.ts";

/**
 * The maximum number of bytes that are held before the client has its response; a client that sends more is
 * disconnected. Without reading, a client that leaves would go unnoticed. A WebSocket client sends nothing before its
 * 101 (RFC 6455 section 4.1).
 */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * A client that waits for the response to its upgrade, on a connection without another reader.
 *
 * The socket is read, because only a read shows that the client has left: otherwise a backend request would outlive its
 * client. Without an error listener a reset would end the process.
 */
export class WaitingClient {
  readonly socket: Socket;
  #early = new GrowingBytes();
  #gone: (() => void) | undefined;
  /** The body of its request, from `feed` on. */
  #body: UpgradeBody | undefined;
  /** Set while earlier requests of the connection are being answered. */
  #onDrain: (() => void) | undefined;

  constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    // After an error `close` follows. This listener stays as long as the socket.
    socket.on("error", this.#onError);
    this.#hold(head);
    socket.on("data", this.#hold);
    socket.once("end", this.#leave);
    socket.once("close", this.#leave);
    restartReading(socket);
  }

  /**
   * Sets the callback for `drain` while the client waits for the responses to its earlier requests; undefined when it no
   * longer does.
   */
  queue(onDrain: (() => void) | undefined): void {
    if (this.#onDrain !== undefined) this.socket.removeListener("drain", this.#onDrain);
    this.#onDrain = onDrain;
    if (onDrain !== undefined) this.socket.on("drain", onDrain);
  }

  /** Calls back if the client leaves before `release`; a half-close counts, because a tunnel needs both halves. */
  onceGone(callback: () => void): void {
    this.#gone = callback;
    if (this.socket.destroyed) this.#leave();
  }

  /** Gives a body its part of the bytes that the client has sent and will send. */
  feed(body: UpgradeBody): void {
    const early = this.#early.bytes;
    this.#early = new GrowingBytes();
    this.#body = body;
    this.#hold(early);
  }

  /** Stops watching and puts back the bytes that the client has sent. */
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

  /** Releases the client to a reader with its own error listener. */
  detach(): void {
    this.release();
    this.socket.removeListener("error", this.#onError);
  }

  readonly #hold = (bytes: Buffer): void => {
    this.#early.add(this.#body?.takeFrom(bytes) ?? bytes);
    if (this.#early.length >= MAX_EARLY_BYTES) this.socket.destroy();
  };

  readonly #onError = (): void => {
    this.socket.destroy();
  };

  readonly #leave = (): void => {
    const gone = this.#gone;
    // An ended stream takes no bytes back.
    this.#early = new GrowingBytes();
    this.release();
    this.#body?.destroy();
    this.socket.destroy();
    gone?.();
  };
}
