import type { FaultOwner } from "../base/guard.ts";
import type { ResponseParser } from "../http/response-parser.ts";
import type { BorrowedBytes } from "../http/source.ts";

/**
 * The user of a connection: it has a request under way on it. A connection has at most one at a time. An error in
 * `onBroken` goes to the user's `fault`; an error in another of these methods breaks the connection.
 */
export interface ConnectionUser extends FaultOwner {
  onConnected(): void;
  /** The last byte of the request is with the kernel. */
  onSent(): void;
  /** The connection's deadline has passed. */
  onLate(): void;
  /** The parser has read a part of the response. Its payload is in `bytes`, which are valid during the call only. */
  onRead(parser: ResponseParser, bytes: BorrowedBytes): void;
  /** The backend has ended the connection; `isWhole` if that is the end of a whole response. The last call. */
  onEnd(isWhole: boolean): void;
  /** The connection broke. The last call. */
  onBroken(error: Error): void;
}
