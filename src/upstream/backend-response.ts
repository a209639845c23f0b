import { ProxyError } from "../base/errors.ts";
import type { FaultOwner } from "../base/guard.ts";
import type { ResponseParser } from "../http/response-parser.ts";
import type { BorrowedBytes, Sink, Source, SourceHead } from "../http/source.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionUser } from "./connection-user.ts";

/** Replaces a head that was used, to free its memory. */
const NO_HEAD: SourceHead = { status: 0, reason: "", rawHeaders: [] };

/** A backend's response: its head has been read, its body comes on the connection. */
export class BackendResponse implements Source, ConnectionUser {
  // The fields that each read needs come first.
  #sink: Sink | undefined;
  #waiting: Waiting | undefined;
  /** Undefined when nothing more can come. */
  #connection: Connection | undefined;
  head: SourceHead;
  readonly #keepMs: number;
  readonly #owner: FaultOwner;
  #whenClosed: (() => void) | undefined;

  /**
   * `keepMs`: how long the connection may then wait for another request; 0 if it serves no other. An error of the sink
   * is a fault of `owner`.
   */
  constructor(
    head: SourceHead,
    connection: Connection,
    { keepMs, owner }: { readonly keepMs: number; readonly owner: FaultOwner },
  ) {
    this.head = head;
    this.#connection = connection;
    this.#keepMs = keepMs;
    this.#owner = owner;
    connection.handOver(this);
  }

  start(sink: Sink): void {
    this.#sink = sink;
    this.head = NO_HEAD;
    if (this.#waiting !== undefined) this.#deliver();
    else this.#connection?.resume();
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  cancel(): void {
    const connection = this.#connection;
    this.#sink = undefined;
    this.#waiting = undefined;
    this.#connection = undefined;
    connection?.destroy();
    this.#closed();
  }

  onClose(callback: () => void): void {
    if (this.#connection === undefined && this.#waiting === undefined) {
      callback();
      return;
    }
    const others = this.#whenClosed;
    this.#whenClosed = () => {
      others?.();
      callback();
    };
  }

  onRead(parser: ResponseParser, bytes: BorrowedBytes): void {
    const { payloadStart, payloadEnd } = parser;
    if (payloadEnd > payloadStart) this.#payload(bytes, payloadStart, payloadEnd);
    // The sink may have cancelled the response.
    const connection = this.#connection;
    if (connection === undefined) return;
    if (parser.fault !== undefined) {
      connection.destroy();
      this.#over(new ProxyError("backend_protocol_error", parser.fault));
    } else if (parser.isEnded) {
      connection.finish(this.#keepMs);
      this.#over(undefined, parser.rawTrailers);
    }
  }

  onEnd(isWhole: boolean): void {
    this.#over(
      isWhole
        ? undefined
        : new ProxyError("backend_reset", "the connection ended before the end of the body"),
    );
  }

  onBroken(error: Error): void {
    const isOurs = error instanceof ProxyError;
    this.#over(isOurs ? error : new ProxyError("backend_reset", error.message, { cause: error }));
  }

  fault(error: unknown): void {
    this.#owner.fault(error);
  }

  onConnected(): void {}

  onSent(): void {}

  onLate(): void {}

  #payload(bytes: Buffer, start: number, end: number): void {
    if (this.#sink !== undefined && this.#waiting === undefined) this.#sink.onData(bytes, start, end);
    else this.#wait(bytes.subarray(start, end));
  }

  #wait(part: Buffer): void {
    if (this.#waiting?.part === undefined) {
      this.#waiting = { part: Buffer.from(part), end: undefined };
    } else {
      // Rare: most responses come with one read, or have their sink before the second.
      this.#waiting.part = Buffer.concat([this.#waiting.part, part]);
      this.#connection?.pause();
    }
  }

  #over(error: Error | undefined, rawTrailers: readonly string[] = []): void {
    this.#connection = undefined;
    if (this.#sink !== undefined && this.#waiting === undefined) {
      this.#end({ error, rawTrailers });
    } else {
      this.#waiting ??= { part: undefined, end: undefined };
      this.#waiting.end = { error, rawTrailers };
    }
  }

  #end({ error, rawTrailers }: End): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (error === undefined) sink?.onEnd(rawTrailers);
    else sink?.onError(error);
    this.#closed();
  }

  /** Gives the sink the bytes that came before it. */
  #deliver(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    // Before the sink gets bytes, because the sink may pause the connection again.
    this.#connection?.resume();
    const { part, end } = waiting;
    if (part !== undefined) this.#sink?.onData(part, 0, part.length);
    if (end !== undefined) this.#end(end);
  }

  #closed(): void {
    const callback = this.#whenClosed;
    this.#whenClosed = undefined;
    callback?.();
  }
}

/** The parts of the response that came before there was a sink. */
interface Waiting {
  part: Buffer | undefined;
  end: End | undefined;
}

interface End {
  readonly error: Error | undefined;
  readonly rawTrailers: readonly string[];
}
