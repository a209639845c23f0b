import { createHash, createHmac, type KeyObject } from "node:crypto";

/**
 * The canonical request of SDK-HMAC-SHA256: what an APP signature covers.
 *
 * Everything here is bytes in latin1 strings, one character each, as Node gives header fields and as the
 * target is: a signer hashes the UTF-8 form of what it sends, so the bytes of the wire are what it hashed.
 */

/** The name of the algorithm, and the scheme of its Authorization field. */
export const ALGORITHM = "SDK-HMAC-SHA256";

/** The payload line of a request whose body is not signed. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** The parts of a request that a signature covers. */
export interface SignedParts {
  readonly method: string;
  readonly path: string;
  /** Names in lower case, sorted, each once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The hash of the body in hex, or what X-Sdk-Content-Sha256 says. */
  readonly payload: string;
}

/** The canonical request; `query` is one of `canonicalQueries`. */
export function canonicalRequest({ method, path, headers, payload }: SignedParts, query: string): string {
  const lines = headers.map(([name, value]) => `${name}:${trimmed(value)}\n`).join("");
  const names = headers.map(([name]) => name).join(";");
  return [method, canonicalPath(path), query, lines, names, payload].join("\n");
}

/** The signature of a canonical request at the time in X-Sdk-Date: 32 bytes. */
export function signatureOf(canonical: string, date: string, secret: KeyObject): Buffer {
  const hash = createHash("sha256").update(canonical, "latin1").digest("hex");
  return createHmac("sha256", secret).update(`${ALGORITHM}\n${date}\n${hash}`, "latin1").digest();
}

/** The hash of a body, as the last line of a canonical request has it. */
export function payloadHash(body: Uint8Array | string): string {
  return createHash("sha256").update(body).digest("hex");
}

/**
 * A query, without its question mark, in every form that signers write it; always three, so that the work
 * does not depend on them.
 *
 * All of them hold the same decoded pairs and differ in their order and in `k=` or `k`: to take any of them
 * widens nothing that a signature covers. A plus is a plus: signers write a space as `%20`.
 */
export function canonicalQueries(query: string): readonly [now: string, javascript: string, old: string] {
  const pairs = query
    .split("&")
    .filter((pair) => pair !== "")
    .map(readPair);
  const spell = (sorted: readonly Pair[]) => sorted.map(({ name, value }) => `${name}=${value}`).join("&");
  return [
    spell(pairs.toSorted(byBytes)),
    // JavaScript compares UTF-16 units: an emoji sorts before U+FFFD there, and after it in Python and Go.
    spell(pairs.toSorted(byUnits)),
    // The JavaScript SDK of 2018 sorts what it has encoded, and writes no `=` without a value.
    pairs
      .map(({ name, value }) => (value === "" ? name : `${name}=${value}`))
      .sort()
      .join("&"),
  ];
}

/** One parameter, decoded once and encoded again. */
interface Pair {
  readonly name: string;
  readonly value: string;
  readonly decoded: readonly [name: string, value: string];
}

function readPair(text: string): Pair {
  const equals = text.indexOf("=");
  const decoded = [
    percentDecoded(equals < 0 ? text : text.slice(0, equals)),
    percentDecoded(equals < 0 ? "" : text.slice(equals + 1)),
  ] as const;
  return { name: encoded(decoded[0]), value: encoded(decoded[1]), decoded };
}

function byBytes({ decoded: [a, x] }: Pair, { decoded: [b, y] }: Pair): number {
  return compare(a, b) || compare(x, y);
}

function byUnits({ decoded: [a, x] }: Pair, { decoded: [b, y] }: Pair): number {
  return compare(utf8(a), utf8(b)) || compare(utf8(x), utf8(y));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const utf8 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

/** Each segment decoded once and encoded again; a slash at the end, whether it was sent or not. */
function canonicalPath(path: string): string {
  const segments = path.split("/").map((segment) => encoded(percentDecoded(segment)));
  const joined = segments.join("/");
  return joined.endsWith("/") ? joined : `${joined}/`;
}

/** Undoes percent-encoding, once; the result is bytes. */
export function percentDecoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function encoded(bytes: string): string {
  return bytes.replace(
    /[^\w.~-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Spaces and tabs only: `trim` would take U+00A0, which as a byte is the end of a letter such as `à`. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+/, "").replace(/(?<![ \t])[ \t]+$/, "");
}
