import type { Socket } from "node:net";
import { type FaultHandler, guarded } from "../base/guard.ts";
import { lastChunk, toChunk } from "../http/chunk.ts";
import type { RequestBody } from "../http/client-request.ts";
import type { RawFields } from "../http/fields.ts";

/** A body, and what of its trailers goes on behind it. */
export interface UploadBody extends RequestBody {
  trailersOf(raw: RawFields): RawFields;
}

/** A request's body on its way from the client to a backend, no faster than that one takes it. */
export class Upload {
  readonly #socket: Socket;
  readonly #body: UploadBody;
  /** The request's head, until it has left: with the first bytes of the body where they are here already. */
  #head: string;
  #sentBytes = 0;
  #isOver = false;
  readonly #onDone: (isWhole: boolean) => void;
  readonly #onFault: FaultHandler;

  /**
   * `onDone` is called once, when the last byte is with the kernel or the client's body has broken off; `onFault` with
   * an error that no code expected.
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
    // A client that left while the backend was being connected to: nothing would tell of it any more.
    const begin = () => (stream.closed ? this.#done(false) : this.#sendHead());
    // A backend may answer without any of the body. In the common case some of it came with the client's head.
    setImmediate(this.#guarded(begin));
  }

  /**
   * Answered early, or broken: the rest is read and dropped, so that the answer arrives instead of a reset.
   * `limits.requestTimeout` bounds it.
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
