/**
 * Percent-encoding (RFC 3986 section 2.1) of bytes in latin1 strings, one character per byte.
 *
 * Each function reads its text once, without a callback for every match of a regular expression: clients choose these
 * texts, and 16 KiB of escapes took a millisecond per pass.
 */

/** RFC 3986 section 2.3: the characters that never need to be encoded. */
const UNRESERVED = /^[\w.~-]*$/;

const SLASH = 0x2f;
const PERCENT = 0x25;

const HEX = Buffer.from("0123456789ABCDEF");

/** The value of a hexadecimal digit by its character code; -1 for other characters. */
const DIGITS = Int8Array.from({ length: 256 }, (_, code) =>
  "0123456789abcdef".indexOf(String.fromCharCode(code).toLowerCase()),
);

/** 1 for each unreserved byte, 0 for the others. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  UNRESERVED.test(String.fromCharCode(byte)) ? 1 : 0,
);

/** Decodes percent-encoding once; the result is bytes. A percent sign without two digits stays as it is. */
export function percentDecoded(text: string): string {
  return text.includes("%") ? decoded(text, () => false) : text;
}

/** Decodes percent-encoding once, but keeps `%2F` and `%25`, with digits in upper case. */
export function pathDecoded(path: string): string {
  return path.includes("%") ? decoded(path, (byte) => byte === SLASH || byte === PERCENT) : path;
}

/** Encodes every byte but the unreserved ones, with digits in upper case. */
export function percentEncoded(bytes: string): string {
  if (UNRESERVED.test(bytes)) return bytes;
  const text = Buffer.allocUnsafe(3 * bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) length = writeByte(text, length, bytes.charCodeAt(at));
  return text.toString("latin1", 0, length);
}

/** Returns a path with each segment decoded once and encoded again; `%2F` stays different from a slash. */
export function recodedPath(path: string): string {
  const text = Buffer.allocUnsafe(3 * path.length);
  let length = 0;
  for (let at = 0; at < path.length; at++) {
    const escaped = escapedByte(path, at);
    const code = path.charCodeAt(at);
    if (escaped >= 0) at += 2;
    if (code === SLASH) text[length++] = SLASH;
    else length = writeByte(text, length, escaped >= 0 ? escaped : code);
  }
  return text.toString("latin1", 0, length);
}

function decoded(text: string, isKept: (byte: number) => boolean): string {
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const escaped = escapedByte(text, at);
    if (escaped >= 0) at += 2;
    if (escaped >= 0 && isKept(escaped)) length = writeByte(bytes, length, escaped);
    else bytes[length++] = escaped >= 0 ? escaped : text.charCodeAt(at);
  }
  return bytes.toString("latin1", 0, length);
}

/** Writes a byte, encoded unless it is unreserved; returns the position of the next byte. */
function writeByte(text: Buffer, at: number, byte: number): number {
  if (PLAIN[byte] === 1) {
    text[at] = byte;
    return at + 1;
  }
  text[at] = PERCENT;
  text[at + 1] = HEX[byte >> 4] ?? 0;
  text[at + 2] = HEX[byte & 15] ?? 0;
  return at + 3;
}

/** Returns the byte of the escape that begins at `at`; -1 if no escape begins there. */
export function escapedByte(text: string, at: number): number {
  if (text.charCodeAt(at) !== PERCENT || at + 2 >= text.length) return -1;
  const high = DIGITS[text.charCodeAt(at + 1)] ?? -1;
  const low = DIGITS[text.charCodeAt(at + 2)] ?? -1;
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}
