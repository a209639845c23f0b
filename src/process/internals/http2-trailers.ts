import type { Http2Stream } from "node:http2";

/**
 * Calls back with the trailer fields of a request or response as they came: flat names and values, in order,
 * duplicates included.
 *
 * - Assumed of Node 20, 22 and 24: the event `trailers` has the raw fields as its third argument. Node documents only
 *   an object, in which duplicates are joined, and the flags.
 * - Without it: trailer fields reach the backend joined and out of order.
 * - Can go when Node documents the argument, as it does for the event `stream`.
 */
export function onceTrailers(stream: Http2Stream, callback: (raw: readonly string[]) => void): void {
  stream.once("trailers", (_fields: unknown, _flags: unknown, raw?: readonly string[]) =>
    callback(raw ?? []),
  );
}
