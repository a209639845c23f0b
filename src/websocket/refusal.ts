import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { EndReason } from "../base/outcome.ts";
import { removeField } from "../http/fields.ts";
import { closeSoon, lastResponseOn } from "../http/last-response.ts";
import type { RawResponse } from "../http/raw-response.ts";
import type { ResponseHead } from "../stream/response-head.ts";

/** How the relay of a refusal ended. */
export interface RefusalEnd {
  readonly endReason: EndReason;
  readonly bytesSent: number;
}

/**
 * Relays the response with which a backend refused an upgrade, and closes the connection.
 *
 * A refusal may not become a stream: after `maxMs` it is aborted. Its framing is then incomplete, so the client can
 * tell.
 */
export async function relayRefusal(
  client: Socket,
  backend: IncomingMessage,
  head: ResponseHead,
  maxMs: number,
): Promise<RefusalEnd> {
  let endReason: EndReason | undefined;
  let bytesSent = 0;
  const response = lastResponseOn(client);
  const aborted = new AbortController();
  const abort = (reason: EndReason) => {
    endReason ??= reason;
    aborted.abort();
    backend.destroy();
    client.destroy();
  };
  backend.once("error", () => abort("backend_failed"));
  client.once("error", () => abort("client_gone"));
  client.once("close", () => abort("client_gone"));
  // No WebSocket client half-closes: it has left.
  client.once("end", () => abort("client_gone"));
  // Reads and discards what the client still sends, so that its end is noticed.
  client.resume();
  const limit = setTimeout(abort, maxMs, "backend_failed");
  try {
    // A Trailer field announces what this body does not carry.
    response.writeHead(head.status, head.reason, removeField(head.fields, "trailer"));
    // The body may be late.
    response.flushHead();
    for await (const part of backend as AsyncIterable<Buffer>) {
      bytesSent += part.length;
      if (!response.write(part)) await once(client, "drain", { signal: aborted.signal });
    }
    response.end();
    await closed(response);
    endReason ??= response.isWhole ? "completed" : "client_gone";
    closeSoon(client);
  } catch {
    // If one side broke, its listener above has noted the reason.
    abort("backend_failed");
  }
  clearTimeout(limit);
  return { endReason: endReason ?? "backend_failed", bytesSent };
}

function closed(response: RawResponse): Promise<void> {
  return new Promise((resolve) => void response.onClose(resolve));
}
