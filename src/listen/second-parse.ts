import type { ClientError } from "./client-error.ts";

/** A request line with any method (RFC 9112 section 3), at the beginning of the bytes or behind empty lines. */
const REQUEST_LINE = /^(?:\r\n)*([\w!#$%&'*+.^`|~-]+) ([\x21-\x7e]+) HTTP\/1\.(\d)\r\n/;

/** The longest request line that is looked for, in bytes. */
const MAX_LINE = 64 * 1024;

/** The errors of a refused method or version; the last one is that of the methods of RTSP, such as `PLAY`. */
const REFUSALS: ReadonlySet<string> = new Set([
  "HPE_INVALID_METHOD",
  "HPE_INVALID_VERSION",
  "HPE_INVALID_CONSTANT",
]);

/** A known method for which Node frames request and response as for an unknown one. */
const STAND_IN = "POST";

/** A request that Node's parser has refused, in a form that it accepts. */
export interface SecondParse {
  readonly bytes: Buffer;
  /** The method that the request really has. */
  readonly method: string;
}

/**
 * Returns bytes that begin with a request that Node refuses for its method, of which it knows a fixed list (RFC 9110
 * section 9.1 has none), or for a minor version above 1, which is to be read as 1.1 (section 2.5); undefined for all
 * other errors.
 */
export function secondParse({ code, rawPacket }: ClientError): SecondParse | undefined {
  if (rawPacket === undefined || !REFUSALS.has(code ?? "")) return undefined;
  const found = REQUEST_LINE.exec(rawPacket.toString("latin1", 0, MAX_LINE));
  if (found === null) return undefined;
  const [line, method = "", target, minor] = found;
  const isKnown = code === "HPE_INVALID_VERSION";
  const first = `${isKnown ? method : STAND_IN} ${target} HTTP/1.${minor === "0" ? 0 : 1}\r\n`;
  return { bytes: Buffer.concat([Buffer.from(first, "latin1"), rawPacket.subarray(line.length)]), method };
}
