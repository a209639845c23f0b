import type { ServerResponse } from "node:http";
import { writeUncheckedHead } from "../process/internals/unchecked-head.ts";

/**
 * Writes the head of a response to which the middleware before sluice may have added fields: they stay, unless sluice
 * has a field of the same name. Throws a TypeError at a character that could end a line early.
 *
 * Sets each field by itself: middleware replaces `writeHead`, and on-headers before 1.1 read a flat list wrongly
 * (CVE-2025-7339).
 */
export function writeMergedHead(
  response: ServerResponse,
  status: number,
  reason: string | undefined,
  fields: readonly string[],
): void {
  writeUncheckedHead(response, status, reason, fields, setEach);
}

function setEach(
  response: ServerResponse,
  status: number,
  reason: string | undefined,
  fields: readonly string[],
): void {
  for (let at = 0; at < fields.length; at += 2) response.removeHeader(fields[at] as string);
  for (let at = 0; at < fields.length; at += 2)
    response.appendHeader(fields[at] as string, fields[at + 1] as string);
  if (reason === undefined) response.writeHead(status);
  else response.writeHead(status, reason);
}
