import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { DueTimer } from "../base/due-timer.ts";
import { ProxyError } from "../base/errors.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import { type DialError, dialError } from "./dial-error.ts";
import type { Timeouts } from "./upstream.ts";

interface Watched {
  readonly timeouts: Timeouts;
  readonly isTls: boolean;
  readonly owner: FaultOwner;
}

/**
 * Watches a request that Node's client sends, on its way to the response head: how far it has come, and that each
 * part of the way, first the connection and then, once the request is out, the answer, takes no longer than it may.
 */
export class DialWatch {
  readonly #request: ClientRequest;
  readonly #owner: FaultOwner;
  #timer: DueTimer | undefined;
  #isOver = false;
  #socket: Socket | undefined;
  #isConnected = false;
  /** What the connection had brought before this request. */
  #earlierBytes = 0;

  /** `owner` ends with a fault of these callbacks. */
  constructor(request: ClientRequest, { timeouts, isTls, owner }: Watched) {
    const { connectTimeout, responseHeaderTimeout } = timeouts;
    this.#request = request;
    this.#owner = owner;
    this.#arm(connectTimeout, "backend_connect_timeout");
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
    const onFinish = () => this.#arm(responseHeaderTimeout, "backend_timeout");
    request.once("finish", this.#guarded(onFinish));
  }

  /** The head is here, or will not come. */
  clear(): void {
    this.#isOver = true;
    this.#timer?.clear();
  }

  /** What an error of the request means, and how far the request had come. */
  failure(error: NodeJS.ErrnoException): DialError {
    return dialError(error, this.#progress());
  }

  #arm(ms: number, code: "backend_connect_timeout" | "backend_timeout"): void {
    // An answer may come before the request is out; what it waits for then is no head.
    if (this.#isOver) return;
    this.#timer?.clear();
    const onDue = () => this.#request.destroy(new ProxyError(code, `${ms} ms passed`));
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

  #progress(): DialError["progress"] {
    if (!this.#isConnected) return "unsent";
    if ((this.#socket?.bytesRead ?? 0) > this.#earlierBytes) return "answered";
    return this.#request.reusedSocket ? "stale" : "unanswered";
  }
}

/** What is wrong with a response head that Node's client accepts. */
export function responseFault({ statusCode = 0, rawHeaders }: IncomingMessage): string | undefined {
  if (statusCode < 200 || statusCode > 599) return `status ${statusCode}`;
  let codings = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== "transfer-encoding") continue;
    codings++;
    if (codings > 1 || rawHeaders[at + 1]?.toLowerCase() !== "chunked")
      return "Transfer-Encoding other than one chunked";
  }
  return undefined;
}
