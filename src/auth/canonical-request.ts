import { createHash, createHmac, type KeyObject } from "node:crypto";
import { recodedPath } from "../http/percent-encoding.ts";

/**
 * The canonical request of SDK-HMAC-SHA256, which an APP signature covers.
 *
 * Texts are bytes in latin1 strings, one character per byte, like Node's header fields and the request
 * target. A signer hashes the UTF-8 form of what it sends, which is these bytes.
 */

/** The name of the algorithm, also the scheme of the Authorization field. */
export const ALGORITHM = "SDK-HMAC-SHA256";

/** The payload line of a request whose body is not signed. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** The parts of a request that a signature covers. */
export interface SignedParts {
  readonly method: string;
  readonly path: string;
  /** Names in lower case, sorted, without duplicates. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The hash of the body in hex, or the value of X-Sdk-Content-Sha256. */
  readonly payload: string;
}

/** Returns the canonical request; `query` must be in canonical form. */
export function canonicalRequest(parts: SignedParts, query: string): string {
  const { before, behind } = aroundQuery(parts);
  return before + query + behind;
}

/** Returns the hash of the canonical request for each form of the query; the common parts are computed once. */
export function canonicalHashes(parts: SignedParts, queries: readonly string[]): readonly string[] {
  const { before, behind } = aroundQuery(parts);
  return queries.map((query) => hashOf(before + query + behind));
}

/** Returns the signature of a canonical request at the time in X-Sdk-Date: 32 bytes. */
export function signatureOf(canonical: string, date: string, secret: KeyObject): Buffer {
  return signatureOfHash(hashOf(canonical), date, secret);
}

/** Returns the signature for the hash of a canonical request. */
export function signatureOfHash(hash: string, date: string, secret: KeyObject): Buffer {
  return createHmac("sha256", secret).update(`${ALGORITHM}\n${date}\n${hash}`, "latin1").digest();
}

/** Returns the hash of a body as in the last line of a canonical request. */
export function payloadHash(body: Uint8Array | string): string {
  return createHash("sha256").update(body).digest("hex");
}

function aroundQuery({ method, path, headers, payload }: SignedParts): { before: string; behind: string } {
  const lines = headers.map(([name, value]) => `${name}:${trimmed(value)}\n`).join("");
  const names = headers.map(([name]) => name).join(";");
  return {
    before: `${method}\n${canonicalPath(path)}\n`,
    behind: `\n${lines}\n${names}\n${payload}`,
  };
}

function hashOf(canonical: string): string {
  return createHash("sha256").update(canonical, "latin1").digest("hex");
}

/** Decodes and encodes each segment, and adds a slash at the end if there is none. */
function canonicalPath(path: string): string {
  const recoded = recodedPath(path);
  return recoded.endsWith("/") ? recoded : `${recoded}/`;
}

/**
 * Removes spaces and tabs only: `trim` would also remove U+00A0, which as a byte can be the end of a letter
 * such as `à`.
 */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+/, "").replace(/(?<![ \t])[ \t]+$/, "");
}
