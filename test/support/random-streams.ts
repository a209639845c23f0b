import { createParser } from "eventsource-parser";
import { ResponseParser } from "../../src/http/response-parser.ts";
import { type Random, spoiled } from "./random-bytes.ts";

/** A byte order mark. */
export const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The pieces of a stream, one byte in each character. */
export const PIECES = [
  "\n",
  "\n",
  "\r",
  "\r\n",
  "\n\n",
  ": c",
  "data: a",
  "data: \xc3\xa9",
  "id: 1",
  "event: e",
  "\0",
  "x",
  ":\n",
];

/** Typical events, each in one chunk. */
const BLOCKS = [
  "data: a\n\n",
  "id: 1\ndata: b\n\n",
  "data: \xc3\xa9\ndata\n\n",
  ":\n\n",
  ": c\n",
  "x\n\n\n\n",
];

/** Returns the bytes of an event stream, or of something similar. */
export function randomStream({ one, chance, upTo }: Random): Buffer {
  const kinds = chance(0.3) ? BLOCKS : PIECES;
  const pieces = Array.from({ length: upTo(16) }, () => one(kinds)).join("");
  return Buffer.from((chance(0.1) ? "\xef\xbb\xbf" : "") + pieces, "latin1");
}

/** Returns a response: a head and the stream, framed in one of three ways; sometimes damaged or cut. */
export function randomWire(stream: Buffer, random: Random): Buffer {
  const { one, chance, upTo } = random;
  const kind = one(["chunked", "chunked", "counted", "closed"]);
  let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
  let body = stream.toString("latin1");
  if (kind === "counted") head += `Content-Length: ${body.length}\r\n`;
  if (kind === "chunked") {
    head += "Transfer-Encoding: chunked\r\n";
    let chunks = "";
    const isByBlock = chance(0.4);
    for (let at = 0; at < body.length; ) {
      const block = isByBlock ? body.indexOf(END_OF_BLOCK, at) : -1;
      const part = body.slice(at, block < 0 ? at + 1 + upTo(12) : block + END_OF_BLOCK.length);
      chunks += `${part.length.toString(16)}${chance(0.05) ? ";a=b" : ""}\r\n${part}\r\n`;
      at += part.length;
    }
    body = `${chunks}0\r\n${chance(0.1) ? "X-Sum: 1\r\n" : ""}\r\n`;
  }
  const bytes = Buffer.from(body, "latin1");
  const spoilt = chance(0.1) ? spoiled(bytes, random) : bytes;
  const whole = Buffer.concat([Buffer.from(`${head}\r\n`), spoilt]);
  return chance(0.25) ? whole.subarray(0, upTo(whole.length)) : whole;
}

const END_OF_BLOCK = "\n\n";

/** Returns the end of the next chunk that another follows, a typical end of a read; without any, the last byte. */
export function endOfNextChunk(wire: Buffer, at: number): number {
  const text = wire.toString("latin1", at);
  const end = /\r\n(?=[0-9a-f]{1,3}(?:;a=b)?\r\n)/.exec(text);
  return end === null ? wire.length : at + end.index + 2;
}

export interface Reading {
  readonly hasHead: boolean;
  readonly body: Buffer;
  readonly isWhole: boolean;
  /** Whether bytes follow the end of the response. */
  readonly hasSurplus: boolean;
}

/** The result of a reader that gets all bytes at once: the stream so far, and whether it was complete. */
export function readInOnePiece(wire: Buffer, isReset: boolean): Reading {
  const parser = new ResponseParser();
  parser.begin(false);
  const bytes = Buffer.from(wire);
  parser.read(bytes, 0, bytes.length);
  const body = Buffer.from(bytes.subarray(parser.payloadStart, parser.payloadEnd));
  const hasHead = parser.head !== undefined;
  return {
    hasHead,
    body,
    hasSurplus: parser.hasSurplus,
    isWhole: parser.fault === undefined && (isReset ? parser.isEnded : parser.finish()),
  };
}

export const hasMark = (bytes: Buffer): boolean => bytes.subarray(0, 3).equals(MARK);

/** Returns the events that a client parses. */
export const decode = (bytes: Buffer): string => {
  const events: unknown[] = [];
  const text = (hasMark(bytes) ? bytes.subarray(3) : bytes).toString();
  // The parser holds a final CR back, because an LF may follow; a comment line releases it.
  createParser({ onEvent: (event) => events.push(event) }).feed(`${text}:\n`);
  return JSON.stringify(events);
};
