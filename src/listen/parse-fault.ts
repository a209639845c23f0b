import type { Socket } from "node:net";
import { type ErrorCode, ProxyError } from "../base/errors.ts";

/** What Node's `clientError` carries beside its code: the bytes that did not parse. */
export type ParseError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

const LF = 0x0a;

/** The refusal that a fault below HTTP deserves; undefined when the connection itself broke. */
export function parseFault(error: ParseError, socket: Socket): ProxyError | undefined {
  const code = faultCode(error, socket);
  return code === undefined ? undefined : new ProxyError(code, error.message, { cause: error });
}

function faultCode({ code = "", rawPacket }: ParseError, socket: Socket): ErrorCode | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout";
  if (code === "HPE_HEADER_OVERFLOW") {
    // Node counts line and fields together; no line end in all that came means that it was the line.
    const isFirst = rawPacket !== undefined && socket.bytesRead <= rawPacket.length;
    return isFirst && !rawPacket.includes(LF) ? "target_too_long" : "header_overflow";
  }
  if (code === "HPE_INVALID_VERSION") return "version_not_supported";
  // The client ended in the middle of its request: it left, and there is nobody to answer.
  if (code === "HPE_INVALID_EOF_STATE") return undefined;
  return code.startsWith("HPE_") ? "bad_request" : undefined;
}
