import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { EndReason } from "../base/outcome.ts";
import { lingerBeforeClose } from "../exchange/raw-reply.ts";
import { fieldValue, removeField } from "../http/fields.ts";
import type { ResponseHead } from "../stream/response-head.ts";

/** How passing a refusal on ended. */
export interface RefusalEnd {
  readonly endReason: EndReason;
  readonly bytesSent: number;
}

/**
 * Passes on the backend's answer to an upgrade that it refused, framed anew, and closes the connection.
 *
 * A refusal is no place for a stream: one that takes longer than `maxMs` is broken off. Broken off means
 * that its framing stays incomplete, so that the client can tell.
 */
export async function relayRefusal(
  client: Socket,
  response: IncomingMessage,
  head: ResponseHead,
  maxMs: number,
): Promise<RefusalEnd> {
  let endReason: EndReason | undefined;
  let bytesSent = 0;
  // The pipeline looks at neither end while it waits for the other one, so both are broken off here.
  const breakOff = (reason: EndReason) => {
    endReason ??= reason;
    response.destroy();
    client.destroy();
  };
  response.once("error", () => breakOff("backend_failed"));
  client.once("error", () => breakOff("client_gone"));
  client.once("close", () => breakOff("client_gone"));
  // No WebSocket client half-closes: it has left.
  client.once("end", () => breakOff("client_gone"));
  // What it still sends is read and dropped.
  client.resume();
  const limit = setTimeout(breakOff, maxMs, "backend_failed");
  try {
    await pipeline(
      response,
      (body: AsyncIterable<Buffer>) => framed(head, body, (length) => (bytesSent += length)),
      client,
    );
    endReason = "completed";
    lingerBeforeClose(client);
  } catch {
    // Whichever side broke has said so above.
    breakOff("backend_failed");
  }
  clearTimeout(limit);
  return { endReason: endReason ?? "backend_failed", bytesSent };
}

/** The head and the body, with its length if it has one; else in chunks of ours, as the backend's are gone. */
async function* framed(
  head: ResponseHead,
  body: AsyncIterable<Buffer>,
  count: (length: number) => void,
): AsyncGenerator<Buffer | string> {
  const isBodyless = head.status === 204 || head.status === 304;
  const isChunked = !isBodyless && fieldValue(head.fields, "content-length") === undefined;
  yield renderHead(head, isChunked);
  for await (const chunk of body) {
    count(chunk.length);
    yield isChunked ? Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF]) : chunk;
  }
  if (isChunked) yield "0\r\n\r\n";
}

const CRLF = Buffer.from("\r\n");

function renderHead({ status, reason, fields }: ResponseHead, isChunked: boolean): Buffer {
  const own = ["Connection", "close", ...(isChunked ? ["Transfer-Encoding", "chunked"] : [])];
  const all = [...removeField(fields, "trailer"), ...own];
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let at = 0; at + 1 < all.length; at += 2) text += `${all[at]}: ${all[at + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, "latin1");
}
