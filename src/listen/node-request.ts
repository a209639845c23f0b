import type { IncomingMessage } from "node:http";
import type { ClientRequest } from "../http/client-request.ts";
import { UpgradeBody } from "../websocket/upgrade-body.ts";

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

/** A request whose connection Node has detached from its parser, behind the head. */
export interface DetachedRequest {
  readonly request: ClientRequest;
  /** The stream of its body, to be fed with the bytes behind the head; undefined if it has none, or a chunked one. */
  readonly body: UpgradeBody | undefined;
}

/** Returns a detached request that Node's parser has read. */
export function createDetachedRequest(message: IncomingMessage, knownMethod?: string): DetachedRequest {
  const request = createNodeRequest(message, knownMethod);
  const length = request.body?.length;
  if (length === undefined) return { request, body: undefined };
  const body = new UpgradeBody(length);
  const stream = Object.assign(body, { rawTrailers: [] });
  return { request: { ...request, body: { stream, length } }, body };
}
