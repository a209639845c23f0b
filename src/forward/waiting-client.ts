import type { Socket } from "node:net";

/** Most that is held of what a client sends before it is answered; then it has to wait. */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * A client that waits for the answer to its upgrade.
 *
 * It is read, because only a socket that is read tells that its peer has left: without that, a backend
 * request would outlive its client, and without an error listener a reset would end the process.
 */
export class WaitingClient {
  readonly #socket: Socket;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;
  #gone: (() => void) | undefined;

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    // `close` follows and is acted on; this one also stays for the life of the socket.
    socket.on("error", () => socket.destroy());
    this.#hold(head);
    socket.on("data", this.#hold);
    socket.once("end", this.#leave);
    socket.once("close", this.#leave);
  }

  /** Calls back if the client leaves before `release`; one that half-closes has left, as no WebSocket does. */
  onceGone(callback: () => void): void {
    this.#gone = callback;
    if (this.#socket.destroyed) this.#leave();
  }

  /** Stops watching and puts back what the client has sent. */
  release(): void {
    this.#gone = undefined;
    this.#socket.removeListener("data", this.#hold);
    this.#socket.removeListener("end", this.#leave);
    this.#socket.removeListener("close", this.#leave);
    this.#socket.pause();
    if (this.#earlyBytes > 0 && !this.#socket.destroyed) this.#socket.unshift(Buffer.concat(this.#early));
    this.#early.length = this.#earlyBytes = 0;
  }

  readonly #hold = (bytes: Buffer): void => {
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes >= MAX_EARLY_BYTES) this.#socket.pause();
  };

  readonly #leave = (): void => {
    const gone = this.#gone;
    // Nobody will read it, and a stream that has ended takes nothing back.
    this.#earlyBytes = 0;
    this.release();
    this.#socket.destroy();
    gone?.();
  };
}
