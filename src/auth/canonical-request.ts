import { createHash, createHmac, type KeyObject } from "node:crypto";
import { recodedPath } from "../http/percent-encoding.ts";

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

/** The canonical request; `query` is in a canonical form. */
export function canonicalRequest(parts: SignedParts, query: string): string {
  const { before, behind } = aroundQuery(parts);
  return before + query + behind;
}

/** The hashes of the canonical requests, one for each form of the query; what they share is spelled once. */
export function canonicalHashes(parts: SignedParts, queries: readonly string[]): readonly string[] {
  const { before, behind } = aroundQuery(parts);
  return queries.map((query) => hashOf(before + query + behind));
}

/** The signature of a canonical request at the time in X-Sdk-Date: 32 bytes. */
export function signatureOf(canonical: string, date: string, secret: KeyObject): Buffer {
  return signatureOfHash(hashOf(canonical), date, secret);
}

/** The same, of the hash of a canonical request. */
export function signatureOfHash(hash: string, date: string, secret: KeyObject): Buffer {
  return createHmac("sha256", secret).update(`${ALGORITHM}\n${date}\n${hash}`, "latin1").digest();
}

/** The hash of a body, as the last line of a canonical request has it. */
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

/** Each segment decoded once and encoded again; a slash at the end, whether it was sent or not. */
function canonicalPath(path: string): string {
  const recoded = recodedPath(path);
  return recoded.endsWith("/") ? recoded : `${recoded}/`;
}

/** Spaces and tabs only: `trim` would take U+00A0, which as a byte is the end of a letter such as `à`. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+/, "").replace(/(?<![ \t])[ \t]+$/, "");
}
