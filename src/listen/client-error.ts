import type { Socket } from "node:net";
import { type ErrorCode, ProxyError } from "../base/errors.ts";

/** An error of Node's `clientError`, with the bytes of the read that did not parse, and the offset of the error in them. */
export type ClientError = NodeJS.ErrnoException & {
  readonly rawPacket?: Buffer;
  readonly bytesParsed?: number;
};

const LF = 0x0a;

/** A request line with any method. The target, and the version, may be anything that a parser would take. */
const REQUEST_LINE = /^[\w!#$%&'*+.^`|~-]+ [\x21-\x7e]+ HTTP\/1\.\d\r?$/;

/** Returns the refusal for a parse error; undefined if the connection itself broke. */
export function clientErrorRefusal(error: ClientError, socket: Socket): ProxyError | undefined {
  const code = refusalCode(error, socket);
  return code === undefined ? undefined : new ProxyError(code, error.message, { cause: error });
}

function refusalCode(error: ClientError, socket: Socket): ErrorCode | undefined {
  const { code = "", rawPacket } = error;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout";
  if (code === "HPE_HEADER_OVERFLOW") {
    // Node bounds request line and fields together; without a line end in all that came, the line is too long.
    const isFirst = rawPacket !== undefined && socket.bytesRead <= rawPacket.length;
    return isFirst && !rawPacket.includes(LF) ? "target_too_long" : "header_overflow";
  }
  if (code === "HPE_INVALID_VERSION") return "version_not_supported";
  // Node's parser knows a fixed list of methods (RFC 9110 section 9.1: an unknown one is 501).
  if (code === "HPE_INVALID_METHOD" && REQUEST_LINE.test(failedLine(error))) return "method_not_implemented";
  // The client has left in the middle of its request.
  if (code === "HPE_INVALID_EOF_STATE") return undefined;
  return code.startsWith("HPE_") ? "bad_request" : undefined;
}

/** Returns the line of the error; empty if its end has not come. */
function failedLine({ rawPacket, bytesParsed = 0 }: ClientError): string {
  const text = rawPacket?.toString("latin1") ?? "";
  const start = bytesParsed === 0 ? 0 : text.lastIndexOf("\n", bytesParsed - 1) + 1;
  const end = text.indexOf("\n", start);
  return end < 0 ? "" : text.slice(start, end);
}
