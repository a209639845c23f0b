import type { Socket } from "node:net";
import { type FaultHandler, guarded } from "../base/guard.ts";
import type { Account } from "../exchange/account.ts";
import { lastChunk, toChunk } from "../http/chunk.ts";
import type { RequestBody } from "../http/client-request.ts";
import type { RawFields } from "../http/fields.ts";

/** A body, and the trailer fields that are forwarded behind it. */
export interface UploadBody extends RequestBody {
  /** Counts the bytes that have come from the client. */
  readonly account: Pick<Account, "addReceived">;
  trailersOf(raw: RawFields): RawFields;
}

/** Sends a request's body from the client to a backend as it comes, with back-pressure. */
export class Upload {
  readonly #socket: Socket;
  readonly #body: UploadBody;
  /** The request's head until it is sent, together with the first bytes of the body if they are here by then. */
  #head: string;
  #sentBytes = 0;
  #isOver = false;
  readonly #onDone: (isWhole: boolean) => void;
  readonly #onFault: FaultHandler;

  /**
   * `onDone` is called once: when the last byte is with the kernel, or when the client's body is incomplete. `onFault`
   * is called with an error that no code expected.
   */
  constructor(
    socket: Socket,
    head: string,
    body: UploadBody,
    on: { onDone(isWhole: boolean): void; onFault: FaultHandler },
  ) {
    this.#socket = socket;
    this.#head = head;
    this.#body = body;
    this.#onDone = on.onDone;
    this.#onFault = on.onFault;
    const { stream } = body;
    stream.on("data", this.#onData);
    stream.once("end", this.#onEnd);
    stream.once("close", this.#onClose);
    socket.on("drain", this.#onDrain);
    // The client may have left while the connection was opened: no further event would tell.
    const begin = () => (stream.closed ? this.#done(false) : this.#sendHead());
    // A turn later, because in the common case a part of the body came with the client's head. The head is sent without
    // waiting for more: a backend may respond before the body.
    setImmediate(this.#guarded(begin));
  }

  /**
   * Stops sending, after an early response or a failure. The rest of the body is read and dropped, so that the client
   * gets the response and not a reset; `limits.bodyTimeout` bounds that.
   */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { stream } = this.#body;
    stream.off("data", this.#onData);
    stream.off("end", this.#onEnd);
    stream.off("close", this.#onClose);
    this.#socket.off("drain", this.#onDrain);
    stream.resume();
  }

  #sendHead(): void {
    if (this.#isOver || this.#head === "") return;
    this.#socket.write(this.#head, "latin1");
    this.#head = "";
  }

  readonly #onData = this.#guarded((part: Buffer): void => {
    if (part.length === 0) return;
    this.#sentBytes += part.length;
    this.#body.account.addReceived(part.length);
    this.#socket.cork();
    this.#sendHead();
    const isTaken = this.#socket.write(this.#body.length === undefined ? toChunk(part) : part);
    this.#socket.uncork();
    if (!isTaken) this.#body.stream.pause();
  });

  readonly #onDrain = this.#guarded((): void => {
    this.#body.stream.resume();
  });

  readonly #onEnd = this.#guarded((): void => {
    const { length, stream } = this.#body;
    this.#socket.cork();
    this.#sendHead();
    const last = length === undefined ? lastChunk(this.#body.trailersOf(stream.rawTrailers)) : "";
    const done = () => this.#done(length === undefined || length === this.#sentBytes);
    this.#socket.write(last, "latin1", this.#guarded(done));
    this.#socket.uncork();
  });

  readonly #onClose = this.#guarded((): void => {
    if (!this.#body.stream.readableEnded) this.#done(false);
  });

  #guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => {
      this.stop();
      this.#onFault(error);
    }, callback);
  }

  #done(isWhole: boolean): void {
    if (this.#isOver) return;
    this.stop();
    this.#onDone(isWhole);
  }
}
