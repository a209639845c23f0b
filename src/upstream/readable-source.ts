import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { Sink, Source, SourceHead } from "./source.ts";

/** A body that Node reads, and the trailer fields that came behind it. */
type Body = Readable & { readonly rawTrailers: readonly string[] };

/** An answer whose body is a stream of Node's. */
export class ReadableSource implements Source {
  readonly head: SourceHead;
  readonly cancel: () => void;
  readonly #body: Body;

  constructor(head: SourceHead, body: Body, cancel: () => void) {
    this.head = head;
    this.#body = body;
    this.cancel = cancel;
  }

  start(sink: Sink): void {
    this.#body.on("data", (chunk: Buffer) => sink.onData(chunk, 0, chunk.length));
    this.#body.once("end", () => sink.onEnd(this.#body.rawTrailers));
    this.#body.once("error", (error) => sink.onError(error));
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  onClose(callback: () => void): void {
    if (this.#body.closed) callback();
    else this.#body.once("close", callback);
  }
}

/** The head of a response as Node's parser has read it. */
export function headOf({ statusCode = 0, statusMessage = "", rawHeaders }: IncomingMessage): SourceHead {
  return { status: statusCode, reason: statusMessage, rawHeaders };
}
