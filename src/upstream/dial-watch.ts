import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { DueTimer } from "../base/due-timer.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import { type DialError, dialError, dialProgress, dialTimeout } from "./dial-error.ts";
import type { Timeouts } from "./upstream.ts";

interface Watched {
  readonly timeouts: Timeouts;
  readonly isTls: boolean;
  readonly owner: FaultOwner;
}

/**
 * Watches a dial of Node's own client, which sends upgrades: its progress, and the `timeouts` of the connection and,
 * once the request is sent, of the response head.
 */
export class DialWatch {
  readonly #request: ClientRequest;
  readonly #timeouts: Timeouts;
  readonly #owner: FaultOwner;
  #timer: DueTimer | undefined;
  #isOver = false;
  #socket: Socket | undefined;
  #isConnected = false;
  /** Bytes that the connection had brought before this request. */
  #earlierBytes = 0;

  /** An error in one of these callbacks is a fault of `owner`. */
  constructor(request: ClientRequest, { timeouts, isTls, owner }: Watched) {
    const { connectTimeout, responseHeaderTimeout } = timeouts;
    this.#request = request;
    this.#timeouts = timeouts;
    this.#owner = owner;
    this.#arm(connectTimeout);
    const onSocket = (socket: Socket) => {
      this.#socket = socket;
      if (request.reusedSocket || !socket.connecting) this.#connected();
      else
        socket.once(
          isTls ? "secureConnect" : "connect",
          this.#guarded(() => this.#connected()),
        );
    };
    request.once("socket", this.#guarded(onSocket));
    // `finish`: the last byte of the request is with the kernel.
    const onFinish = () => this.#arm(responseHeaderTimeout);
    request.once("finish", this.#guarded(onFinish));
  }

  /** Ends the watch: the response head is here, or will not come. */
  clear(): void {
    this.#isOver = true;
    this.#timer?.clear();
  }

  /** Converts an error of the request to a DialError. */
  failure(error: NodeJS.ErrnoException): DialError {
    const isAnswered = (this.#socket?.bytesRead ?? 0) > this.#earlierBytes;
    const isReused = this.#request.reusedSocket;
    return dialError(
      error,
      dialProgress({ isConnected: this.#isConnected, isSent: true, isAnswered, isReused }),
    );
  }

  #arm(ms: number): void {
    // A response may come before the request is out; then no response head is awaited any more.
    if (this.#isOver) return;
    this.#timer?.clear();
    const onDue = () => this.#request.destroy(dialTimeout(this.#isConnected, this.#timeouts));
    this.#timer = new DueTimer(
      ms,
      this.#guarded(() => void onDue()),
    );
  }

  #guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => this.#owner.fault(error), callback);
  }

  #connected(): void {
    this.#isConnected = true;
    this.#earlierBytes = this.#socket?.bytesRead ?? 0;
    this.#timer?.clear();
  }
}

/** Returns the problem of a response head that Node's client accepts; undefined if there is none. */
export function responseFault({ statusCode = 0, rawHeaders }: IncomingMessage): string | undefined {
  if (statusCode < 200) return `status ${statusCode}`;
  let codings = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== "transfer-encoding") continue;
    codings++;
    if (codings > 1 || rawHeaders[at + 1]?.toLowerCase() !== "chunked")
      return "Transfer-Encoding other than a single chunked";
  }
  return undefined;
}
