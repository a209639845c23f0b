import { contentCoding } from "../http/content-coding.ts";
import { fieldValue } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import type { SourceHead } from "../http/source.ts";
import { isReadable } from "./coded-json.ts";

/** How a body is read: as events, as lines of JSON, or as JSON; or why it cannot be read. */
export type BodyFormat = "events" | "lines" | "json" | "encoded" | "content_type";

/** The format of a body. */
export interface Body {
  readonly format: BodyFormat;
  /** The content coding of a body of JSON that is read all the same. */
  readonly coding: string | undefined;
}

const FORMATS: ReadonlyMap<string, BodyFormat> = new Map([
  ["text/event-stream", "events"],
  ["application/x-ndjson", "lines"],
  ["application/jsonl", "lines"],
  ["application/json", "json"],
]);

/**
 * Returns the format of an answer of a model; undefined for a response that is none. Models answer POST with a 2xx. A
 * stream counts with any method; the JSON of a GET is a list, or an answer that was counted when it was generated.
 *
 * Case does not count: Django and Flask read `post` as POST, and the answer would cost nothing.
 */
export function bodyOf(requestMethod: string, head: SourceHead): Body | undefined {
  const method = requestMethod.toUpperCase();
  if (method === "HEAD" || head.status < 200 || head.status > 299 || head.status === 204) return undefined;
  const format = FORMATS.get(mediaType(fieldValue(head.rawHeaders, "content-type")));
  const isStreamed = format === "events" || format === "lines";
  if (method !== "POST" && !isStreamed) return undefined;
  const coding = contentCoding(head.rawHeaders);
  if (format === undefined) return { format: "content_type", coding };
  const canRead = coding === undefined || (format === "json" && isReadable(coding));
  return { format: canRead ? format : "encoded", coding };
}
