import { STATUS_CODES } from "node:http";
import { renderResponseFields, renderStatusLine } from "./render-head.ts";

/** How the end of a body is delimited: by chunks, by a length in bytes, or there is no body. */
export type Framing = "chunked" | "none" | number;

/** A response head as text in latin1, and what it says about the body and the connection. */
export interface RawHead {
  readonly text: string;
  readonly framing: Framing;
  readonly keepsAlive: boolean;
}

/** The state of the connection that decides a head's Connection and Keep-Alive fields. */
export interface HeadContext {
  /** Whether both the client and the server let the connection go on. */
  readonly mayKeepAlive: boolean;
  /** How long the connection then stays open without a request, in ms. */
  readonly keepAliveMs: number;
}

/** The first characters of each head. */
export const HEAD_START = "HTTP/1.1 ";

const LENGTH = /^\d{1,15}$/;

/**
 * Renders the head of an HTTP/1.1 response to a GET as node:http does: the fields in their order and spelling, then Date
 * and the fields of the connection. Throws an error at a character that could end a line early.
 */
export function renderHead(
  status: number,
  reason: string | undefined,
  fields: readonly string[],
  context: HeadContext,
): RawHead {
  if (status < 200) throw new RangeError(`not a final status: ${status}`);
  let text =
    renderStatusLine(status, reason ?? STATUS_CODES[status] ?? "unknown") + renderResponseFields(fields);
  let hasDate = false;
  let connection: string | undefined;
  let length: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    // Compares the lengths first, so that few names have to be lower-cased.
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
  if (framing === "chunked") text += "\r\nTransfer-Encoding: chunked";
  return { text: `${text}\r\n\r\n`, framing, keepsAlive };
}

/** Renders an interim response of HTTP/1.1. Throws an error at a character that could end a line early. */
export function renderInterim(status: number, fields: readonly string[]): string {
  return `${renderStatusLine(status, STATUS_CODES[status] ?? "")}${renderResponseFields(fields)}\r\n\r\n`;
}

function bodyLength(value: string): number {
  if (!LENGTH.test(value)) throw new TypeError("invalid Content-Length");
  return Number(value);
}

function framedTwice(): TypeError {
  return new TypeError("Transfer-Encoding among the fields of a response");
}

let keptMs = Number.NaN;
let keepAliveText = "";

/** Returns the lines of the connection, each behind a CRLF; formatted once, as all connections have the same time. */
function connectionLines(keepsAlive: boolean, keepAliveMs: number): string {
  if (!keepsAlive) return "\r\nConnection: close";
  if (keptMs !== keepAliveMs) {
    keptMs = keepAliveMs;
    keepAliveText = `\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}`;
  }
  return keepAliveText;
}

let dateSecond = 0;
let dateText = "";

/** Returns the Date line behind a CRLF, formatted once a second: formatting costs as much as the rest of a head. */
function dateLine(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `\r\nDate: ${new Date(second * 1000).toUTCString()}`;
  }
  return dateText;
}
