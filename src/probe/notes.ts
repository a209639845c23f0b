import { fieldValue, fieldValues } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import { printable } from "./printable.ts";
import type { Reading } from "./reading.ts";
import { softwareOf } from "./software.ts";

/** A problem besides the verdict. */
export interface Note {
  readonly hop: string;
  readonly text: string;
  /** The rule of `sluice nginx lint` that finds it. */
  readonly rule: string | undefined;
}

/** Fields that must not be sent twice. */
const SINGLE_FIELDS: readonly (readonly [name: string, rule: string])[] = [
  ["access-control-allow-origin", "cors-twice"],
  ["access-control-allow-credentials", "cors-twice"],
  ["content-type", "field-twice"],
];

/** Finds problems in a response head; `origin` is the origin that the request named. */
export function notesOf(reading: Reading, origin: string | undefined): Note[] {
  const { head, name: hop } = reading;
  if (head === undefined) return [];
  const { fields } = head;
  const notes: Note[] = [];
  const note = (text: string, rule?: string) => notes.push({ hop, text, rule });
  for (const [name, rule] of SINGLE_FIELDS) {
    const count = fieldValues(fields, name).length;
    if (count > 1) note(`the response has ${name} ${count} times: browsers refuse it`, rule);
  }
  if (origin !== undefined) noteCors(reading, origin, note);
  if (reading.coding !== undefined)
    note(
      `the stream is compressed (${printable(reading.coding)}): that costs CPU and memory for each client`,
      "stream-compressed",
    );
  noteCaching(reading, note);
  const type = mediaType(fieldValue(fields, "content-type"));
  if (reading.format === "sse" && type !== "text/event-stream")
    note(
      `the body is an event stream, but its type is ${printable(type) || "missing"}: an EventSource refuses it`,
    );
  const isNginx = softwareOf(fields)?.family === "nginx";
  if (head.framing === "close" && head.protocol === "HTTP/1.1")
    note("the body has no framing: an aborted stream looks complete", isNginx ? "chunked-off" : undefined);
  return notes;
}

type Add = (text: string, rule?: string) => void;

function noteCors({ head }: Reading, origin: string, note: Add): void {
  const [allowed, ...more] = fieldValues(head?.fields ?? [], "access-control-allow-origin");
  if (more.length > 0) return;
  if (allowed === undefined)
    note(`no Access-Control-Allow-Origin: pages of ${printable(origin)} cannot read the stream`);
  else if (allowed !== "*" && allowed !== origin)
    note(
      `Access-Control-Allow-Origin is ${printable(allowed)}: pages of ${printable(origin)} cannot read the stream`,
    );
}

function noteCaching({ head }: Reading, note: Add): void {
  const fields = head?.fields ?? [];
  const hit = ["x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache"].find((name) =>
    /\bhit\b/i.test(fieldValue(fields, name) ?? ""),
  );
  const age = Number(fieldValue(fields, "age") ?? 0);
  if (hit !== undefined || age > 0)
    note(`a cache answers (${hit ?? `Age: ${age}`}): clients get a recording`, "stream-cached");
  const maxAge = /max-age=(\d+)/i.exec(fieldValues(fields, "cache-control").join(","))?.[1];
  if (Number(maxAge ?? 0) > 0)
    note(`Cache-Control: max-age=${maxAge} lets caches store the stream`, "expires-overrides");
}
