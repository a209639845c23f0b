import type { Socket } from "node:net";
import { type ErrorCode, ProxyError } from "../base/errors.ts";

/** An error of Node's `clientError`, with the bytes that did not parse. */
export type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

const LF = 0x0a;

/** Returns the refusal for a parse error; undefined if the connection itself broke. */
export function clientErrorRefusal(error: ClientError, socket: Socket): ProxyError | undefined {
  const code = refusalCode(error, socket);
  return code === undefined ? undefined : new ProxyError(code, error.message, { cause: error });
}

function refusalCode({ code = "", rawPacket }: ClientError, socket: Socket): ErrorCode | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout";
  if (code === "HPE_HEADER_OVERFLOW") {
    // Node bounds request line and fields together; without a line end in all that came, the line is too long.
    const isFirst = rawPacket !== undefined && socket.bytesRead <= rawPacket.length;
    return isFirst && !rawPacket.includes(LF) ? "target_too_long" : "header_overflow";
  }
  if (code === "HPE_INVALID_VERSION") return "version_not_supported";
  // The client has left in the middle of its request.
  if (code === "HPE_INVALID_EOF_STATE") return undefined;
  return code.startsWith("HPE_") ? "bad_request" : undefined;
}
