import { ProxyError } from "../base/errors.ts";
import { fieldName } from "../base/field-name.ts";
import { fieldValue, fieldValues } from "../base/fields.ts";
import { nameSet } from "../base/name-set.ts";
import type { AppConfig } from "../config/apps-schema.ts";
import type { AppAuthConfig } from "../config/auth-schema.ts";
import {
  type AppAuthorization,
  AppKeys,
  isSignedBy,
  parseAuthorization,
  parseSdkDate,
  spellSdkDate,
  WINDOW_MS,
} from "./app-signature.ts";
import type { Verifier } from "./auth.ts";
import {
  ALGORITHM,
  canonicalQueries,
  canonicalRequest,
  payloadHash,
  type SignedParts,
  UNSIGNED_PAYLOAD,
} from "./canonical-request.ts";
import type { Exchange } from "./exchange.ts";
import { type ResumedQuery, resume, takeLastEventId } from "./last-event-id.ts";
import type { ReplayGuard } from "./seen-signatures.ts";
import { readWholeBody } from "./whole-body.ts";

/** What APP signatures are checked against. */
export interface AppAuthSetup {
  /** All apps, so that one that may not use the route gets 403, not 401. */
  readonly apps: readonly AppConfig[];
  readonly seen: ReplayGuard;
  readonly maxBodyBytes: number;
}

/**
 * The verifier of `auth.app`: SDK-HMAC-SHA256.
 *
 * The order: form, date, key, signature, body, whether the app may use the route, replay. What needs the body
 * comes as late as it can, and an unknown key is refused at the very place where a wrong secret is.
 */
export function createAppVerifier(config: AppAuthConfig, setup: AppAuthSetup): Verifier {
  const keys = new AppKeys(setup.apps);
  return {
    name: "app",
    challenge: ALGORITHM,
    credentialFields: ["Authorization", "X-Sdk-*", "X-Apig-AppCode"],
    identityFields: ["X-App-Id"],
    async verify(exchange) {
      const claim = readClaim(exchange.request.rawHeaders);
      if (claim === undefined) return undefined;
      const sentAt = checkDate(claim.date, Date.now());
      const { name, secrets } = keys.find(claim.authorization.key);
      const payload = claim.declared ?? payloadHash(await takeBody(exchange, setup.maxBodyBytes));
      const parts = { ...claim, payload, method: exchange.request.method ?? "", path: exchange.target.path };
      const fitting = fittingQuery(exchange, (query) =>
        isSignedBy(secrets, claim.authorization.signature, { parts, query, date: claim.date }),
      );
      if (fitting === undefined || name === undefined) throw mismatch(claim, name, parts, exchange);
      if (claim.declared !== undefined && claim.declared !== UNSIGNED_PAYLOAD) {
        const received = payloadHash(await takeBody(exchange, setup.maxBodyBytes));
        if (received !== claim.declared) throw refused("the body differs from X-Sdk-Content-Sha256");
      }
      if (!config.apps.includes(name)) throw new ProxyError("app_not_authorized", `signed by ${name}`);
      if (config.replay === "reject") await checkReplay(setup.seen, claim.authorization.signature, sentAt);
      if (fitting !== "as sent") resume(exchange, fitting);
      // The name, not the key: it stays when the key is replaced.
      return { app: name, key: `app:${name}`, fields: [["X-App-Id", name]], expiresAt: undefined };
    },
  };
}

/** What a request says of its signature; nothing of it is believed yet. */
interface Claim {
  readonly authorization: AppAuthorization;
  readonly headers: SignedParts["headers"];
  readonly date: string;
  /** X-Sdk-Content-Sha256: the hash of the body, or UNSIGNED-PAYLOAD. */
  readonly declared: string | undefined;
}

/** Reads what carries the signature from the raw fields, because `headers` hides duplicates. */
function readClaim(raw: readonly string[]): Claim | undefined {
  const values = fieldValues(raw, "authorization");
  if (!values.some((value) => /^SDK-HMAC-SHA256(?![\w-])/i.test(value))) return undefined;
  const [value = "", ...more] = values;
  if (more.length > 0) throw refused("Authorization occurs twice");
  const authorization = parseAuthorization(value);
  if (authorization === undefined) throw refused("Authorization is malformed");
  const { signedHeaders } = authorization;
  const headers = signedHeaders.map((name) => [name, onlyValue(raw, name)] as const);
  if (hasUnsignedTwin(raw, signedHeaders)) throw refused("a field that a backend may take for a signed one");
  const isDeclared = fieldValues(raw, CONTENT_HASH).length > 0;
  const declared = isDeclared ? onlyValue(raw, CONTENT_HASH) : undefined;
  // Whoever could add this field to a signed request could otherwise replace its body.
  if (declared === UNSIGNED_PAYLOAD && !signedHeaders.includes(CONTENT_HASH)) {
    throw refused("UNSIGNED-PAYLOAD is not signed itself");
  }
  return { authorization, headers, date: onlyValue(raw, "x-sdk-date"), declared };
}

/** A CGI backend cannot tell `X_Role` from a signed `X-Role`, and may read either. */
function hasUnsignedTwin(raw: readonly string[], signedHeaders: readonly string[]): boolean {
  const signed = nameSet(signedHeaders);
  return raw.some((name, at) => at % 2 === 0 && signed.hasTwinOf(fieldName(name)));
}

const CONTENT_HASH = "x-sdk-content-sha256";

/** Which of two would a backend read? */
function onlyValue(raw: readonly string[], name: string): string {
  const [value, ...more] = fieldValues(raw, name);
  if (value === undefined || more.length > 0) {
    throw refused(`signed field ${name} ${value === undefined ? "is missing" : "occurs twice"}`);
  }
  return value;
}

function checkDate(date: string, now: number): number {
  const sentAt = parseSdkDate(date);
  if (sentAt === undefined) throw refused("X-Sdk-Date is malformed");
  if (Math.abs(now - sentAt) <= WINDOW_MS) return sentAt;
  const text = `signature expired, signature time:${date},server time:${spellSdkDate(now)}`;
  throw refused(`clock_skew: ${text}`, text);
}

/** The whole body, which then goes to the backend as it was verified. */
async function takeBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const { request } = exchange;
  if (request.body === undefined) return Buffer.alloc(0);
  // Node hands the connection of an upgrade over behind its head: a body there would never come.
  if (fieldValue(request.rawHeaders, "upgrade") !== undefined) throw refused("a body together with Upgrade");
  exchange.body ??= await readWholeBody(request.body, maxBytes, () => exchange.letContinue());
  return exchange.body;
}

/** The query that the signature fits: as it was sent, or without what a polyfill has appended to it. */
function fittingQuery(
  { request, target }: Exchange,
  fits: (query: string) => boolean,
): "as sent" | ResumedQuery | undefined {
  const resumed = request.method === "GET" ? takeLastEventId(target.query) : undefined;
  const fitsAsSent = fits(target.query.slice(1));
  const fitsResumed = resumed !== undefined && fits(resumed.query.slice(1));
  if (fitsAsSent) return "as sent";
  return fitsResumed ? resumed : undefined;
}

async function checkReplay(seen: ReplayGuard, signature: Buffer, sentAt: number): Promise<void> {
  const admission = await seen.admit(signature, sentAt + WINDOW_MS, Date.now());
  if (admission === "seen") throw refused("replay: the signature was used before", "replay");
  if (admission === "unknown") throw new ProxyError("replay_unknown", "redis is away");
  if (admission === "full") throw new ProxyError("rate_limited", "limits.signatures are remembered");
}

/** The texts are those of the API gateway whose signature this is; its tools match on them. */
function mismatch(
  { authorization: { key } }: Claim,
  name: string | undefined,
  parts: SignedParts,
  { target }: Exchange,
): ProxyError {
  if (name === undefined) return refused(`unknown key ${key}`, `app not found, appkey ${key}`);
  const [query] = canonicalQueries(target.query.slice(1));
  const canonical = canonicalRequest(parts, query).replaceAll("\n", "|");
  return refused(`wrong signature of ${name}`, `verify signature fail, canonicalRequest:${canonical}`);
}

function refused(reason: string, debugText: string = reason): ProxyError {
  return new ProxyError("auth_failed", reason, { debugText });
}
