import { readFile, stat } from "node:fs/promises";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from "jose";
import type { Log } from "../observe/log.ts";

/** How long keys are used before they are fetched again, so that a withdrawn key becomes invalid. */
const REFRESH_MS = 10 * 60_000;

/** The time between two attempts while the keys cannot be fetched. */
const RETRY_MS = 30_000;

/** The least time between two fetches because of unknown key ids: anyone can send an unknown id. */
const MISS_COOLDOWN_MS = 10_000;

const FETCH_TIMEOUT_MS = 5_000;

/** The largest key set that is read; a set of ten keys with certificates has some 30 KiB. */
const MAX_JWKS_BYTES = 256 * 1024;

export interface JwksTimes {
  readonly refreshMs: number;
  readonly retryMs: number;
  readonly missCooldownMs: number;
}

/**
 * The public keys of one issuer, from a URL or a file.
 * jose's own remote set drops keys that are too old and then fetches again for each token while the issuer is
 * down, so that an outage there would close every route here. These keys stay valid until newer ones have
 * been fetched.
 */
export class Jwks {
  /** The URL or path, as configured. */
  readonly place: string;
  readonly #log: Log;
  readonly #times: JwksTimes;
  #keys: LocalJWKSet | undefined;
  #pending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastMissAt = Number.NEGATIVE_INFINITY;
  #isOut = false;
  #isClosed = false;

  constructor(
    place: string,
    log: Log,
    times: JwksTimes = { refreshMs: REFRESH_MS, retryMs: RETRY_MS, missCooldownMs: MISS_COOLDOWN_MS },
  ) {
    this.place = place;
    this.#log = log;
    this.#times = times;
  }

  /** Fetches the keys for the first time; rejects with the reason if that fails. */
  async start(): Promise<void> {
    this.#keys = createLocalJWKSet(await load(this.place));
    this.#schedule(this.#times.refreshMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Returns the key that a token names. An unknown id may belong to a key that is newer than the last fetch. */
  readonly key: JWTVerifyGetKey = async (header, token) => {
    if (this.#keys === undefined) throw new errors.JWKSNoMatchingKey();
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayAskAgain()) throw error;
      await this.#refresh();
      return await this.#keys(header, token);
    }
  };

  /** Whether to wait for newer keys: a fetch is under way, or the last fetch because of an unknown id is long ago. */
  #mayAskAgain(): boolean {
    if (this.#pending !== undefined) return true;
    const now = performance.now();
    if (now - this.#lastMissAt < this.#times.missCooldownMs) return false;
    this.#lastMissAt = now;
    return true;
  }

  #refresh(): Promise<void> {
    this.#pending ??= this.#reload().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #reload(): Promise<void> {
    try {
      this.#keys = createLocalJWKSet(await load(this.place));
      if (this.#isOut) this.#log.info({ jwks: shown(this.place) }, "JWKS is back");
      this.#isOut = false;
    } catch (error) {
      // Logged once per outage.
      if (!this.#isOut && !this.#isClosed) {
        this.#log.warn(
          { jwks: shown(this.place), err: reasonOf(error) },
          "JWKS unreachable: the last keys stay in use",
        );
      }
      this.#isOut = true;
    }
    this.#schedule(this.#isOut ? this.#times.retryMs : this.#times.refreshMs);
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#refresh(), ms);
    this.#timer.unref();
  }
}

/** Returns in a few words why the keys could not be fetched. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says "fetch failed" and gives the reason only in its cause.
  const { cause } = error;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  return cause instanceof Error ? (code ?? cause.message) : error.message;
}

/** Removes the query of a URL, which may contain a secret. */
function shown(place: string): string {
  return place.replace(/\?.*$/s, "");
}

async function load(place: string): Promise<JSONWebKeySet> {
  const text = /^https?:\/\//i.test(place) ? await fetchText(place) : await readText(place);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error("not JSON");
  }
  if (!isKeySet(parsed)) throw new Error("no JSON Web Key Set with at least one public key");
  return parsed;
}

async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MAX_JWKS_BYTES) throw new Error(`more than ${MAX_JWKS_BYTES} bytes`);
  return await readFile(path, "utf8");
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, {
    // A redirect could lead to a host that the operator did not choose to trust.
    redirect: "manual",
    headers: { accept: "application/jwk-set+json, application/json" },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_JWKS_BYTES) throw new Error(`more than ${MAX_JWKS_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Refuses a set with secret keys: it was published by mistake, so none of its keys can be trusted. */
function isKeySet(value: unknown): value is JSONWebKeySet {
  const keys = (value as { keys?: unknown } | null)?.keys;
  return (
    Array.isArray(keys) &&
    keys.length > 0 &&
    keys.every((key) => typeof key === "object" && key !== null && key.kty !== "oct" && !("d" in key))
  );
}
