import { STATUS_CODES } from "node:http";
import { renderFields, renderStatusLine } from "./render-head.ts";

/** How a body's end is told: by chunks, by a length in bytes, or there is none. */
export type Framing = "chunked" | "none" | number;

/** A response head in bytes, as latin1, and what it says of the body and the connection. */
export interface RawHead {
  readonly text: string;
  readonly framing: Framing;
  readonly keepsAlive: boolean;
}

/** What a head depends on beside its own fields. */
export interface HeadContext {
  /** Whether the client and the server would both have the connection go on. */
  readonly mayKeepAlive: boolean;
  /** How long it then stays open without a request, in ms. */
  readonly keepAliveMs: number;
}

const LENGTH = /^\d{1,15}$/;

/**
 * Renders the head of an HTTP/1.1 response to a GET as node:http does: fields in their order and spelling, then Date
 * and those of the connection. Throws, as that does, at what would let a field end early (CWE-113).
 */
export function renderHead(
  status: number,
  reason: string | undefined,
  fields: readonly string[],
  context: HeadContext,
): RawHead {
  if (status < 200) throw new RangeError(`not a final status: ${status}`);
  let text = renderStatusLine(status, reason ?? STATUS_CODES[status] ?? "unknown") + renderFields(fields);
  let hasDate = false;
  let connection: string | undefined;
  let length: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    // The length first: most fields are told apart by it.
    if (name.length === 4) hasDate ||= name.toLowerCase() === "date";
    else if (name.length === 10 && name.toLowerCase() === "connection") connection = value.toLowerCase();
    else if (name.length === 14 && name.toLowerCase() === "content-length") length = value;
    else if (name.length === 17 && name.toLowerCase() === "transfer-encoding") throw framedTwice();
  }
  if (!hasDate) text += dateLine();
  const keepsAlive = context.mayKeepAlive && connection !== "close";
  if (connection === undefined) text += connectionLines(keepsAlive, context.keepAliveMs);
  const isBodyless = status === 204 || status === 304;
  const framing = isBodyless ? "none" : length === undefined ? "chunked" : bodyLength(length);
  if (framing === "chunked") text += "Transfer-Encoding: chunked\r\n";
  return { text: `${text}\r\n`, framing, keepsAlive };
}

function bodyLength(value: string): number {
  if (!LENGTH.test(value)) throw new TypeError("invalid Content-Length");
  return Number(value);
}

function framedTwice(): TypeError {
  return new TypeError("the coding of a response is not its fields' to say");
}

function connectionLines(keepsAlive: boolean, keepAliveMs: number): string {
  if (!keepsAlive) return "Connection: close\r\n";
  return `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`;
}

let dateSecond = 0;
let dateText = "";

/** Made once a second: a formatted date costs as much as the rest of a head. */
function dateLine(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateText;
}
