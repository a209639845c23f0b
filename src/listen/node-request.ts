import type { IncomingMessage } from "node:http";
import type { ClientRequest } from "../http/client-request.ts";

/** Returns a request that Node's parser has read; `knownMethod` is its method if the parser does not know it. */
export function createNodeRequest(message: IncomingMessage, knownMethod?: string): ClientRequest {
  const { url = "", httpVersion, rawHeaders, headers } = message;
  const method = knownMethod ?? message.method ?? "";
  const length = headers["content-length"];
  const isChunked = headers["transfer-encoding"] !== undefined;
  const hasBody = isChunked || (length !== undefined && Number(length) > 0);
  const body = hasBody ? { stream: message, length: isChunked ? undefined : Number(length) } : undefined;
  return { method, url, httpVersion, rawHeaders, body };
}
