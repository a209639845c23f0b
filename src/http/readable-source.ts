import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { refusalOf } from "../base/errors.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { Sink, Source, SourceHead } from "./source.ts";

/** A body that Node reads, with its trailer fields. */
type Body = Readable & { readonly rawTrailers: readonly string[] };

/** A source whose body is a Node stream. */
export class ReadableSource implements Source {
  readonly head: SourceHead;
  readonly #body: Body;
  readonly #owner: FaultOwner;
  readonly #faultOf: (error: Error) => Error;

  /** A fault of the sink ends `owner`. The sink gets each error of the body as `faultOf` converts it. */
  constructor(head: SourceHead, body: Body, owner: FaultOwner, faultOf = (error: Error) => error) {
    this.head = head;
    this.#body = body;
    this.#owner = owner;
    this.#faultOf = faultOf;
    // Before `start` there is no other listener, and an unhandled `error` event ends the process.
    body.on("error", () => {});
  }

  start(sink: Sink): void {
    const body = this.#body;
    const failed = (error: Error) => sink.onError(this.#faultOf(error));
    const onFault = (error: unknown) => {
      this.cancel();
      guarded((another) => this.#owner.fault(another), failed)(refusalOf(error));
    };
    body.on(
      "data",
      guarded(onFault, (chunk: Buffer) => sink.onData(chunk, 0, chunk.length)),
    );
    body.once(
      "end",
      guarded(onFault, () => sink.onEnd(body.rawTrailers)),
    );
    // It may have broken before there was a sink.
    const { errored } = body;
    if (errored === null) body.once("error", guarded(onFault, failed));
    else queueMicrotask(guarded(onFault, () => failed(errored)));
  }

  cancel(): void {
    this.#body.destroy();
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  onClose(callback: () => void): void {
    if (this.#body.closed) callback();
    else
      this.#body.once(
        "close",
        guarded((error) => this.#owner.fault(error), callback),
      );
  }
}

/** Returns the head of a response that Node's parser has read. */
export function headOf({ statusCode = 0, statusMessage = "", rawHeaders }: IncomingMessage): SourceHead {
  return { status: statusCode, reason: statusMessage, rawHeaders };
}
