import { ProxyError } from "../base/errors.ts";
import type { AppConfig } from "../config/apps-schema.ts";
import type { AppAuthConfig } from "../config/auth-schema.ts";
import type { BodyBudget } from "../exchange/body-budget.ts";
import { isDebugging } from "../exchange/debug.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { type ResumedQuery, resume, takeLastEventId } from "../exchange/last-event-id.ts";
import { readWholeBody } from "../exchange/whole-body.ts";
import { knownUse, type Signatures } from "../limits/counter-store.ts";
import { type AppClaim, appRefusal, hasAppClaim, readAppClaim } from "./app-claim.ts";
import { AppKeys, fittingForm, parseSdkDate, spellSdkDate, WINDOW_MS } from "./app-signature.ts";
import { StaleCredential, type Verifier } from "./auth.ts";
import { canonicalQuery, readParameters, type SignedQuery, signedQueries } from "./canonical-query.ts";
import {
  ALGORITHM,
  canonicalHashes,
  canonicalRequest,
  payloadHash,
  type SignedParts,
  UNSIGNED_PAYLOAD,
} from "./canonical-request.ts";

/** The inputs for checking APP signatures. */
export interface AppAuthSetup {
  /** All apps, so that an app that may not use the route gets 403, not 401. */
  readonly apps: readonly AppConfig[];
  readonly signatures: Signatures;
  /** The longest body, in bytes; 413 beyond. */
  readonly maxBodyBytes: number;
  /** The maximum number of query parameters; 400 beyond. */
  readonly maxParameters: number;
  /** Counts the memory of bodies; 503 when it is used up. */
  readonly bodies: BodyBudget;
}

/**
 * Creates the verifier of `auth.app`: SDK-HMAC-SHA256.
 *
 * The order of checks is: form, date, size, signature, whether the app may use the route, declared body, replay.
 * Checks that need no key come first and cost little. An unknown key costs as much as a known key, including its
 * signature and body, so that the response time does not reveal which keys exist.
 */
export function createAppVerifier(config: AppAuthConfig, setup: AppAuthSetup): Verifier {
  const keys = new AppKeys(setup.apps);
  const mayUse = new Set(config.apps);
  return {
    name: "app",
    challenge: ALGORITHM,
    credentialFields: ["Authorization", "X-Sdk-*", "X-Apig-AppCode"],
    identityFields: ["X-App-Id"],
    isPresented: ({ request }) => hasAppClaim(request.rawHeaders),
    async verify(exchange) {
      const claim = readAppClaim(exchange.request.rawHeaders);
      const sentAt = checkDate(claim.date, Date.now());
      const query = readQuery(exchange, setup.maxParameters);
      const { name, secrets } = keys.find(claim.authorization.key);
      const payload = claim.declared ?? (await takeBodyHash(exchange, setup));
      const parts = { ...claim, payload, method: exchange.request.method, path: exchange.target.path };
      const hashes = canonicalHashes(
        parts,
        query.forms.map(({ text }) => text),
      );
      const fitting = fittingForm(secrets, claim.authorization.signature, { hashes, date: claim.date });
      if (fitting < 0 || name === undefined) throw mismatch(claim, name, parts, exchange);
      if (!mayUse.has(name)) throw new ProxyError("app_not_authorized", `signed by ${name}`);
      if (claim.declared !== undefined && claim.declared !== UNSIGNED_PAYLOAD) {
        const received = await takeBodyHash(exchange, setup);
        if (received !== claim.declared) throw appRefusal("the body differs from X-Sdk-Content-Sha256");
      }
      if (config.replay === "reject")
        await checkReplay(setup.signatures, claim.authorization.signature, sentAt);
      if (query.forms[fitting]?.isResumed && query.resumed !== undefined) resume(exchange, query.resumed);
      // The name, not the key: the name stays when the key is replaced.
      return { app: name, key: `app:${name}`, fields: [["X-App-Id", name]], expiresAt: undefined };
    },
  };
}

/**
 * Returns the time of X-Sdk-Date in ms. A date outside of the window is refused before the signature is computed, so
 * it is not a guess at a signature.
 */
function checkDate(date: string, now: number): number {
  const sentAt = parseSdkDate(date);
  if (sentAt === undefined) throw appRefusal("X-Sdk-Date is malformed");
  if (Math.abs(now - sentAt) <= WINDOW_MS) return sentAt;
  const text = `signature expired, signature time:${date},server time:${spellSdkDate(now)}`;
  throw new StaleCredential(`clock_skew: ${text}`, text);
}

/** The possible forms of the signed query, and the parameter that a polyfill has appended. */
interface QueryForms {
  readonly forms: readonly SignedQuery[];
  readonly resumed: ResumedQuery | undefined;
}

function readQuery({ request, target }: Exchange, maxParameters: number): QueryForms {
  const parameters = readParameters(target.query.slice(1), maxParameters);
  if (parameters === undefined) {
    throw new ProxyError("too_many_parameters", `more than ${maxParameters} in a signed query`);
  }
  const resumed = request.method === "GET" ? takeLastEventId(target.query) : undefined;
  const appended = resumed === undefined ? undefined : parameters.at(-1);
  return { forms: signedQueries(parameters, appended), resumed };
}

/** Reads the whole body and returns its hash; the same bytes are then sent to the backend. */
async function takeBodyHash(exchange: Exchange, { maxBodyBytes, bodies }: AppAuthSetup): Promise<string> {
  const { request } = exchange;
  if (request.body === undefined) return payloadHash("");
  const lease = bodies.lease();
  exchange.onEnd(() => lease.release());
  const onStart = () => exchange.letContinue();
  const body = await readWholeBody(request.body, { maxBytes: maxBodyBytes, lease, onStart });
  exchange.readWhole(body);
  return body.hash;
}

async function checkReplay(signatures: Signatures, signature: Buffer, sentAt: number): Promise<void> {
  const use = await knownUse(signatures.useOnce(signature, sentAt + WINDOW_MS, Date.now()));
  if (use === "seen") throw new StaleCredential("replay: the signature was used before", "replay");
  if (use === "full") throw new ProxyError("rate_limited", "limits.signatures is reached");
}

/** Returns the refusal of a wrong signature in the texts of the API gateway, which its tools match. */
function mismatch(
  { authorization: { key } }: AppClaim,
  name: string | undefined,
  parts: SignedParts,
  exchange: Exchange,
): ProxyError {
  if (name === undefined) return appRefusal(`unknown key ${key}`, `app not found, appkey ${key}`);
  // Computed only for a client that may read it: otherwise each wrong signature would cost the computation.
  const canonical = isDebugging(exchange) ? canonicalText(parts, exchange) : "";
  return appRefusal(`wrong signature of ${name}`, `verify signature fail, canonicalRequest:${canonical}`);
}

function canonicalText(parts: SignedParts, { target }: Exchange): string {
  const parameters = readParameters(target.query.slice(1), Number.POSITIVE_INFINITY) ?? [];
  return canonicalRequest(parts, canonicalQuery(parameters)).replaceAll("\n", "|");
}
