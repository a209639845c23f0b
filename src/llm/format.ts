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

/** The methods whose JSON is a list, or an answer that was counted when it was generated. */
const FETCHING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);

/**
 * Returns the format of an answer of a model; undefined for a response that is none. An answer has a 2xx status. Models
 * answer POST, but an application may take PUT for it, and Django and Flask take `post`: any method counts that may
 * generate an answer. A stream counts with each.
 */
export function bodyOf(method: string, head: SourceHead): Body | undefined {
  if (method === "HEAD" || head.status < 200 || head.status > 299 || head.status === 204) return undefined;
  const format = FORMATS.get(mediaType(fieldValue(head.rawHeaders, "content-type")));
  const isStreamed = format === "events" || format === "lines";
  if (FETCHING.has(method) && !isStreamed) return undefined;
  const coding = contentCoding(head.rawHeaders);
  if (format === undefined) return { format: "content_type", coding };
  const canRead = coding === undefined || (format === "json" && isReadable(coding));
  return { format: canRead ? format : "encoded", coding };
}
