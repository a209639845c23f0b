import type { Readable } from "node:stream";

/** A client's request as it was received, whichever parser has read it. */
export interface ClientRequest {
  readonly method: string;
  /** The request target as it stood on the wire. */
  readonly url: string;
  readonly httpVersion: string;
  /** Flat names and values in the order and spelling of the wire, duplicates included. */
  readonly rawHeaders: readonly string[];
  /** What follows the head; undefined when nothing does. */
  readonly body: RequestBody | undefined;
  /** All that came with it has been looked at; elsewhere what stands behind it may yet be no HTTP, and refused. */
  readonly isWhole?: true;
}

/** A request's body on its way in. Whoever does not want it resumes it, or the client waits for ever. */
export interface RequestBody {
  readonly stream: Readable & { readonly rawTrailers: readonly string[] };
  /** In bytes, as announced; undefined when it ends where it ends. */
  readonly length: number | undefined;
}
