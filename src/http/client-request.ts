import type { Readable } from "node:stream";

/** A client's request as it was received, by any of the parsers. */
export interface ClientRequest {
  readonly method: string;
  /** The request target, as on the wire. */
  readonly url: string;
  readonly httpVersion: string;
  /** Names and values in one flat list, in the order and spelling of the wire, duplicates included. */
  readonly rawHeaders: readonly string[];
  /** Undefined if the request has no body. */
  readonly body: RequestBody | undefined;
  /**
   * Set if all bytes of the read were parsed. Otherwise a parse error right after the head may still refuse the
   * request.
   */
  readonly isWhole?: true;
}

/** A request's body on its way in. A step that does not use it calls `resume`, or the client waits for ever. */
export interface RequestBody {
  readonly stream: Readable & { readonly rawTrailers: readonly string[] };
  /** Content-Length in bytes; undefined for a body that is chunked, or framed by HTTP/2. */
  readonly length: number | undefined;
}
