import { createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import type { AppConfig } from "../config/apps-schema.ts";
import { ALGORITHM, signatureOfHash } from "./canonical-request.ts";

/** The content of an Authorization field with an APP signature. */
export interface AppAuthorization {
  readonly key: string;
  /** In lower case, sorted, without duplicates; includes `host` and `x-sdk-date`. */
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
}

// Hex digits in lower case only: with a second spelling, a signature could be used twice.
const AUTHORIZATION =
  /^SDK-HMAC-SHA256 {1,8}Access=([^, ]{1,128}), ?SignedHeaders=([!#$%&'*+.^_`|~0-9a-z;-]+), ?Signature=([0-9a-f]{64})$/;

/** Reads an Authorization field; returns undefined unless it has the one valid form. */
export function parseAuthorization(value: string): AppAuthorization | undefined {
  const [, key = "", names = "", signature = ""] = AUTHORIZATION.exec(value) ?? [];
  const signedHeaders = names.split(";");
  const isSorted = signedHeaders.every(
    (name, at) => name !== "" && (at === 0 || name > (signedHeaders[at - 1] ?? "")),
  );
  if (key === "" || !isSorted || !REQUIRED.every((name) => signedHeaders.includes(name))) return undefined;
  return { key, signedHeaders, signature: Buffer.from(signature, "hex") };
}

const REQUIRED = ["host", "x-sdk-date"];

/** Writes an Authorization field. */
export function spellAuthorization({ key, signedHeaders, signature }: AppAuthorization): string {
  return `${ALGORITHM} Access=${key}, SignedHeaders=${signedHeaders.join(";")}, Signature=${signature.toString("hex")}`;
}

/** The largest difference between X-Sdk-Date and our clock in either direction: the protocol's own limit. */
export const WINDOW_MS = 15 * 60_000;

const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Reads X-Sdk-Date, `20191115T033655Z`; returns undefined for any other form, and for a day that does not exist. */
export function parseSdkDate(text: string): number | undefined {
  const parts = DATE.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day, hour, minute, second] = parts.slice(1).map(Number);
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  return spellSdkDate(ms) === text ? ms : undefined;
}

/** Writes a time in the format of X-Sdk-Date. */
export function spellSdkDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** How many secrets are tried per app: the new and the old one during a key rotation. */
const SECRETS = 2;

/** The apps by key, and the secrets against which an unknown key is checked. */
export class AppKeys {
  readonly #entries = new Map<string, { readonly name: string; readonly secrets: readonly KeyObject[] }>();
  readonly #unknown = { name: undefined, secrets: Array.from({ length: SECRETS }, unguessable) };

  constructor(apps: readonly AppConfig[]) {
    for (const { name, key, secret } of apps) {
      const real = secret.map((text) => createSecretKey(text, "utf8"));
      const secrets = [...real, ...this.#unknown.secrets].slice(0, SECRETS);
      this.#entries.set(key, { name, secrets });
    }
  }

  /**
   * Returns the app of a key, and always the same number of secrets, so that an unknown key costs as much as a
   * known key.
   */
  find(key: string): { readonly name: string | undefined; readonly secrets: readonly KeyObject[] } {
    return this.#entries.get(key) ?? this.#unknown;
  }
}

const unguessable = (): KeyObject => createSecretKey(randomBytes(32));

/**
 * Returns the index of the canonical form's hash that a signature fits; -1 if it fits none.
 *
 * Tries every form with every secret, even after a match, so that the time reveals nothing.
 */
export function fittingForm(
  secrets: readonly KeyObject[],
  signature: Buffer,
  { hashes, date }: { readonly hashes: readonly string[]; readonly date: string },
): number {
  let fitting = -1;
  for (const [form, hash] of hashes.entries()) {
    for (const secret of secrets) {
      const fits = timingSafeEqual(signatureOfHash(hash, date, secret), signature);
      if (fits && fitting < 0) fitting = form;
    }
  }
  return fitting;
}
