import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { fieldValue, removeField } from "../base/fields.ts";
import type { EndReason } from "../base/outcome.ts";
import { lingerBeforeClose } from "../pipeline/raw-reply.ts";
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
  response.once("error", () => {
    endReason ??= "backend_failed";
  });
  client.once("close", () => {
    endReason ??= "client_gone";
  });
  const isBodyless = head.status === 204 || head.status === 304;
  // The backend's connection ends here, so its length or ours may frame the body, never its chunks.
  const isChunked = !isBodyless && fieldValue(head.fields, "content-length") === undefined;

  async function* framed(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer | string> {
    yield renderHead(head, isChunked);
    for await (const chunk of body) {
      bytesSent += chunk.length;
      yield isChunked ? Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF]) : chunk;
    }
    if (isChunked) yield "0\r\n\r\n";
  }

  // Read and dropped, and a client that leaves is noticed.
  client.resume();
  client.once("end", () => client.destroy());
  try {
    await pipeline(response, framed, client, { signal: AbortSignal.timeout(maxMs) });
    endReason = "completed";
    lingerBeforeClose(client);
  } catch {
    // Whichever side broke has said so above; the other one is destroyed with it.
    endReason ??= "backend_failed";
  }
  return { endReason, bytesSent };
}

const CRLF = Buffer.from("\r\n");

function renderHead({ status, reason, fields }: ResponseHead, isChunked: boolean): Buffer {
  const own = ["Connection", "close", ...(isChunked ? ["Transfer-Encoding", "chunked"] : [])];
  const all = [...removeField(fields, "trailer"), ...own];
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let at = 0; at + 1 < all.length; at += 2) text += `${all[at]}: ${all[at + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, "latin1");
}
