import { createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import type { AppConfig } from "../config/apps-schema.ts";
import { ALGORITHM, signatureOfHash } from "./canonical-request.ts";

/** What an Authorization field of an APP signature says. */
export interface AppAuthorization {
  readonly key: string;
  /** In lower case, sorted, each once, `host` and `x-sdk-date` among them. */
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
}

// The hex digits in lower case only: one signature has one spelling, so a replay has no other one.
const AUTHORIZATION =
  /^SDK-HMAC-SHA256 {1,8}Access=([^, ]{1,128}), ?SignedHeaders=([!#$%&'*+.^_`|~0-9a-z;-]+), ?Signature=([0-9a-f]{64})$/;

/** Reads an Authorization field; undefined when it is not in the one form it can have. */
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

/** How far X-Sdk-Date may be from our clock, either way: what the protocol's own gateway allows. */
export const WINDOW_MS = 15 * 60_000;

const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Reads X-Sdk-Date, `20191115T033655Z`; undefined for any other form, and for a day that there is not. */
export function parseSdkDate(text: string): number | undefined {
  const parts = DATE.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day, hour, minute, second] = parts.slice(1).map(Number);
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  return spellSdkDate(ms) === text ? ms : undefined;
}

/** A time as X-Sdk-Date has it. */
export function spellSdkDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** Secrets per app that are tried: the new one and the old one while keys rotate. */
const SECRETS = 2;

/** The apps by key, with what an unknown key is checked against. */
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

  /** The app of a key, and always as many secrets, so that an unknown key costs what a known one costs. */
  find(key: string): { readonly name: string | undefined; readonly secrets: readonly KeyObject[] } {
    return this.#entries.get(key) ?? this.#unknown;
  }
}

const unguessable = (): KeyObject => createSecretKey(randomBytes(32));

/**
 * Which of the hashes of a request's canonical forms a signature fits, as its index; -1 for none.
 *
 * Every form is tried with every secret, also after one fits: how long it takes says nothing.
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
